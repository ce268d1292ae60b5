"""Statistics of past blocks, newest first: fetched in batches, each by one worker, published for the fold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

from chain_ingest.backfill.batches import Lately, entries, missing_batches, runs
from chain_ingest.backfill.claims import Claims
from chain_ingest.backfill.live import NotWhole
from chain_ingest.backfill.others import Others
from chain_ingest.backfill.outbox import Outbox
from chain_ingest.backfill.progress import Progress
from chain_ingest.fetch import PRUNED
from chain_ingest.source import ReadBlock, Source
from shared.errors import RpcError, RpcMalformed, RpcRefused
from shared.events.backfill import BlocksUnavailable, MeasuredBlock
from shared.logging import Trouble
from shared.rpc import NOT_FOUND
from shared.tasks import end
from shared.views import HistoryView

CLAIMS_TRIED: Final = 200
"""Batches that others may have claimed before we look at the view again."""

TRIES: Final = 3
"""How often a block that the node cannot read is asked for, with other work between, before it is given up."""

AGAIN_SECONDS: Final = 3_600.0
"""Between two tries of what was given up, while no node comes that was not asked: perhaps one was repaired."""

INVALID_PARAMETER: Final = -8
"""RPC_INVALID_PARAMETER: what a height beyond the tip is answered with."""


class Blocks:
    """Takes the newest batch that is missing and free, measures it, publishes it."""

    def __init__(self, claims: Claims, outbox: Outbox, progress: Progress, log: Any) -> None:
        self._claims = claims
        self._outbox = outbox
        self._progress = progress
        self._trouble = Trouble(log, "backfill_block")
        self._lately = Lately()
        self._in_vain = Lately()  # of what was given up: tried again, with the nodes that there were
        self._arrivals = 0  # of nodes, when that began
        self._failed: dict[int, int] = {}  # how often, by height; of blocks that may still come
        self._measured = 0

    async def measure(self, source: Source, view: HistoryView, pruned_below: int, others: Others) -> bool:
        """Measure one batch of what the view lacks; False where nothing is missing that others are not at."""
        if view.measured < self._measured:
            self._lately.clear()  # the fold has less than it had: it may have begun anew
        self._measured = view.measured
        lowest = await others.lowest(pruned_below, wanted=bool(pruned_below or view.given_up))
        if not others.awaited() and await self._give_up(view, lowest):
            return True
        if others.arrivals != self._arrivals:
            self._arrivals = others.arrivals
            self._in_vain.clear()
        tried = 0
        for number, heights, again in self._wanted(view, lowest):
            if number in self._lately:
                continue
            claim = await self._claims.take(f"blocks:{number}")
            if claim is not None:
                async with claim:
                    await self._batch(source, heights, pruned_below, others, again=again)
                    claim.leave()
                self._lately.add(number)
                if again:
                    self._in_vain.add(number, AGAIN_SECONDS)
                return True
            tried += 1
            if tried == CLAIMS_TRIED:
                break
        return False

    def _wanted(self, view: HistoryView, lowest: int) -> Iterator[tuple[int, list[int], bool]]:
        """Number and heights of each batch to be had, and whether it was given up before; those come last."""
        for number, heights in missing_batches(view.missing, lowest):
            yield number, heights, False
        for number, heights in missing_batches(view.given_up, lowest):
            if number not in self._in_vain:
                yield number, heights, True

    async def _give_up(self, view: HistoryView, lowest: int) -> bool:
        """Say once what every node has pruned; whether we did."""
        if not any(first < lowest for first, _ in view.missing):
            return False
        claim = await self._claims.take("pruned")
        if claim is None:
            return False
        async with claim:
            # All below, not only what this view shows: it names a hundred gaps at most.
            await self._unavailable([(0, lowest - 1)], "pruned by every node")
            claim.leave()
        return True

    async def _unavailable(self, ranges: Sequence[tuple[int, int]], reason: str) -> None:
        for first, last in ranges:
            await self._outbox.put(BlocksUnavailable(first=first, last=last, reason=reason))

    async def _batch(
        self, source: Source, heights: list[int], pruned_below: int, others: Others, *, again: bool
    ) -> None:
        """Measure these blocks; what was measured is published although the rest fails.

        `again`: they are given up already, and that is not said anew.
        """
        try:
            hashes = await source.hashes(heights[0], heights[-1])
        except RpcRefused as error:
            if error.code != INVALID_PARAMETER:
                raise
            return  # the node's chain is shorter than that: these blocks are on their way out
        blocks = {at: hashes[at - heights[0]] for at in heights}
        lost = {at: f"pruned by node {source.name}" for at in heights if at < pruned_below}  # why, by height
        measured: list[MeasuredBlock] = []
        failure: RpcError | NotWhole | None = None
        try:
            await self._blocks(source, [(at, one) for at, one in blocks.items() if at not in lost], measured, lost)
            if lost:
                await self._elsewhere(others, blocks, measured, lost)
        except (RpcError, NotWhole) as error:
            failure = error
        for event in entries(measured):
            await self._outbox.put(event)
        self._progress.add_blocks(len(measured))
        if failure is not None:
            raise failure
        if not again and not others.awaited():
            for reason in dict.fromkeys(lost.values()):
                await self._unavailable(list(runs(sorted(at for at, why in lost.items() if why == reason))), reason)

    async def _elsewhere(
        self, others: Others, blocks: Mapping[int, str], measured: list[MeasuredBlock], lost: dict[int, str]
    ) -> None:
        """What the node in use has not, from those that have it."""

        async def use(source: Source) -> bool:
            before = len(measured)
            try:
                await self._blocks(source, [(at, blocks[at]) for at in sorted(lost)], measured, {})
            finally:
                for block in measured[before:]:
                    del lost[block.height]
            return not lost

        await others.each(use)
        for height in lost:
            self._failed.pop(height, None)

    async def _blocks(
        self, source: Source, blocks: list[tuple[int, str]], measured: list[MeasuredBlock], lost: dict[int, str]
    ) -> None:
        """Each block measured, while the next one is on its way: no more than two are held at a time."""
        ahead: asyncio.Task[ReadBlock] | None = None
        try:
            for (height, block_hash), following in zip_longest(blocks, blocks[1:]):
                coming = ahead or asyncio.create_task(source.read(block_hash, MeasuredBlock))
                ahead = asyncio.create_task(source.read(following[1], MeasuredBlock)) if following else None
                try:
                    read = await coming
                except RpcRefused as error:
                    self._refused(source, height, error, lost)
                except (RpcMalformed, ValueError, IndexError) as error:
                    self._unreadable(source, height, error, lost)
                else:
                    self._failed.pop(height, None)
                    measured.append(MeasuredBlock(height=height, **read.fields))
        finally:
            if ahead is not None:
                await end(ahead)

    def _refused(self, source: Source, height: int, error: RpcRefused, lost: dict[int, str]) -> None:
        """One block that the node does not give."""
        if PRUNED in str(error):
            lost[height] = f"pruned by node {source.name}"
        elif error.code != NOT_FOUND:  # else it left the best chain, and the fold waits for another
            self._unreadable(source, height, error, lost)

    def _unreadable(self, source: Source, height: int, error: Exception, lost: dict[int, str]) -> None:
        """One block that the node has, but cannot read, or that makes no sense: perhaps the next time."""
        self._trouble.failed(error, height=height)
        self._failed[height] = self._failed.get(height, 0) + 1
        if self._failed[height] >= TRIES:
            del self._failed[height]
            lost[height] = f"node {source.name} cannot read it ({error})"

"""Statistics of past blocks, newest first: fetched in batches, each by one worker, published for the fold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

from chain_ingest.backfill.batches import Lately, entries, missing_batches, runs
from chain_ingest.backfill.claims import Claims
from chain_ingest.backfill.history import History
from chain_ingest.backfill.outbox import Outbox
from chain_ingest.backfill.rest import Source
from chain_ingest.block import BlockMeasures, measure
from chain_ingest.node import BlockStats
from chain_ingest.pools import Pools
from shared.errors import RpcError, RpcRefused
from shared.events.backfill import BlocksUnavailable, MeasuredBlock
from shared.logging import Trouble
from shared.rpc import NOT_FOUND
from shared.tasks import end
from shared.views import HistoryView

STATS_AT_ONCE: Final = 8
"""Blocks whose statistics are one request: some 200 ms of the node's time where they are full."""

CLAIMS_TRIED: Final = 200
"""Batches that others may have claimed before we look at the view again."""

INVALID_PARAMETER: Final = -8
"""RPC_INVALID_PARAMETER: what a height beyond the tip is answered with."""

_PRUNED: Final = "pruned data"

_GENESIS: Final = BlockStats(
    ins=0, outs=1, total_out=0, totalfee=0, subsidy=0, avgfeerate=0, feerate_percentiles=[0, 0, 0, 0, 0]
)
"""The node has no statistics of the genesis block: there is nothing that it could have spent."""

_Wanted = tuple[int, str, BlockStats]


class Statistics:
    """Takes the newest batch that is missing and free, measures it, publishes it."""

    def __init__(self, claims: Claims, outbox: Outbox, history: History, pools: Pools, log: Any) -> None:
        self._claims = claims
        self._outbox = outbox
        self._history = history
        self._pools = pools
        self._trouble = Trouble(log, "backfill_block")
        self._lately = Lately()
        self._measured = 0

    async def measure(self, source: Source, view: HistoryView, pruned_below: int) -> bool:
        """Measure one batch of what the view lacks; False where nothing is missing that others are not at."""
        if view.measured < self._measured:
            self._lately.clear()  # the fold has less than it had: it may have begun anew
        self._measured = view.measured
        if await self._give_up(source, view, pruned_below):
            return True
        tried = 0
        for number, heights in missing_batches(view.missing, pruned_below):
            if number in self._lately:
                continue
            claim = await self._claims.take(f"blocks:{number}")
            if claim is not None:
                async with claim:
                    await self._batch(source, heights)
                    claim.leave()
                self._lately.add(number)
                return True
            tried += 1
            if tried == CLAIMS_TRIED:
                break
        return False

    async def _give_up(self, source: Source, view: HistoryView, pruned_below: int) -> bool:
        """Say once what the node has pruned; whether we did."""
        lost = [(first, min(last, pruned_below - 1)) for first, last in view.missing if first < pruned_below]
        if not lost:
            return False
        claim = await self._claims.take("pruned")
        if claim is None:
            return False
        async with claim:
            # All below, not only what this view shows: it names a hundred gaps at most.
            await self._unavailable(source, [(0, pruned_below - 1)])
            claim.leave()
        return True

    async def _unavailable(self, source: Source, spans: Sequence[tuple[int, int]]) -> None:
        for first, last in spans:
            await self._outbox.put(BlocksUnavailable(first=first, last=last, reason=f"pruned by node {source.name}"))

    async def _batch(self, source: Source, heights: list[int]) -> None:
        pruned: list[int] = []
        try:
            hashes = await source.hashes(heights[0], heights[-1])
        except RpcRefused as error:
            if error.code != INVALID_PARAMETER:
                raise
            return  # the node's chain is shorter than that: these blocks are on their way out
        wanted = await self._statistics(source, [(at, hashes[at - heights[0]]) for at in heights], pruned)
        measured = await self._blocks(source, wanted, pruned)
        for event in entries(measured):
            await self._outbox.put(event)
        await self._unavailable(source, list(runs(sorted(pruned))))
        self._history.add_blocks(len(measured))

    async def _statistics(self, source: Source, blocks: list[tuple[int, str]], pruned: list[int]) -> list[_Wanted]:
        """What the node computes itself; blocks that it cannot read are left out, the pruned ones noted."""
        wanted: list[_Wanted] = [(height, one, _GENESIS) for height, one in blocks if height == 0]
        rest = [(height, one) for height, one in blocks if height > 0]
        for start in range(0, len(rest), STATS_AT_ONCE):
            part = rest[start : start + STATS_AT_ONCE]
            for (height, one), answer in zip(part, await source.stats([one for _, one in part]), strict=True):
                if isinstance(answer, RpcRefused):
                    self._refused(height, answer, pruned)
                else:
                    wanted.append((height, one, answer))
        return wanted

    async def _blocks(self, source: Source, wanted: list[_Wanted], pruned: list[int]) -> list[MeasuredBlock]:
        """Each block measured, while the next one is on its way: no more than two are held at a time."""
        measured: list[MeasuredBlock] = []
        ahead: asyncio.Task[bytes] | None = None
        try:
            for (height, block_hash, stats), following in zip_longest(wanted, wanted[1:]):
                try:
                    raw = await (ahead or source.block(block_hash))
                except RpcRefused as error:
                    ahead = None
                    self._refused(height, error, pruned)
                    continue
                ahead = asyncio.create_task(source.block(following[1])) if following else None
                try:
                    # In a thread: it takes some 20 ms where blocks are full, in which the next one may come in.
                    block = await asyncio.to_thread(measure, raw)
                except (ValueError, IndexError) as error:
                    raise RpcError(f"block {height} from node {source.name} cannot be read") from error
                measured.append(_measured(height, stats, block, await self._pool(source, block)))
        finally:
            if ahead is not None:
                await end(ahead)
        return measured

    async def _pool(self, source: Source, block: BlockMeasures) -> str | None:
        addresses = await source.addresses(block.coinbase_outputs) if self._pools.needs_addresses else []
        return self._pools.find(block.coinbase_script, addresses)

    def _refused(self, height: int, error: RpcRefused, pruned: list[int]) -> None:
        """One block that the node does not give."""
        if _PRUNED in str(error):
            pruned.append(height)
        elif error.code != NOT_FOUND:  # else it left the best chain, and the fold waits for another
            self._trouble.failed(error, height=height)


def _measured(height: int, stats: BlockStats, block: BlockMeasures, pool: str | None) -> MeasuredBlock:
    return MeasuredBlock(
        height=height,
        hash=block.hash,
        time=block.time,
        tx_count=block.tx_count,
        size=block.size,
        weight=block.weight,
        inputs=stats.ins,
        outputs=stats.outs,
        output_value=stats.total_out,
        fees=stats.totalfee,
        fee_rate_percentiles=stats.feerate_percentiles,
        fee_rate_avg=stats.avgfeerate,
        output_bands=block.output_bands,
        pool=pool,
        largest=block.largest,
    )

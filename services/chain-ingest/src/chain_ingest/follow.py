"""Following one node: hints in, a look at it every 2 s, a new snapshot whenever something may be missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from chain_ingest import condition
from chain_ingest.agreement import PULSE_SECONDS, Agreement, Seen
from chain_ingest.beginnings import Beginnings
from chain_ingest.chain import ChainFollower
from chain_ingest.healing import Healing
from chain_ingest.hints import Hint, Hints
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node
from chain_ingest.snapshots import POLL, START, Snapshots
from chain_ingest.state import State
from shared import clock
from shared.service import Service

COMPARE_SECONDS: Final = 15.0
"""Between two `mempool.synced` while nothing special is to be told, and two looks at what changes seldom."""

CONNECT_SECONDS: Final = 1.0
"""How long the first snapshot waits for ZMQ to connect."""

SETTLE_SECONDS: Final = 0.05
"""Pause before a difference is looked at again: ZMQ may be a little behind RPC."""

SETTLE_TIMES: Final = 20
COMPARING_SECONDS: Final = 3.0
"""How long a comparison waits for its moment while hints keep coming; they are looked through afterwards, too."""

DOUBT_MS: Final = 30_000
"""Busy or not: a mempool that did not agree for so long is read anew."""

BATCH: Final = 1_000
"""Hints handled together."""

RUN_SECONDS: Final = 0.2
"""How long removals wait for the message that explains them; the `C` of a full block comes late behind its `R`s."""

Better = Callable[[str], Awaitable[bool]]
"""Whether a node that is preferred to the present one can be followed again; told why the present one is held.

Raises NodeUnready where it is held, and a node that comes after it can be followed."""


class Follower:
    """Follows one node until it fails, a better one is back, or the service stops."""

    def __init__(
        self, service: Service, node: Node, chain: ChainFollower, mempool: MempoolFollower, healing: Healing
    ) -> None:
        self._service = service
        self._node = node
        self._chain = chain
        self._mempool = mempool
        self._healing = healing
        self._hints = Hints(node.rpc.node.zmq_urls)
        self._state = State(service.health, chain, mempool, healing)
        self._agreement = Agreement(service, node, chain, mempool)
        self._snapshots = Snapshots(service, node, chain, mempool, healing, self._agreement, self._state)
        self._beginnings = Beginnings(service, node, chain, mempool, healing)
        self._warning = ""
        self._cause = START  # why the mempool must be read anew; hints say nothing meanwhile
        self._due = 0.0  # the next look at the node
        self._around_due = 0.0  # the next look at what changes seldom
        self._choice_due = 0.0  # the next look at the other nodes
        self._held = ""  # why nothing (but perhaps its chain) is published of the node
        self._awaited = ""  # a tip that the node has and no hint has told yet
        mempool.complete = False

    def close(self) -> None:
        """Close the subscriptions."""
        self._hints.close()

    async def run(self, better: Better) -> None:
        """Follow; returns when a better node is back, or the service is to stop."""
        await self._subscribe()
        self._hints.gap = ""
        while not self._service.stopping.is_set():
            if self._hints.gap:
                self._miss(self._hints.gap)
            if time.monotonic() < self._due:
                await self._hints.wait(min(self._due - time.monotonic(), 1.0))
                await self._take_hints()
                if await self._agreement.confirm_mempool():
                    self._report()
                continue
            self._due = time.monotonic() + min(PULSE_SECONDS, COMPARE_SECONDS)
            await self._pulse()
            if not self._cause and time.monotonic() >= self._around_due:
                await self._look_around()
            if time.monotonic() >= self._choice_due:
                self._choice_due = time.monotonic() + COMPARE_SECONDS
                if await better(self._held):
                    return

    @property
    def _hinted(self) -> bool:
        """Whether ZMQ tells what happens, so that a difference is not just what came since the last look."""
        return self._hints.connected and not self._warning

    def _miss(self, cause: str) -> None:
        """Something may be missing: read the mempool anew, as soon as patience allows."""
        self._hints.gap = ""
        if not self._cause:
            self._cause, self._due = cause, 0.0
            self._mempool.complete &= cause == POLL  # then what is missed is that of the last seconds

    async def _subscribe(self) -> None:
        prefix = self._node.rpc.node.prefix
        if not self._hints.urls:
            self._warning = f"{prefix}_ZMQ_URLS is not set: the node is asked every {PULSE_SECONDS:g} s instead"
            return
        published = await self._node.notifications()
        if published is not None and not any(item.type == "pubsequence" for item in published):
            self._warning = (
                f"node {self._node.name} publishes no `sequence` over ZMQ (bitcoind -zmqpubsequence): "
                f"it is asked every {PULSE_SECONDS:g} s instead"
            )
        self._hints.open()
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._hints.connected and time.monotonic() < deadline:
            await self._hints.wait(0.05)
            await asyncio.sleep(0)

    # --- hints -----------------------------------------------------------------------------------------

    async def _take_hints(self) -> None:
        if self._cause:
            self._hints.clear()  # the snapshot to come is newer than all of them
            return
        batch = self._hints.take(BATCH)
        if not batch:
            return
        if self._hints.gap:
            self._mempool.complete = False
        run: list[Hint] = []
        for hint in batch:
            if hint.label in "AR":
                run.append(hint)
                continue
            await self._handle(run)
            run = []
            await self._agreement.sync_chain()
            if hint.label in "CD":
                self._hints.forget_raw()
        await self._handle(run)
        self._state.note()
        if self._mempool.run_is_open and not self._hints.pending:
            await self._hints.wait(RUN_SECONDS)
        if self._mempool.run_is_open and not self._hints.pending:
            await self._mempool.close_run(self._node)
            await self._mempool.commit()

    async def _handle(self, run: list[Hint]) -> None:
        if run:
            accepted = await self._mempool.handle(self._node, self._hints, run)
            if accepted:
                self._agreement.clock.accepted(accepted, clock.now().steady_ms)

    # --- the look at the node --------------------------------------------------------------------------

    async def _pulse(self) -> None:
        seen = await self._agreement.ask()
        if seen is None:
            return
        unwhole = condition.not_whole(self._node.name, seen.chain)
        self._held = unwhole or condition.not_loaded(self._node.name, seen.mempool)
        if self._held:
            self._cause, self._mempool.complete = self._cause or START, False  # it would be told as removed
        if unwhole:
            self._state.hold(unwhole, f"{seen.chain.blocks:,} of {seen.chain.headers:,} blocks")
            return
        await self._follow_chain(seen)
        await self._beginnings.of_chain()
        if self._held:
            self._state.hold(self._held, f"{seen.mempool.size:,} transactions loaded")
            return
        if await self._beginnings.of_mempool():
            self._cause = START  # readers have nothing: whatever else was amiss, this waits for nothing
        if not self._cause:
            await self._compare(seen)
        elif self._cause not in {START, POLL} and self._healing.snapshots.wait:
            self._report(f"{self._cause}; to be read anew in {self._healing.snapshots.wait:.0f} s")
        else:
            await self._repair()

    async def _follow_chain(self, seen: Seen) -> None:
        """Confirm the tip; one that nothing told of until now is left to the hints until the next look."""
        asked_ms, best = seen.asked_ms, seen.chain.bestblockhash
        if best != self._chain.tip_hash:
            if self._hinted and not self._cause and self._awaited != best:
                self._awaited = best
                return
            asked_ms = await self._agreement.sync_chain()
        await self._agreement.confirm_chain(asked_ms)

    async def _compare(self, seen: Seen) -> None:
        """Look for the node's answer in the events, as they come; where it cannot be found, something is missing."""
        asked_ms, info = seen.asked_ms, seen.mempool
        every_ms = int((COMPARE_SECONDS if self._hinted else PULSE_SECONDS) * 1000)
        until = time.monotonic() + COMPARING_SECONDS
        if not (self._mempool.published.seeking and self._hints.pending):
            await self._agreement.seek(asked_ms, info, every_ms)
        misses = 0
        while time.monotonic() < until and misses < SETTLE_TIMES:
            await self._take_hints()
            if self._hints.gap:
                return
            if await self._agreement.confirm_mempool():
                self._report()
                return
            if not self._hinted:
                self._miss(POLL)
                return
            if self._hints.pending or await self._something_comes():
                continue
            misses += 1
            asked_ms = clock.now().steady_ms
            info = await self._node.mempool_info()
            await self._agreement.seek(asked_ms, info, every_ms)
        if misses == SETTLE_TIMES or clock.now().steady_ms - self._agreement.agreed_ms > DOUBT_MS:
            ours = self._mempool.published.totals
            self._miss(f"the mempool differs: {ours} here, {info.totals} at the node (transactions, vB, sat)")

    async def _something_comes(self) -> bool:
        await self._hints.wait(SETTLE_SECONDS)
        return self._hints.pending

    async def _look_around(self) -> None:
        """Look at what changes seldom."""
        self._around_due = time.monotonic() + COMPARE_SECONDS
        await self._agreement.look_around()

    async def _repair(self) -> None:
        """Read chain and mempool from the node and publish what differs."""
        cause, self._cause = self._cause, START  # it stands until it is done
        self._hints.gap = ""
        self._hints.clear()
        if cause == START:
            await self._look_around()
        await self._snapshots.take(cause, hinted=self._hinted)
        self._cause, self._mempool.complete = "", True
        if await self._agreement.confirm_mempool():
            self._report()
        elif self._hinted:
            self._due = 0.0

    # --- words -----------------------------------------------------------------------------------------

    def _report(self, trouble: str = "") -> None:
        """Say in the heartbeat how it stands."""
        warning = self._warning
        if not warning and not self._hints.connected:
            silent = ", ".join(self._hints.silent)
            warning = f"ZMQ does not answer at {silent}: the node is asked every {PULSE_SECONDS:g} s instead"
        self._state.say([trouble, *self._agreement.remarks(), warning])

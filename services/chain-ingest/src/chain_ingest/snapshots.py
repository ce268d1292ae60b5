"""Reading the node's whole mempool, and publishing what differs from what was published."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import prometheus_client

from chain_ingest.agreement import PULSE_SECONDS, Agreement
from chain_ingest.answers import MempoolContents
from chain_ingest.block import Block
from chain_ingest.chain import ChainFollower
from chain_ingest.healing import Healing
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node
from chain_ingest.state import State
from shared import clock
from shared.errors import RpcRefused
from shared.events.ops import GapDetected, GapRepaired
from shared.service import Service

START: Final = "start"
POLL: Final = "poll"
"""Causes that are nothing to announce."""

TRIES: Final = 20
"""How often the mempool is read again where a block came meanwhile."""

TAKEN = prometheus_client.Counter("dashboard_mempool_snapshots_total", "Snapshots of the mempool", ["cause"])


class Snapshots:
    """Takes them."""

    def __init__(
        self,
        service: Service,
        node: Node,
        chain: ChainFollower,
        mempool: MempoolFollower,
        healing: Healing,
        agreement: Agreement,
        state: State,
    ) -> None:
        self._service = service
        self._node = node
        self._chain = chain
        self._mempool = mempool
        self._healing = healing
        self._agreement = agreement
        self._state = state
        self._confirm_due = 0.0

    async def take(self, cause: str, *, hinted: bool) -> None:
        """Read chain and mempool from the node and publish what differs, then look for what the node said of it.

        Without hints, what it says next is found only where nothing moves: then what was compared is what is confirmed.
        """
        began = time.monotonic()
        told = cause not in {START, POLL}
        if told and self._healing.repair(cause):
            await self._service.say(GapDetected, cause)
        await self._catch_up()
        asked_ms, contents = await self._contents()
        info = await self._node.mempool_info()
        different = await self._mempool.snapshot(self._node, contents, self._beside)
        if not hinted:
            info = info.summing_to(*self._mempool.published.totals)
        self._agreement.doubt()
        await self._agreement.seek(asked_ms, info, 0)
        TAKEN.labels("gap" if told else cause).inc()
        self._service.log.info(
            "mempool_snapshot",
            cause=cause,
            different=different,
            count=self._mempool.published.totals[0],
            seconds=round(time.monotonic() - began, 3),
        )
        if told and different:
            await self._service.say(GapRepaired, f"{different} transactions differed after: {cause}")

    async def _catch_up(self) -> None:
        """Give the mempool the block that was published right before a failure kept it from hearing of it."""
        tip = self._chain.tip_hash
        if not tip or self._mempool.published.block in {"", tip}:
            return
        try:
            block = await asyncio.to_thread(Block, await self._node.raw_block(tip))
        except (RpcRefused, ValueError, IndexError):
            return  # the node does not give the block (any more): the snapshot tells what is gone
        if block.hash == tip:
            await self._mempool.apply_block(self._node, await asyncio.to_thread(block.applied))

    async def _contents(self) -> tuple[int, MempoolContents]:
        """The node's mempool as of the tip that is published, so that no block hides in the difference; when asked."""
        for _ in range(TRIES):
            await self._agreement.sync_chain()
            asked_ms = clock.now().steady_ms
            contents = await self._node.mempool()
            if await self._node.best_hash() == self._chain.tip_hash:
                break
        return asked_ms, contents

    async def _beside(self, done: int, total: int) -> None:
        """While a large mempool is published: say how far it is, and that the chain is what it was."""
        self._state.note(f"mempool: {done:,} of {total:,} transactions")
        if time.monotonic() >= self._confirm_due:
            self._confirm_due = time.monotonic() + PULSE_SECONDS
            asked_ms = clock.now().steady_ms
            if await self._node.best_hash() == self._chain.tip_hash:
                await self._agreement.confirm_chain(asked_ms)

"""When the streams are what the node has: it is asked, and what it says is looked for in the sum of the events."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import prometheus_client

from chain_ingest import condition
from chain_ingest.answers import ChainInfo, MempoolInfo, NetworkInfo
from chain_ingest.chain import ChainFollower
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node
from chain_ingest.nodeclock import NodeClock
from chain_ingest.published import Claim
from shared import clock
from shared.errors import RpcUnreachable
from shared.service import Service
from shared.tasks import together

PULSE_SECONDS: Final = 2.0
"""Between two looks at the node, which compare what is published with it."""

ANSWER_SECONDS: Final = 4.0
"""Within which a node answers how it is, or is said to be silent."""

SILENT_SECONDS: Final = 20.0
"""After which a silent node is given up."""

USAGE: Final = 0.01
"""Part of the mempool's room by which its use must change to be told before its time."""

CLOCK_MS: Final = 5_000
"""By which the node's clock must step to be told before its time."""

LAST_COMPARED = prometheus_client.Gauge(
    "dashboard_mempool_compared_timestamp_seconds", "When mempool and node were last seen to be equal"
)


class Seen(NamedTuple):
    """What the node said when it was asked how it is."""

    asked_ms: int  # by our steady clock
    chain: ChainInfo
    mempool: MempoolInfo


class Agreement:
    """Asks one node, and confirms to readers what it agrees to. What it does not agree to, nobody confirms."""

    def __init__(self, service: Service, node: Node, chain: ChainFollower, mempool: MempoolFollower) -> None:
        self.clock = NodeClock()
        self.agreed_ms = clock.now().steady_ms  # when the mempool last did, by our steady clock; at first: the start
        self._health = service.health
        self._node = node
        self._chain = chain
        self._mempool = mempool
        self._redis_clock = service.clock  # hears the time at each confirmation, too
        self._network = NetworkInfo(0, "")
        self._seen: Seen | None = None
        self._told: Claim | None = None  # as the last `mempool.synced` has it

    async def ask(self) -> Seen | None:
        """Ask the node how it is; None where it does not answer just now, which the heartbeat then says.

        Raises RpcUnreachable where it has been silent for long.
        """
        asked_ms = clock.now().steady_ms
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                chain, mempool = await together(self._node.chain_info(), self._node.mempool_info())
        except TimeoutError:
            silent = (clock.now().steady_ms - self._node.rpc.heard_ms) / 1000
            words = f"node {self._node.name} has not answered for {silent:.0f} s"
            if silent > SILENT_SECONDS:
                raise RpcUnreachable(words) from None
            self._health.degraded(words)
            return None
        self.clock.dated(self._node.rpc.date, clock.now().steady_ms)
        self._seen = Seen(asked_ms, chain, mempool)
        return self._seen

    async def look_around(self) -> None:
        """Ask what changes seldom."""
        self._network = await self._node.network_info()

    # --- chain -----------------------------------------------------------------------------------------

    async def sync_chain(self) -> int:
        """Publish what the node's chain has more; returns when the node was asked, by our steady clock."""
        asked_ms = clock.now().steady_ms
        if await self._chain.sync(self._node):
            self._health.note(height=self._chain.tip_height)
        return asked_ms

    async def confirm_chain(self, asked_ms: int) -> None:
        """The node's tip was the one that is published, when it was asked at that steady moment."""
        began = clock.now().steady_ms
        redis_ms = await self._chain.producer.confirm(self._node.name, ago_ms=began - asked_ms)
        if redis_ms:
            self._redis_clock.told(redis_ms, (began + clock.now().steady_ms) // 2)

    # --- mempool ---------------------------------------------------------------------------------------

    def doubt(self) -> None:
        """The next time that the mempool agrees is told at once."""
        self._told = None

    async def seek(self, asked_ms: int, info: MempoolInfo, every_ms: int) -> None:
        """Look for this answer in the events. Where it is found, `mempool.synced` stands right there.

        It is wanted every so often, and at once where more is new than the time.
        """
        time_ms = self._redis_clock.now_ms - (clock.now().steady_ms - asked_ms)
        claim = Claim(info, asked_ms, time_ms, self.clock.now_ms(asked_ms), publish=False)
        told = self._told
        if told is None or asked_ms - told.asked_ms >= every_ms or _news(told, claim):
            claim = claim._replace(publish=True)
        self._mempool.published.seek(claim)
        await self._mempool.commit()

    async def confirm_mempool(self) -> bool:
        """Confirm what was found meanwhile; returns whether there was anything."""
        claim = self._mempool.published.take_found()
        if claim is None:
            return False
        self.agreed_ms = clock.now().steady_ms
        incomplete = condition.incomplete(self._node.name, self._network)
        await self._mempool.producer.confirm(self._node.name, incomplete, ago_ms=self.agreed_ms - claim.asked_ms)
        if claim.publish:
            self._told = claim
        LAST_COMPARED.set_to_current_time()
        return True

    # --- words -----------------------------------------------------------------------------------------

    def remarks(self) -> list[str]:
        """What a person should know of the node, as far as it was asked."""
        found = [condition.incomplete(self._node.name, self._network)]
        if self._seen is not None:
            node_ms = self.clock.now_ms(clock.now().steady_ms)
            now_ms = self._redis_clock.now_ms
            found += condition.remarks(self._node.name, self._seen.chain, self._network, now_ms, node_ms)
        return [words for words in found if words]


def _news(told: Claim, claim: Claim) -> bool:
    """Whether the node's least feerate, its use of memory or its clock is another than was told."""
    if told.info.min_fee_rate != claim.info.min_fee_rate:
        return True
    if abs(told.info.usage - claim.info.usage) > USAGE * claim.info.maxmempool:
        return True
    return abs(_ahead_ms(told) - _ahead_ms(claim)) > CLOCK_MS


def _ahead_ms(claim: Claim) -> int:
    return 0 if claim.node_time_ms is None else claim.node_time_ms - claim.time_ms

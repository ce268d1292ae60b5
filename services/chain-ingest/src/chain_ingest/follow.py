"""Following one node: hints in, comparisons every 15 s, a new snapshot whenever something may be missing."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import prometheus_client

from chain_ingest.chain import ChainFollower
from chain_ingest.fetch import AppliedBlock
from chain_ingest.hints import Hint, Hints
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import MempoolContents, Node, NodeBehind, NodeUnfit
from shared.errors import RpcError, RpcRefused
from shared.events.ops import GapDetected, GapRepaired
from shared.networks import NETWORKS
from shared.rpc import RpcClient
from shared.service import Service
from shared.settings import NodeSettings

COMPARE_SECONDS: Final = 15.0
"""Between two comparisons with the node."""

POLL_SECONDS: Final = 2.0
"""The same where ZMQ is missing or silent."""

CONNECT_SECONDS: Final = 1.0
"""How long the first snapshot waits for ZMQ to connect."""

SETTLE_SECONDS: Final = 0.05
"""Pause before a difference is looked at again: ZMQ may be a little behind RPC."""

SETTLE_TIMES: Final = 20
BATCH: Final = 1_000
"""Hints handled together."""

RUN_SECONDS: Final = 0.2
"""How long removals wait for the message that explains them; the `C` of a full block comes late behind its `R`s."""

LAST_COMPARED = prometheus_client.Gauge(
    "dashboard_mempool_compared_timestamp_seconds", "When mempool and node were last seen to be equal"
)
REPAIRS = prometheus_client.Counter("dashboard_mempool_snapshots_total", "Snapshots of the mempool", ["cause"])


class Follower:
    """Follows one node until it fails, a better one is back, or the service stops."""

    def __init__(self, service: Service, node: Node, chain: ChainFollower, mempool: MempoolFollower) -> None:
        self._service = service
        self._node = node
        self._chain = chain
        self._mempool = mempool
        self._hints = Hints(node.rpc.node.zmq_urls)
        self._warning = ""

    def close(self) -> None:
        """Close the subscriptions."""
        self._hints.close()

    async def run(self, better: tuple[NodeSettings, ...]) -> None:
        """Follow; returns when a node of `better` answers again, or the service is to stop."""
        await self._wait_for_download()
        await self._subscribe()
        self._hints.gap = ""
        cause = "start"
        due = 0.0
        while not self._service.stopping.is_set():
            if self._hints.gap:
                cause = self._hints.gap
            if cause:
                await self._repair(cause)
                cause = ""
                due = 0.0
            if time.monotonic() >= due and not self._hints.gap:
                cause = await self._compare()
                due = time.monotonic() + self._interval()
                if not cause and better and await self._answers(better):
                    return
            elif not self._hints.gap:
                await self._hints.wait(min(due - time.monotonic(), 1.0))
                await self._take_hints()

    def _interval(self) -> float:
        return COMPARE_SECONDS if self._hints.connected and not self._warning else POLL_SECONDS

    # --- start -----------------------------------------------------------------------------------------

    async def _wait_for_download(self) -> None:
        """Publish nothing while the node downloads the chain: its events would be a flood of the past."""
        while not self._service.stopping.is_set():
            info = await self._node.chain_info()
            if not info.initialblockdownload:
                return
            self._service.health.degraded(
                f"node {self._node.name} is downloading the chain: {info.blocks} of {info.headers} blocks, "
                f"{info.verificationprogress:.1%} verified",
                height=info.blocks,
            )
            await asyncio.sleep(1)

    async def _subscribe(self) -> None:
        prefix = self._node.rpc.node.prefix
        if not self._hints.urls:
            self._warning = f"{prefix}_ZMQ_URLS is not set: the node is asked every {POLL_SECONDS:g} s instead"
            return
        published = await self._node.notifications()
        if published is not None and not any(item.type == "pubsequence" for item in published):
            self._warning = (
                f"node {self._node.name} publishes no `sequence` over ZMQ (bitcoind -zmqpubsequence): "
                f"it is asked every {POLL_SECONDS:g} s instead"
            )
        self._hints.open()
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._hints.connected and time.monotonic() < deadline:
            await self._hints.wait(0.05)
            await asyncio.sleep(0)

    # --- hints -----------------------------------------------------------------------------------------

    async def _take_hints(self) -> None:
        batch = self._hints.take(BATCH)
        if not batch:
            return
        run: list[Hint] = []
        for hint in batch:
            if hint.label in "AR":
                run.append(hint)
                continue
            await self._handle(run)
            run = []
            await self._sync_chain()
            self._hints.forget_raw()
        await self._handle(run)
        self._service.health.note(**self._details())
        if self._mempool.run_is_open and not self._hints.pending:
            await self._hints.wait(RUN_SECONDS)
        if self._mempool.run_is_open and not self._hints.pending:
            await self._mempool.close_run(self._node)
            await self._mempool.commit()

    async def _handle(self, run: list[Hint]) -> None:
        if run:
            await self._mempool.handle(self._node, self._hints, run)

    async def _sync_chain(self) -> None:
        if await self._chain.sync(self._node):
            self._service.health.note(height=self._chain.tip_height)

    async def _catch_up(self) -> None:
        """Give the mempool the block that was published right before a failure kept it from hearing of it."""
        tip = self._chain.tip_hash
        if not tip or self._mempool.block in {"", tip}:
            return
        try:
            block = await self._node.block(tip)
        except RpcRefused:
            return  # the node does not know the block (any more): the snapshot tells what is gone
        await self._mempool.apply_block(self._node, AppliedBlock(block.hash, block.tx, frozenset()))

    async def _contents(self) -> MempoolContents:
        """The node's mempool as of the tip that is published, so that no block hides in the difference."""
        for _ in range(SETTLE_TIMES):
            await self._sync_chain()
            contents = await self._node.mempool()
            if await self._node.best_hash() == self._chain.tip_hash:
                break
        return contents

    # --- truth -----------------------------------------------------------------------------------------

    async def _repair(self, cause: str) -> None:
        """Read chain and mempool from the node and publish what differs."""
        self._hints.gap = ""
        self._hints.clear()  # the snapshot is newer than all of them
        began = time.monotonic()
        if cause != "start":
            await self._service.say(GapDetected, cause)
        await self._catch_up()
        different = await self._mempool.snapshot(self._node, await self._contents())
        REPAIRS.labels("start" if cause == "start" else "gap").inc()
        self._service.log.info(
            "mempool_snapshot",
            cause=cause,
            different=different,
            count=self._mempool.totals[0],
            seconds=round(time.monotonic() - began, 3),
        )
        if cause != "start" and different:
            await self._service.say(GapRepaired, f"{different} transactions differed after: {cause}")

    async def _compare(self) -> str:
        """Compare with the node; returns why a snapshot is needed, or nothing."""
        await self._serve_requests()
        await self._sync_chain()
        ours = theirs = (0, 0, 0)
        for _ in range(SETTLE_TIMES):
            await self._take_hints()
            info = await self._node.mempool_info()
            await asyncio.sleep(0)  # what ZMQ has brought meanwhile is read here
            if self._hints.gap:
                return self._hints.gap
            if self._hints.pending:
                continue
            ours, theirs = self._mempool.totals, info.totals
            if ours == theirs:
                await self._mempool.synced(info)
                LAST_COMPARED.set_to_current_time()
                self._report()
                return ""
            if not self._hints.connected or self._warning:
                break
            await asyncio.sleep(SETTLE_SECONDS)
        if self._hints.pending:
            return ""  # too busy to compare: the frame counters watch meanwhile
        return f"the mempool differs: {ours} here, {theirs} at the node (transactions, vB, sat)"

    def _details(self) -> dict[str, int]:
        count, vsize, _ = self._mempool.totals
        return {"height": self._chain.tip_height, "mempool_count": count, "mempool_vsize": vsize}

    def _report(self) -> None:
        warning = self._warning
        if not warning and not self._hints.connected:
            warning = f"ZMQ does not answer at {', '.join(self._hints.silent)}: the node is asked every 2 s instead"
        if warning:
            self._service.health.degraded(warning, **self._details())
        else:
            self._service.health.ok(**self._details())

    async def _serve_requests(self) -> None:
        """Publish anew for folds that lost entries, or for the command that rebuilds everything.

        A request stands until the commit that fulfils it: a failure on the way must not lose it.
        """
        keys, client = self._service.keys, self._service.redis
        if await client.get(keys.chain_resync):
            await self._chain.begin_anew(self._node)
        if cause := await client.get(keys.mempool_resync):
            await self._mempool.reset(self._node, cause.decode())
            await self._mempool.snapshot(self._node, await self._contents())

    async def _answers(self, nodes: tuple[NodeSettings, ...]) -> bool:
        """Whether a preferred node is back, fit, and not behind."""
        for config in nodes:
            try:
                async with RpcClient(config) as rpc:
                    node = Node(rpc)
                    await node.check(NETWORKS[self._service.settings.network].rpc_chain)
                    await self._chain.measure(node)
                    if not (await node.chain_info()).initialblockdownload:
                        return True
            except (RpcError, NodeUnfit, NodeBehind):
                continue
        return False

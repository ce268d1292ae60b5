"""The backfill: any number of workers fetch what the series lack of the past, and take no node's time from the present.

A worker holds nothing: what is missing stands in chain-history's view, who fetches what in claims that end by
themselves, and what is published twice is folded once. So it may be killed at any moment.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from chain_ingest.backfill.blocks import Blocks
from chain_ingest.backfill.claims import Claims
from chain_ingest.backfill.headers import HeaderCollector
from chain_ingest.backfill.live import LivePath, NotWhole
from chain_ingest.backfill.others import LOOK_SECONDS, Others
from chain_ingest.backfill.outbox import Outbox
from chain_ingest.backfill.pace import Pace
from chain_ingest.backfill.progress import Progress
from chain_ingest.node import Node, NodeUnfit
from chain_ingest.source import Source
from shared.errors import ConfigError, RpcError
from shared.leased import Leased
from shared.logging import Trouble, chain
from shared.networks import NETWORKS
from shared.pool_tags import Pools
from shared.rpc import RpcClient
from shared.service import Service
from shared.settings import NodeSettings
from shared.tasks import until_set
from shared.views import HistoryView

POLL_SECONDS: Final = 1.0
"""Between two looks at the view while there is nothing to do for this worker."""

IDLE_SECONDS: Final = 3.0
"""The same once nothing is missing; what was given up is looked for at LOOK_SECONDS."""

RETRY_SECONDS: Final = 1.0
"""Pause after all nodes failed."""

BETTER_SECONDS: Final = 60.0
"""How long a node that is not the preferred one is used before the nodes are tried in order again."""


async def run(service: Service) -> None:
    """Fetch until the service is told to stop."""
    nodes = service.settings.configured_nodes
    if not nodes:
        names = " or ".join(f"{node.prefix}_RPC_URL" for node in service.settings.nodes)
        raise ConfigError(f"no node is configured: expected {names}=http://HOST:PORT (make run starts one of its own)")
    if not service.settings.backfill_load:
        service.health.ok(paused="switched off by BACKFILL_LOAD=0")
        service.log.info("backfill_off", reason="BACKFILL_LOAD=0")
        await service.stopping.wait()
        return
    # cut off wherever it is: it holds nothing, and its claims are given back on the way
    await until_set(service.stopping, Backfill(service, nodes).run())


class Backfill:
    """One worker: which node, what next, and what is done about failures."""

    def __init__(self, service: Service, nodes: tuple[NodeSettings, ...]) -> None:
        self._service = service
        self._nodes = nodes
        self._progress = Progress(service)
        claims, outbox = Claims(service.redis, service.keys), Outbox(service)
        self._pools = Pools(service.settings.pools_file)
        self._others = Others(service, nodes, self._pools)
        self._headers = HeaderCollector(claims, outbox, self._progress)
        self._blocks = Blocks(claims, outbox, self._progress, service.log)
        self._again = 0.0  # no look for what was given up before this moment
        self._working = Leased(service, name="backfill")  # without a lease: any number of replicas work
        self._node_trouble = {node.name: Trouble(service.log, f"node_{node.name}") for node in nodes}

    async def run(self) -> None:
        """Work until the service is told to stop."""
        await self._working.run(self._with_some_node)

    async def _with_some_node(self) -> None:
        """Work with the first node that answers, the preferred one first."""
        reasons = []
        for config in self._nodes:
            try:
                await self._with_node(config)
            except (RpcError, NodeUnfit, NotWhole) as error:
                self._node_trouble[config.name].failed(error)
                reasons.append(f"node {config.name}: {chain(error)}")
            else:
                return
        self._service.health.degraded("; ".join(reasons))
        await asyncio.sleep(RETRY_SECONDS)

    async def _with_node(self, config: NodeSettings) -> None:
        """Work with this node; returns when it is time to look for a better one."""
        service = self._service
        async with RpcClient(config) as rpc:
            node = Node(rpc)
            info = await node.check(NETWORKS[service.settings.network].rpc_chain)
            live = LivePath(service, node, self._progress, alone=len(self._nodes) == 1)
            await live.look()
            self._node_trouble[config.name].ended()
            service.health.note(node=config.name, node_version=info.subversion)
            pace = Pace(service.settings.backfill_load, live.clear)
            source = Source(node, self._pools, service.log, pace)
            self._others.besides(config, live.clear)
            until = time.monotonic() + BETTER_SECONDS if config is not self._nodes[0] else float("inf")
            while time.monotonic() < until:
                view = await self._progress.look()
                self._working.well()
                if view is None:
                    service.health.ok(paused="waiting for chain-history")
                    await asyncio.sleep(POLL_SECONDS)
                elif view.complete and (not view.given_up or time.monotonic() < self._again):
                    service.health.ok(paused=None)
                    await asyncio.sleep(IDLE_SECONDS)
                elif not await self._work(source, live, view):
                    self._again = time.monotonic() + LOOK_SECONDS
                    await asyncio.sleep(POLL_SECONDS)

    async def _work(self, source: Source, live: LivePath, view: HistoryView) -> bool:
        """The next piece: headers first, then statistics; whether there was one."""
        await live.clear()
        if await self._headers.collect(source, view):
            return True
        return await self._blocks.measure(source, view, live.pruned_below, self._others)

"""chain-ingest: one active replica follows one node and publishes what happens on it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from chain_ingest.chain import ChainFollower
from chain_ingest.follow import Follower
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node, NodeUnfit
from chain_ingest.pools import Pools
from shared import redis
from shared.bus import Producer
from shared.errors import ConfigError, Fenced, RpcError
from shared.events.ops import NodeChanged
from shared.keys import LEASE_MS
from shared.lease import Lease
from shared.logging import Trouble, chain
from shared.networks import NETWORKS
from shared.rpc import RpcClient
from shared.service import Service
from shared.settings import NodeSettings
from shared.trouble import RedisTrouble

RETRY_SECONDS: Final = 1.0
"""Pause before a node that failed is tried again."""


async def run(service: Service) -> None:
    """Publish until the service is told to stop."""
    nodes = service.settings.configured_nodes
    if not nodes:
        names = " or ".join(f"{node.prefix}_RPC_URL" for node in service.settings.nodes)
        raise ConfigError(f"no node is configured: expected {names}=http://HOST:PORT (make run starts one of its own)")
    await Ingest(service, nodes).run()


class Ingest:
    """Lease, choice of node, and what is to be done about failures."""

    def __init__(self, service: Service, nodes: tuple[NodeSettings, ...]) -> None:
        keys, client = service.keys, service.redis
        self._service = service
        self._nodes = nodes
        self._lease = Lease(client, keys.lease("chain", service.name), keys.fence("chain", service.name))
        self._mempool_lease = Lease(client, keys.lease("mempool", service.name), keys.fence("mempool", service.name))
        blocks = Producer(client, self._lease, keys.blocks, keys.chain_producer, keys.confirmed("chain"))
        txs = Producer(client, self._mempool_lease, keys.txs, keys.mempool_producer, keys.confirmed("mempool"))
        self._mempool = MempoolFollower(client, keys, txs)
        pools = Pools(service.settings.pools_file)
        self._chain = ChainFollower(client, keys, blocks, pools, connected=self._mempool.apply_block)
        self._loaded = False
        self._current = ""
        self._redis_trouble = RedisTrouble(service)
        self._node_trouble = {node.name: Trouble(service.log, f"node_{node.name}") for node in nodes}

    async def run(self) -> None:
        """Publish until stopped; every failure leads back here."""
        stopping = self._service.stopping
        try:
            while not stopping.is_set():
                try:
                    if await self._take_leases():
                        await self._lease.hold(self._mempool_lease.hold(self._follow()))
                except Fenced as error:
                    self._loaded = False
                    self._service.log.warning("producer_fenced", error=str(error))
                except redis.TROUBLE as error:
                    self._loaded = False
                    await self._redis_trouble.wait_out(error)
        finally:
            with contextlib.suppress(*redis.TROUBLE):
                await self._lease.release()
                await self._mempool_lease.release()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._service.stopping.wait(), seconds)

    async def _take_leases(self) -> bool:
        """Both streams lie in slots of their own, so each has a lease; the chain's is taken first by everyone."""
        if await self._lease.try_acquire() and await self._mempool_lease.try_acquire():
            return True
        self._service.health.standby()
        await self._pause(LEASE_MS / 12_000)
        return False

    async def _follow(self) -> None:
        """Follow the first node that answers, the preferred one first."""
        if not self._loaded:
            await self._chain.load()
            await self._mempool.load()
            self._loaded = True
            self._redis_trouble.ended()
        while not self._service.stopping.is_set():
            reasons = []
            for node in self._nodes:
                try:
                    await self._follow_node(node)
                    if self._service.stopping.is_set():
                        return
                    break  # a better node is back: begin with the first again
                except (RpcError, NodeUnfit) as error:
                    self._node_trouble[node.name].failed(error)
                    reasons.append(f"node {node.name}: {chain(error)}")
            else:
                self._service.health.degraded("; ".join(reasons))
                await self._pause(RETRY_SECONDS)

    async def _follow_node(self, config: NodeSettings) -> None:
        async with RpcClient(config) as rpc:
            node = Node(rpc)
            info = await node.check(NETWORKS[self._service.settings.network].rpc_chain)
            self._node_trouble[config.name].ended()
            detail = f"{config.name} {info.subversion}"
            if self._current != detail:
                self._current = detail
                await self._service.say(NodeChanged, detail)
            self._service.health.note(node=config.name, node_version=info.subversion)
            follower = Follower(self._service, node, self._chain, self._mempool)
            try:
                await follower.run(better=self._better_than(config))
            finally:
                follower.close()

    def _better_than(self, config: NodeSettings) -> tuple[NodeSettings, ...]:
        return self._nodes[: self._nodes.index(config)]

"""chain-ingest: one active replica follows one node and publishes what happens on it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Final

from chain_ingest import condition
from chain_ingest.chain import ChainFollower
from chain_ingest.fetch import Fetcher
from chain_ingest.follow import Follower
from chain_ingest.healing import Healing, patience
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node, NodeBehind, NodeUnfit, NodeUnready
from chain_ingest.progress import Progress
from shared import clock, domains
from shared.bus import Producer
from shared.errors import ConfigError, RpcError
from shared.events.ops import ChainRolledBack, GapDetected, NodeChanged
from shared.keys import BLOCKS_KEEP, STREAM_CAP, STREAM_KEEP
from shared.lease import Lease
from shared.leased import Leased
from shared.logging import Trouble, chain
from shared.networks import NETWORKS
from shared.pool_tags import Pools
from shared.rpc import RpcClient
from shared.service import Service
from shared.settings import NodeSettings
from shared.tasks import accompanied, pause, until_set

TRIM_SECONDS: Final = 15.0
"""Between two times that the streams are cut, whatever else goes on."""

STOP_SECONDS: Final = 3.0
"""How long what goes on may take to end by itself when the service is to stop; then it is cut off, wherever it is."""

LOOK_SECONDS: Final = 2.0
"""How long a look at a preferred node may hold up the one that is followed."""

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
    """Leases, choice of node, and what is to be done about failures.

    Both streams lie in slots of their own, so each has a lease; the chain's is taken first by everyone.
    """

    def __init__(self, service: Service, nodes: tuple[NodeSettings, ...]) -> None:
        keys, client = service.keys, service.redis
        self._service = service
        self._nodes = nodes
        leases = [
            Lease(client, keys.lease(domain, service.name), keys.fence(domain, service.name))
            for domain in ("chain", "mempool")
        ]
        self._leased = Leased(service, *leases, name="producer")
        blocks = Producer(
            client, leases[0], keys.stream(domains.BLOCKS), keys.producer(domains.BLOCKS), keys.confirmed("chain")
        )
        txs = Producer(
            client, leases[1], keys.stream(domains.TXS), keys.producer(domains.TXS), keys.confirmed("mempool")
        )
        self._mempool = MempoolFollower(client, keys, txs)
        self._rpc = {node.name: RpcClient(node) for node in nodes}
        network = NETWORKS[service.settings.network]
        self._fetcher = Fetcher(Pools(service.settings.pools_file), network, nodes)
        self._chain = ChainFollower(
            client,
            keys,
            blocks,
            self._fetcher,
            Progress(service.health),
            connected=self._mempool.apply_block,
            say=lambda detail: service.say(GapDetected, detail),
        )
        self._patience_ms = network.patience_seconds * 1_000
        self._still: dict[str, tuple[str, int]] = {}  # of nodes that are behind: tip, and since when it has not moved
        self._healing = Healing()
        self._cuts = {producer: patience() for producer in (blocks, txs)}  # of entries that a group had not read
        self._current = ""
        self._node_trouble = {node.name: Trouble(service.log, f"node_{node.name}") for node in nodes}

    async def run(self) -> None:
        """Publish until stopped. What is cut off in the middle of a commit was carried out in full or not at all."""
        await until_set(self._service.stopping, self._leased.run(self._work), STOP_SECONDS)

    async def _work(self) -> None:
        """Follow, and keep the streams short meanwhile, however long that takes."""
        await accompanied(self._follow(), self._keep_short())

    async def _keep_short(self) -> None:
        while True:
            for producer, keep in ((self._chain.producer, BLOCKS_KEEP), (self._mempool.producer, STREAM_KEEP)):
                lost = await producer.trim(keep, STREAM_CAP)
                if lost and self._cuts[producer].tried():
                    detail = f"{producer.stream}: {lost} entries cut that a group had not read"
                    await self._service.say(GapDetected, detail)
            await asyncio.sleep(TRIM_SECONDS)

    async def _follow(self) -> None:
        """Follow the nodes, from what was published before on."""
        await self._chain.load()
        await self._mempool.load()
        self._leased.well()
        async with contextlib.AsyncExitStack() as stack:
            for rpc in self._rpc.values():  # kept open, since blocks may be on their way when something else fails
                await stack.enter_async_context(rpc)
            stack.push_async_callback(self._fetcher.end)
            await self._follow_some()

    async def _follow_some(self) -> None:
        """Follow the first node that answers and is not behind, the preferred one first.

        One that is not ready yet is held, unless another can be followed.
        """
        while not self._service.stopping.is_set():
            reasons: list[str] = []
            behind: list[tuple[NodeSettings, NodeBehind]] = []
            for node in self._nodes:
                try:
                    await self._follow_node(node, "; ".join(reasons))
                    if self._service.stopping.is_set():
                        return
                    break  # a better node is back: begin with the first again
                except NodeBehind as error:
                    behind.append((node, error))
                    reasons.append(str(error))
                except NodeUnready as error:
                    reasons.append(str(error))
                except (RpcError, NodeUnfit) as error:
                    self._node_trouble[node.name].failed(error)
                    reasons.append(f"node {node.name}: {chain(error)}")
            else:
                self._service.health.degraded("; ".join(reasons))
                await self._give_in(behind)
                await pause(self._service.stopping, RETRY_SECONDS)

    async def _give_in(self, behind: list[tuple[NodeSettings, NodeBehind]]) -> None:
        """Follow down the node that has most, once it has neither moved nor been surpassed for long.

        As one that forgot its newest blocks in a crash, and has no peers to fetch them from.
        """
        now = clock.now().steady_ms
        names = {node.name for node, _ in behind}
        self._still = {name: seen for name, seen in self._still.items() if name in names}
        for node, error in behind:
            best, since = self._still.get(node.name, ("", now))
            self._still[node.name] = (error.best, since if best == error.best else now)
        if not behind:
            return
        config, _ = max(behind, key=lambda one: one[1].work)
        waited = now - self._still[config.name][1]
        if waited < self._patience_ms:
            return
        try:
            done = await self._chain.roll_back(Node(self._rpc[config.name]))
        except RpcError as error:
            self._node_trouble[config.name].failed(error)
            return
        if done:
            await self._service.say(
                ChainRolledBack,
                f"{done}: it has not moved for {waited / 1_000:.0f} s, and no other node that answers has more",
            )

    async def _follow_node(self, config: NodeSettings, passed_over: str) -> None:
        """Follow this node. `passed_over`: why the preferred ones are not used."""
        node = Node(self._rpc[config.name])
        info = await node.check(NETWORKS[self._service.settings.network].rpc_chain)
        await self._chain.measure(node)
        self._still.clear()
        self._node_trouble[config.name].ended()
        detail = f"{config.name} {info.subversion}"
        if self._current != detail:
            self._current = detail
            await self._service.say(NodeChanged, detail)
        self._service.health.note(node=config.name, node_version=info.subversion, passed_over=passed_over or None)
        follower = Follower(self._service, node, self._chain, self._mempool, self._healing)
        try:
            await follower.run(better=functools.partial(self._better, config))
        finally:
            follower.close()

    async def _better(self, config: NodeSettings, held: str) -> bool:
        """Whether a node that is preferred to this one can be followed; else the heartbeat tells why not.

        Raises NodeUnready where this one is held, for a reason, and one that comes after it can be followed.
        """
        place = self._nodes.index(config)
        reasons = []
        for preferred in self._nodes[:place]:
            reason = await self._why_not(preferred)
            if not reason:
                return True
            reasons.append(reason)
        if reasons:
            self._service.health.note(passed_over="; ".join(reasons))
        if held:
            for other in self._nodes[place + 1 :]:
                if not await self._why_not(other):
                    raise NodeUnready(held)
        return False

    async def _why_not(self, config: NodeSettings) -> str:
        """Why this node cannot be followed now; empty where it answers, is fit, whole and not behind."""
        try:
            async with asyncio.timeout(LOOK_SECONDS), RpcClient(config) as rpc:
                node = Node(rpc)
                await node.check(NETWORKS[self._service.settings.network].rpc_chain)
                await self._chain.measure(node)
                unready = condition.not_whole(node.name, await node.chain_info())
                return unready or condition.not_loaded(node.name, await node.mempool_info())
        except TimeoutError:
            return f"node {config.name}: no answer within {LOOK_SECONDS:g} s"
        except NodeBehind as error:
            return str(error)
        except (RpcError, NodeUnfit) as error:
            return f"node {config.name}: {chain(error)}"

"""The other nodes of NODES: what the one in use has not is asked of them before it is given up, and after that, too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from chain_ingest.backfill.pace import Pace
from chain_ingest.condition import not_whole
from chain_ingest.node import Node, NodeUnfit
from chain_ingest.source import Source
from shared.errors import RpcError, RpcWarmingUp
from shared.logging import Trouble, chain
from shared.networks import NETWORKS
from shared.pool_tags import Pools
from shared.rpc import RpcClient
from shared.service import Service
from shared.settings import NodeSettings

LOOK_SECONDS: Final = 60.0
"""How long what a node said of itself is believed, or that it does not answer."""

PATIENCE_SECONDS: Final = 600.0
"""How long one that does not answer is waited for before blocks are given up without having asked it."""

COMING: Final = float("inf")
"""Since when a node is silent that starts or downloads the chain: it is waited for without limit."""


class _Downloading(NodeUnfit):
    """It answers, and will have more."""


class Others:
    """Every node but the one in use, each asked gently. Those that do not answer are remembered over a change of it."""

    def __init__(self, service: Service, nodes: Sequence[NodeSettings], pools: Pools) -> None:
        self.arrivals = 0  # how often a node came to have blocks that it had not, or was not there to give
        self._service = service
        self._pools = pools
        self._all = self._nodes = nodes
        self._used = ""
        self._clear: Callable[[], Awaitable[None]] = _at_once
        self._trouble = {node.name: Trouble(service.log, f"node_{node.name}") for node in nodes}
        self._looked: dict[str, float] = {}  # when it was asked
        self._lowest: dict[str, int] = {}  # block that it has; of those that can be asked
        self._silent: dict[str, float] = {}  # since when it is of no use

    def besides(self, used: NodeSettings, clear: Callable[[], Awaitable[None]]) -> None:
        """This one is in use now; `clear` as for its own Pace."""
        self._nodes = [node for node in self._all if node is not used]
        self._used = used.name
        self._clear = clear
        self._looked.pop(used.name, None)
        self._silent.pop(used.name, None)

    @contextlib.asynccontextmanager
    async def _open(self, config: NodeSettings) -> AsyncIterator[Source]:
        """Raises RpcError and NodeUnfit where the node is of no use now."""
        self._looked[config.name] = time.monotonic()
        async with RpcClient(config) as rpc:
            node = Node(rpc)
            await node.check(NETWORKS[self._service.settings.network].rpc_chain)
            info = await node.chain_info()
            if words := not_whole(config.name, info):
                raise _Downloading(words)
            self._has(config.name, info.pruneheight if info.pruned else 0)
            pace = Pace(self._service.settings.backfill_load, self._clear)
            yield Source(node, self._pools, self._service.log, pace)

    async def each(self, use: Callable[[Source], Awaitable[bool]]) -> None:
        """Use one after the other until `use` says that it has enough; those that do not answer are passed over."""
        for config in self._nodes:
            if config.name in self._silent and self._fresh(config):
                continue
            try:
                async with self._open(config) as source:
                    enough = await use(source)
            except (RpcError, NodeUnfit) as error:
                self._failed(config, error)
                continue
            self._answered(config)
            if enough:
                return

    async def lowest(self, ours: int, *, wanted: bool) -> int:
        """The lowest block that any node has, where the one in use has those from `ours` on.

        The others are asked where more is `wanted` than that one gives.
        """
        self._has(self._used, ours)
        for config in self._nodes if wanted else ():
            if not self._fresh(config):
                try:
                    async with self._open(config):
                        pass
                except (RpcError, NodeUnfit) as error:
                    self._failed(config, error)
                else:
                    self._answered(config)
        return min(self._lowest.values())

    def awaited(self) -> bool:
        """Whether one that does not answer may still have what is lacking."""
        now = time.monotonic()
        return any(now - since < PATIENCE_SECONDS for since in self._silent.values())

    def _fresh(self, config: NodeSettings) -> bool:
        return time.monotonic() - self._looked.get(config.name, float("-inf")) <= LOOK_SECONDS

    def _has(self, name: str, lowest: int) -> None:
        if name not in self._lowest or lowest < self._lowest[name]:
            self.arrivals += 1
        self._lowest[name] = lowest

    def _failed(self, config: NodeSettings, error: Exception) -> None:
        self._trouble[config.name].failed(error)
        self._lowest.pop(config.name, None)
        coming = isinstance(error, _Downloading | RpcWarmingUp)
        self._silent[config.name] = COMING if coming else min(self._silent.get(config.name, COMING), time.monotonic())
        self._service.health.note(awaited=f"node {config.name}, which may have what is missing: {chain(error)}")

    def _answered(self, config: NodeSettings) -> None:
        self._trouble[config.name].ended()
        if self._silent.pop(config.name, None) is not None and not self._silent:
            self._service.health.note(awaited=None)


async def _at_once() -> None:
    """Nothing is in the way."""

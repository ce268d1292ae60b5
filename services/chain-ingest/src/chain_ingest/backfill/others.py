"""The other nodes of NODES: what the one in use has not is asked of them before it is given up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from chain_ingest.backfill.pace import Pace
from chain_ingest.backfill.rest import Source
from chain_ingest.node import Node, NodeUnfit
from shared.errors import RpcError
from shared.logging import Trouble, chain
from shared.networks import NETWORKS
from shared.rpc import RpcClient
from shared.service import Service
from shared.settings import NodeSettings

LOOK_SECONDS: Final = 60.0
"""How long what a node said of itself is believed."""

PATIENCE_SECONDS: Final = 600.0
"""How long one that does not answer is waited for before blocks are given up without having asked it."""


class Others:
    """Every node but the one in use, each asked gently. Those that do not answer are remembered over a change of it."""

    def __init__(self, service: Service, nodes: Sequence[NodeSettings]) -> None:
        self._service = service
        self._all = self._nodes = nodes
        self._clear: Callable[[], Awaitable[None]] = _at_once
        self._trouble = {node.name: Trouble(service.log, f"node_{node.name}") for node in nodes}
        self._lowest: dict[str, tuple[float, int]] = {}  # when it was asked, and the lowest block that it has
        self._silent: dict[str, float] = {}  # since when it does not answer

    def besides(self, used: NodeSettings, clear: Callable[[], Awaitable[None]]) -> None:
        """This one is in use now; `clear` as for its own Pace."""
        self._nodes = [node for node in self._all if node is not used]
        self._clear = clear
        self._silent.pop(used.name, None)

    @contextlib.asynccontextmanager
    async def _open(self, config: NodeSettings) -> AsyncIterator[Source]:
        """Raises RpcError and NodeUnfit where the node is of no use now."""
        async with RpcClient(config) as rpc:
            node = Node(rpc)
            await node.check(NETWORKS[self._service.settings.network].rpc_chain)
            info = await node.chain_info()
            if info.initialblockdownload and info.blocks < info.headers:
                raise NodeUnfit(f"it is downloading the chain: {info.blocks} of {info.headers} blocks")
            self._lowest[config.name] = time.monotonic(), info.pruneheight if info.pruned else 0
            yield Source(node, Pace(self._service.settings.backfill_load, self._clear), self._service.log)

    async def each(self, use: Callable[[Source], Awaitable[bool]]) -> None:
        """Use one after the other until `use` says that it has enough; those that do not answer are passed over."""
        for config in self._nodes:
            try:
                async with self._open(config) as source:
                    enough = await use(source)
            except (RpcError, NodeUnfit) as error:
                self._failed(config, error)
                continue
            self._answered(config)
            if enough:
                return

    async def lowest(self, ours: int) -> int:
        """The lowest block that any node has, where the one in use has those from `ours` on."""
        lowest = ours
        for config in self._nodes if ours else ():
            asked, known = self._lowest.get(config.name, (float("-inf"), 0))
            if time.monotonic() - asked > LOOK_SECONDS:
                try:
                    async with self._open(config):
                        asked, known = self._lowest[config.name]
                except (RpcError, NodeUnfit) as error:
                    self._failed(config, error)
                    continue
                self._answered(config)
            lowest = min(lowest, known)
        return lowest

    def awaited(self) -> bool:
        """Whether one that does not answer may still have what is lacking."""
        now = time.monotonic()
        return any(now - since < PATIENCE_SECONDS for since in self._silent.values())

    def _failed(self, config: NodeSettings, error: Exception) -> None:
        self._trouble[config.name].failed(error)
        self._silent.setdefault(config.name, time.monotonic())
        self._service.health.note(awaited=f"node {config.name}, which may have what is missing: {chain(error)}")

    def _answered(self, config: NodeSettings) -> None:
        self._trouble[config.name].ended()
        if self._silent.pop(config.name, None) is not None and not self._silent:
            self._service.health.note(awaited=None)


async def _at_once() -> None:
    """Nothing is in the way."""

"""Blocks read from a node, in order: as many side by side as the link carries, each kept until it was published.

What arrived is not fetched again because another block failed. A block that one node cannot give is asked from the
others, and is named as unavailable where none has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from chain_ingest.answers import HeaderInfo
from chain_ingest.block import Block
from chain_ingest.node import METHOD_NOT_FOUND, Node
from chain_ingest.source import Source
from shared.errors import RpcError, RpcMalformed, RpcRefused
from shared.events.blocks import BlockConnected
from shared.networks import Network
from shared.pool_tags import Pools
from shared.rpc import NOT_FOUND, RpcClient
from shared.settings import NodeSettings
from shared.tasks import end

AT_ONCE: Final = 4
"""Blocks fetched side by side at most."""

SLOW_SECONDS: Final = 5.0
"""A block that takes longer halves how many are fetched side by side; a faster one adds one again."""

TRIES: Final = 3
PATIENCE_SECONDS: Final = 0.5
"""How often a block that a node refuses is asked for, and the first pause between; each further one is doubled."""

PRUNED: Final = "pruned data"


Fetched = tuple[BlockConnected, Block]


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A block that no node gives, however often it is asked."""

    height: int
    hash: str
    why: str  # in words for a person


class Fetcher:
    """Fetches along a path of headers, AT_ONCE blocks at a time.

    What is on its way when one of them fails, or the caller does, goes on for the next call that wants the same of the
    same node. So it must be ended.
    """

    def __init__(self, pools: Pools, network: Network, nodes: Sequence[NodeSettings] = ()) -> None:
        self._pools = pools
        self._network = network
        self._nodes = nodes
        self._node: Node | None = None  # that was asked last
        self._source: Source | None = None  # the same
        self._tasks: dict[str, asyncio.Task[Fetched | Unavailable]] = {}  # by hash; those that ended, until handed out
        self._width = AT_ONCE

    async def end(self) -> None:
        """Let go of everything."""
        tasks, self._tasks = self._tasks, {}
        await end(*tasks.values())

    async def blocks(self, node: Node, path: Sequence[HeaderInfo]) -> AsyncGenerator[Fetched | Unavailable, None]:
        """The blocks of these headers, in order; raises what the node failed with."""
        source = await self._keep(node, {header.hash for header in path})
        waiting, coming = deque(path), deque[str]()
        while waiting or coming:
            while waiting and len(coming) < self._width:
                header = waiting.popleft()
                coming.append(header.hash)
                if header.hash not in self._tasks:
                    self._tasks[header.hash] = asyncio.create_task(self._fetch(source, header), name="block")
            task = self._tasks[coming[0]]
            await asyncio.wait([task])
            try:
                fetched = task.result()
            except RpcError:
                self._width = max(1, self._width // 2)
                raise
            yield fetched
            del self._tasks[coming.popleft()]

    async def _keep(self, node: Node, wanted: set[str]) -> Source:
        """Keep what arrived, and what is on its way from this node; end the rest. Returns what to ask."""
        same = self._node is not None and node.name == self._node.name
        if self._source is None or node is not self._node:
            self._node, self._source = node, self._source_of(node)
        source = self._source
        of_use = {
            one for one, task in self._tasks.items() if one in wanted and (_arrived(task) if task.done() else same)
        }
        ended = [self._tasks.pop(one) for one in list(self._tasks) if one not in of_use]
        await end(*ended)
        return source

    def _source_of(self, node: Node) -> Source:
        return Source(node, self._pools, structlog.get_logger())

    async def _fetch(self, source: Source, header: HeaderInfo) -> Fetched | Unavailable:
        began = time.monotonic()
        fetched = await self._from_some_node(source, header)
        if not isinstance(fetched, Unavailable):
            slow = time.monotonic() - began > SLOW_SECONDS
            self._width = max(1, self._width // 2) if slow else min(AT_ONCE, self._width + 1)
        return fetched

    async def _from_some_node(self, source: Source, header: HeaderInfo) -> Fetched | Unavailable:
        fetched = await self._patiently(source, header)
        for config in self._nodes:
            if not isinstance(fetched, Unavailable):
                break
            if config.name == source.name:
                continue
            with contextlib.suppress(RpcError):
                async with RpcClient(config) as rpc:
                    other = await self._patiently(self._source_of(Node(rpc)), header)
                    fetched = fetched if isinstance(other, Unavailable) else other
        return fetched

    async def _patiently(self, source: Source, header: HeaderInfo) -> Fetched | Unavailable:
        """The block, or why this node does not give it; raises where its failure says nothing about the block."""
        why = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PATIENCE_SECONDS * 2 ** (attempt - 1))
            try:
                return await self._read(source, header)
            except RpcRefused as error:
                if error.code in {NOT_FOUND, METHOD_NOT_FOUND}:  # it left the chain; the node is of another kind
                    raise RpcError(f"block {header.height} {header.hash} is unknown to node {source.name}") from error
                why = f"node {source.name} answers {error}"
                if PRUNED in str(error):
                    break
            except (RpcMalformed, ValueError, IndexError) as error:
                why = f"what node {source.name} answers cannot be read ({error})"
        return Unavailable(header.height, header.hash, why)

    async def _read(self, source: Source, header: HeaderInfo) -> Fetched:
        read = await source.read(header.hash, BlockConnected)
        event = BlockConnected(
            height=header.height,
            prev_hash=header.previousblockhash,
            median_time=header.mediantime,
            bits=header.bits,
            difficulty=header.difficulty,
            chainwork=header.chainwork,
            subsidy=self._network.subsidy(header.height),
            node=source.name,
            **read.fields,
        )
        return event, read.block


def _arrived(task: asyncio.Task[Fetched | Unavailable]) -> bool:
    return not task.cancelled() and task.exception() is None and not isinstance(task.result(), Unavailable)

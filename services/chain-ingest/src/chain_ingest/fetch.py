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

from chain_ingest.answers import Header
from chain_ingest.block import HEADER, BlockContents, coinbase_tag, header_hash, read
from chain_ingest.node import METHOD_NOT_FOUND, Node
from chain_ingest.pools import Pools
from shared.errors import RpcError, RpcMalformed, RpcRefused
from shared.events.blocks import BlockConnected
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


@dataclass(frozen=True, slots=True)
class AppliedBlock:
    """A block that was just connected, as far as the mempool must know."""

    hash: str
    txids: list[str]
    spent: frozenset[bytes]


Fetched = tuple[BlockConnected, AppliedBlock]


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

    def __init__(self, pools: Pools, nodes: Sequence[NodeSettings] = ()) -> None:
        self._pools = pools
        self._nodes = nodes
        self._node = ""  # that was asked last
        self._tasks: dict[str, asyncio.Task[Fetched | Unavailable]] = {}  # by hash; those that ended, until handed out
        self._width = AT_ONCE

    async def end(self) -> None:
        """Let go of everything."""
        tasks, self._tasks = self._tasks, {}
        await end(*tasks.values())

    async def blocks(self, node: Node, path: Sequence[Header]) -> AsyncGenerator[Fetched | Unavailable, None]:
        """The blocks of these headers, in order; raises what the node failed with."""
        await self._keep(node, {header.hash for header in path})
        waiting, coming = deque(path), deque[str]()
        while waiting or coming:
            while waiting and len(coming) < self._width:
                header = waiting.popleft()
                coming.append(header.hash)
                if header.hash not in self._tasks:
                    self._tasks[header.hash] = asyncio.create_task(self._fetch(node, header), name="block")
            task = self._tasks[coming[0]]
            await asyncio.wait([task])
            try:
                fetched = task.result()
            except RpcError:
                self._width = max(1, self._width // 2)
                raise
            yield fetched
            del self._tasks[coming.popleft()]

    async def _keep(self, node: Node, wanted: set[str]) -> None:
        """Keep what arrived, and what is on its way from this node; end the rest."""
        same, self._node = node.name == self._node, node.name
        of_use = {
            one for one, task in self._tasks.items() if one in wanted and (_arrived(task) if task.done() else same)
        }
        ended = [self._tasks.pop(one) for one in list(self._tasks) if one not in of_use]
        await end(*ended)

    async def _fetch(self, node: Node, header: Header) -> Fetched | Unavailable:
        began = time.monotonic()
        fetched = await self._from_some_node(node, header)
        if not isinstance(fetched, Unavailable):
            slow = time.monotonic() - began > SLOW_SECONDS
            self._width = max(1, self._width // 2) if slow else min(AT_ONCE, self._width + 1)
        return fetched

    async def _from_some_node(self, node: Node, header: Header) -> Fetched | Unavailable:
        fetched = await self._patiently(node, header)
        for config in self._nodes:
            if not isinstance(fetched, Unavailable):
                break
            if config.name == node.name:
                continue
            with contextlib.suppress(RpcError):
                async with RpcClient(config) as rpc:
                    other = await self._patiently(Node(rpc), header)
                    fetched = fetched if isinstance(other, Unavailable) else other
        return fetched

    async def _patiently(self, node: Node, header: Header) -> Fetched | Unavailable:
        """The block, or why this node does not give it; raises where its failure says nothing about the block."""
        why = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PATIENCE_SECONDS * 2 ** (attempt - 1))
            try:
                return await self._read(node, header)
            except RpcRefused as error:
                if error.code in {NOT_FOUND, METHOD_NOT_FOUND}:  # it left the chain; the node is of another kind
                    raise RpcError(f"block {header.height} {header.hash} is unknown to node {node.name}") from error
                why = f"node {node.name} answers {error}"
                if PRUNED in str(error):
                    break
            except (RpcMalformed, ValueError, IndexError) as error:
                why = f"what node {node.name} answers cannot be read ({error})"
        return Unavailable(header.height, header.hash, why)

    async def _read(self, node: Node, header: Header) -> Fetched:
        block, stats, raw = await node.full_block(header.hash)
        if header_hash(raw[:HEADER]) != header.hash:
            raise ValueError("these are the bytes of no such block")
        contents = read(raw, block.tx)
        event = BlockConnected(
            height=block.height,
            hash=block.hash,
            prev_hash=block.previousblockhash,
            time=block.time,
            median_time=block.mediantime,
            bits=block.bits,
            difficulty=block.difficulty,
            chainwork=block.chainwork,
            tx_count=len(block.tx),
            size=block.size,
            weight=block.weight,
            inputs=stats.ins,
            outputs=stats.outs,
            output_value=stats.total_out,
            subsidy=stats.subsidy,
            fees=stats.totalfee,
            fee_rate_percentiles=stats.feerate_percentiles,
            fee_rate_avg=stats.avgfeerate,
            coinbase_tag=coinbase_tag(contents.coinbase_script),
            pool=await self._pool(node, contents),
            largest=contents.largest,
            node=node.name,
            output_bands=contents.output_bands,
        )
        return event, AppliedBlock(block.hash, block.tx, contents.spent)

    async def _pool(self, node: Node, contents: BlockContents) -> str | None:
        addresses = await node.addresses(contents.coinbase_outputs) if self._pools.needs_addresses else []
        return self._pools.find(contents.coinbase_script, addresses)


def _arrived(task: asyncio.Task[Fetched | Unavailable]) -> bool:
    return not task.cancelled() and task.exception() is None and not isinstance(task.result(), Unavailable)

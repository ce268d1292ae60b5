"""The Bitcoin nodes that the explorer asks: the first that answers, in the order of the settings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from explorer.core.answers import BlockTxids, Header
from explorer.core.chain import BestChain
from explorer.core.newest import Newest
from shared.errors import (
    ConfigError,
    RpcForbidden,
    RpcMalformed,
    RpcRefused,
    RpcUnauthorized,
    RpcUnreachable,
    RpcWarmingUp,
)
from shared.events.base import Hash
from shared.lookups.parts import Tip
from shared.rpc import NOT_FOUND, RpcClient
from shared.settings import NodeSettings

T = TypeVar("T")

TIP_SECONDS: Final = 2.0
"""How long a node that has not the asker's newest block yet is given to get it."""

LOOK_SECONDS: Final = 0.02
"""Between two looks for it."""

BLOCKS_KEPT: Final = 16
"""Blocks whose transactions are remembered; a full one takes some 1 MB."""

_ELSEWHERE: Final = (RpcUnreachable, RpcUnauthorized, RpcForbidden, RpcWarmingUp, RpcMalformed)
"""Failures that say nothing of what was asked, so that another node may answer it."""


class Node:
    """One node."""

    def __init__(self, rpc: RpcClient) -> None:
        self.rpc = rpc
        self.chain = BestChain()
        self._tip: Tip | None = None  # kept, so that its header is asked for once
        self._txids: Newest[list[str]] = Newest(BLOCKS_KEPT)

    async def tip(self, wanted: str = "") -> Tip:
        """Its newest block; where it does not know the block `wanted` yet, it is given TIP_SECONDS to get it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TIP_SECONDS
        while wanted and not (self._tip and self._tip.hash == wanted):
            with contextlib.suppress(RpcRefused):
                await self.rpc.call("getblockheader", wanted, kind=Header)
                break
            if loop.time() >= until:
                break
            await asyncio.sleep(LOOK_SECONDS)
        best: str = await self.rpc.call("getbestblockhash", kind=Hash)
        if self._tip is None or self._tip.hash != best:
            header = await self.header(best)
            self.chain.moved(header)
            self._tip = Tip(height=header.height, hash=best, time=header.time)
        return self._tip

    async def header(self, block_hash: str) -> Header:
        """A header; raises RpcRefused where the node does not know it."""
        header: Header = await self.rpc.call("getblockheader", block_hash, kind=Header)
        return header

    async def has(self, block_hash: str) -> bool:
        """Whether its best chain has this block."""
        try:
            return (await self.header(block_hash)).confirmations >= 0
        except RpcRefused:  # another node's, that this one has never seen
            return False

    async def txids(self, block_hash: str) -> list[str]:
        """The transactions of a block, in order; raises RpcRefused where the node has it not (any more)."""
        found = self._txids.get(block_hash)
        if found is None:
            told: BlockTxids = await self.rpc.call("getblock", block_hash, 1, kind=BlockTxids)
            found = self._txids.put(block_hash, told.tx)
        return found

    async def hash_at(self, height: int) -> str | None:
        """The block of the best chain at this height; None above its tip."""
        try:
            found: str = await self.rpc.call("getblockhash", height, kind=Hash)
        except RpcRefused:
            return None
        return found


class Nodes:
    """Those that are configured."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, configured: Sequence[NodeSettings]) -> AsyncIterator[Nodes]:
        """With a client for each."""
        async with contextlib.AsyncExitStack() as stack:
            yield cls([Node(await stack.enter_async_context(RpcClient(one))) for one in configured])

    async def ask(self, question: Callable[[Node], Awaitable[T]]) -> T:
        """What the first node that answers says; raises what the last one failed with."""
        trouble: Exception = ConfigError("no node is configured: expected MAIN_RPC_URL and its credentials")
        for node in self.nodes:
            try:
                return await question(node)
            except _ELSEWHERE as error:
                trouble = error
        raise trouble


def unknown(error: RpcRefused) -> bool:
    """Whether the node says that there is no such thing."""
    return error.code == NOT_FOUND

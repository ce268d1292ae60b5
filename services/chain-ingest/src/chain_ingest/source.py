"""The blocks of one node, for what happens now and for the past: bytes over REST where it is on, else over RPC.

What a block's transactions spent comes as bytes, too, where the node has it (`/rest/spenttxouts`, Bitcoin Core 30);
else the node works out itself what they paid (`getblockstats`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from chain_ingest.block import HEADER, Block, header_hash
from chain_ingest.fees import NONE, Fees, fees_paid
from chain_ingest.node import Node
from chain_ingest.statistics import Statistics
from shared.errors import RpcMalformed
from shared.pool_tags import Pools
from shared.rpc import BATCH
from shared.tasks import end

WITHOUT_SECONDS: Final = 60.0
"""How long a way is not tried again after it failed where another did not."""

Pace = contextlib.AbstractAsyncContextManager[None]
"""Entered around each request to the node; may wait first."""


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """One block, and those of its statistics that were asked for."""

    block: Block
    fields: dict[str, Any]  # by the names of the events' fields


class _Way:
    """What a node need not answer, and is asked of it in another way then."""

    def __init__(self, event: str, hint: str) -> None:
        self._event = event
        self._hint = hint
        self._from = 0.0  # not tried before this moment

    @property
    def open(self) -> bool:
        """Whether to try it now."""
        return time.monotonic() >= self._from

    def failed(self, node: str, log: Any) -> None:
        """The other way gave what this one did not."""
        if self.open:
            if not self._from:
                log.info(self._event, node=node, hint=self._hint)
            self._from = time.monotonic() + WITHOUT_SECONDS


class Source:
    """One node."""

    def __init__(self, node: Node, pools: Pools, log: Any, pace: Pace | None = None) -> None:
        """With a `pace`, one request after the other as it says; without, what is needed is asked for at once."""
        self.name = node.name
        self._node = node
        self._pools = pools
        self._log = log
        self._pace = pace or contextlib.nullcontext()
        self._at_once = pace is None
        self._rest = _Way("node_without_rest", "bitcoind -rest=1 makes it faster")
        self._spent_outputs = _Way("node_without_spent_outputs", "Bitcoin Core 30 with -rest=1 makes it faster")

    async def hashes(self, first: int, last: int) -> list[str]:
        """Hashes of the best chain; raises RpcRefused where it is shorter than that."""
        async with self._pace:
            return await self._node.hashes(range(first, last + 1))

    async def headers(self, first: int, count: int) -> bytes:
        """Consecutive headers of the best chain, 80 bytes each; raises RpcRefused where it is shorter than that."""
        [start] = await self.hashes(first, first)

        def fits(raw: bytes) -> bool:
            return len(raw) == count * HEADER and header_hash(raw[:HEADER]) == start

        # The form with `?count=` is newer than the oldest node that we take; this one still serves everywhere.
        raw = await self._over_rest(self._rest, f"headers/{count}/{start}.bin", fits)
        if raw is not None:
            return raw
        parts: list[bytes] = []
        for at in range(first, first + count, BATCH):
            hashes = await self.hashes(at, min(at + BATCH, first + count) - 1)
            async with self._pace:
                parts += await self._node.raw_headers(hashes)
        self._rest.failed(self.name, self._log)
        return b"".join(parts)

    # --- blocks ----------------------------------------------------------------------------------------

    async def read(self, block_hash: str, kind: type[msgspec.Struct]) -> ReadBlock:
        """A block, with the statistics that an event of this kind carries, and its pool; parsed in a thread.

        Raises RpcRefused where the node has it not (any more), RpcMalformed, ValueError or IndexError where what it
        answers is no such block.
        """
        asked = asyncio.create_task(self._spent(block_hash), name="spent outputs") if self._at_once else None
        try:
            block = await asyncio.to_thread(Block, await self._bytes(block_hash))
            fees = NONE  # with nothing but a coinbase, whatever the node says of what was spent
            if len(block.txs) > 1:
                fees = await self._fees(block, await (asked or self._spent(block_hash)))
        finally:
            if asked is not None:
                await end(asked)
        fields = await asyncio.to_thread(Statistics(block, fees).of, kind)
        addresses = await self._addresses(block.coinbase_outputs) if self._pools.needs_addresses else []
        return ReadBlock(block, {**fields, "pool": self._pools.find(block.coinbase_script, addresses)})

    async def _bytes(self, block_hash: str) -> bytes:
        """A serialised block; raises RpcRefused where the node has it not (any more)."""

        def fits(raw: bytes) -> bool:
            return header_hash(raw[:HEADER]) == block_hash

        raw = await self._over_rest(self._rest, f"block/{block_hash}.bin", fits)
        if raw is None:
            async with self._pace:
                raw = await self._node.raw_block(block_hash)
            if not fits(raw):
                raise RpcMalformed("these are the bytes of another block")
            self._rest.failed(self.name, self._log)
        return raw

    async def _spent(self, block_hash: str) -> bytes | Fees:
        """The outputs that a block's transactions spent, else what they paid."""
        spent = await self._over_rest(self._spent_outputs, f"spenttxouts/{block_hash}.bin", bool)
        return spent if spent is not None else await self._told(block_hash)

    async def _told(self, block_hash: str) -> Fees:
        async with self._pace:
            stats = await self._node.stats(block_hash)
        self._spent_outputs.failed(self.name, self._log)
        return Fees.told(stats)

    async def _fees(self, block: Block, spent: bytes | Fees) -> Fees:
        """What was paid; what came for spent outputs need not be those of this block."""
        if isinstance(spent, Fees):
            return spent
        return await asyncio.to_thread(fees_paid, block, spent) or await self._told(block.hash)

    async def _addresses(self, scripts: Sequence[bytes]) -> list[str]:
        """The addresses of output scripts; those without one are left out."""
        async with self._pace:
            return await self._node.addresses(scripts)

    async def _over_rest(self, way: _Way, path: str, fits: Callable[[bytes], bool]) -> bytes | None:
        if not way.open:
            return None
        async with self._pace:
            raw = await self._node.rpc.rest(path)
        return raw if raw is not None and fits(raw) else None

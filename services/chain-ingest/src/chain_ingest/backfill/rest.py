"""What the backfill asks of a node, one request at a time: bytes over REST where it is on, else over RPC."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from chain_ingest.answers import BlockStats
from chain_ingest.backfill.pace import Pace
from chain_ingest.block import HEADER, header_hash
from chain_ingest.node import Node
from shared.errors import RpcError, RpcRefused
from shared.rpc import BATCH

WITHOUT_REST_SECONDS: Final = 60.0
"""How long REST is not asked again after it failed where RPC did not."""


class Source:
    """One node, asked gently."""

    def __init__(self, node: Node, pace: Pace, log: Any) -> None:
        self.name = node.name
        self._node = node
        self._pace = pace
        self._log = log
        self._rest_from = 0.0  # not asked before this moment

    async def hashes(self, first: int, last: int) -> list[str]:
        """Hashes of the best chain; raises RpcRefused where it is shorter than that."""
        async with self._pace:
            return await self._node.hashes(range(first, last + 1))

    async def stats(self, hashes: Sequence[str]) -> list[BlockStats | RpcRefused]:
        """Statistics of a few blocks; a block that the node cannot read stands there as its error."""
        async with self._pace:
            return await self._node.stats(hashes)

    async def addresses(self, scripts: Sequence[bytes]) -> list[str]:
        """The addresses of output scripts; those without one are left out."""
        async with self._pace:
            return await self._node.addresses(scripts)

    async def block(self, block_hash: str) -> bytes:
        """A serialised block; raises RpcRefused where the node has it not (any more)."""

        def fits(raw: bytes) -> bool:
            return header_hash(raw[:HEADER]) == block_hash

        raw = await self._rest(f"block/{block_hash}.bin", fits)
        if raw is None:
            async with self._pace:
                raw = await self._node.raw_block(block_hash)
            if not fits(raw):
                raise RpcError(f"node {self.name} answers with another block than {block_hash}")
            self._without_rest()
        return raw

    async def headers(self, first: int, count: int) -> bytes:
        """Consecutive headers of the best chain, 80 bytes each; raises RpcRefused where it is shorter than that."""
        [start] = await self.hashes(first, first)

        def fits(raw: bytes) -> bool:
            return len(raw) == count * HEADER and header_hash(raw[:HEADER]) == start

        # The form with `?count=` is newer than the oldest node that we take; this one still serves everywhere.
        raw = await self._rest(f"headers/{count}/{start}.bin", fits)
        if raw is not None:
            return raw
        parts: list[bytes] = []
        for at in range(first, first + count, BATCH):
            hashes = await self.hashes(at, min(at + BATCH, first + count) - 1)
            async with self._pace:
                parts += await self._node.raw_headers(hashes)
        self._without_rest()
        return b"".join(parts)

    async def _rest(self, path: str, fits: Callable[[bytes], bool]) -> bytes | None:
        if time.monotonic() < self._rest_from:
            return None
        async with self._pace:
            raw = await self._node.rpc.rest(path)
        return raw if raw is not None and fits(raw) else None

    def _without_rest(self) -> None:
        """RPC gave what REST did not."""
        if time.monotonic() < self._rest_from:
            return
        if not self._rest_from:
            self._log.info("backfill_without_rest", node=self.name, hint="bitcoind -rest=1 makes it faster")
        self._rest_from = time.monotonic() + WITHOUT_REST_SECONDS

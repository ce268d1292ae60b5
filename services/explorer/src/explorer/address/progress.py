"""Tells how far a long look-up is, to whoever waits for it, and that it is not dead."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from shared import redis
from shared.keys import Keys
from shared.lookups.address import At, Working
from shared.work import Alive

FORGOTTEN_MS = 30_000
"""Progress that is not told again for so long is of a look-up that ended."""


class Progress:
    """Of the look-up of one script."""

    def __init__(self, client: redis.Client, keys: Keys, scripthash: str, since_ms: int, alive: Alive) -> None:
        self._redis = client
        self._key = keys.progress(scripthash)
        self._since_ms = since_ms
        self._alive = alive

    async def at(self, done: float | None, at: At, queued: int = 0) -> None:
        """So far, 0 to 1; None: nobody knows, or it waits for its turn, with so many before it."""
        self._alive()
        working = Working(progress=done, since_ms=self._since_ms, queued=queued, at=at)
        with contextlib.suppress(*redis.TROUBLE):  # who waits is told less
            await self._redis.set(self._key, msgspec.json.encode(working), px=FORGOTTEN_MS)

    async def wait(self, before: Callable[[], int]) -> None:
        """Say now and then that it waits for its turn, and how many come before it, for ever."""
        while True:
            await self.at(None, "turn", before())
            await asyncio.sleep(1)

    async def over(self) -> None:
        """It ended."""
        with contextlib.suppress(*redis.TROUBLE):
            await self._redis.delete(self._key)

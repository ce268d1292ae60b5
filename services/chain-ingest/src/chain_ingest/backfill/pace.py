"""How much of a node the backfill takes: one request at a time, then a rest in proportion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final

LONGEST_REST: Final = 60.0
"""Seconds: an answer that came late must not stop the backfill for hours, however low the load."""


class Pace:
    """A context around each request to the node; waits first, until the node has rested from the one before.

    What the worker does meanwhile with the answer counts as rest, since the node is idle.
    """

    def __init__(self, load: int, clear: Callable[[], Awaitable[None]]) -> None:
        """`load` in per cent, 1 to 100; `clear` returns once nothing more important is in the way."""
        self._rest = (100 - load) / load
        self._clear = clear
        self._lock = asyncio.Lock()
        self._began = 0.0
        self._ready = 0.0

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        try:
            await asyncio.sleep(max(0.0, self._ready - time.monotonic()))
            await self._clear()
        except BaseException:
            self._lock.release()
            raise
        self._began = time.monotonic()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now = time.monotonic()
        self._ready = now + min((now - self._began) * self._rest, LONGEST_REST)
        self._lock.release()

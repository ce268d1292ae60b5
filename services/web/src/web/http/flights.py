"""Work that several ask for at the same time is done once, few pieces at once, and never waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from shared.tasks import end
from web.http.answers import Unavailable

T = TypeVar("T")

AT_ONCE: Final = 2
"""Pieces that are worked on at once: each keeps one processor busy."""

WAITING: Final = 64
"""Different pieces that are under way at most; beyond that the answer is that we are busy."""

LIMIT: Final = 10.0
"""Seconds for one piece, the wait for its turn included."""


class SingleFlight(Generic[T]):
    """What is under way, by what it is about."""

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}

    async def do(self, key: Hashable, build: Callable[[], Awaitable[T]]) -> T:
        """What `build` makes, or what is being made for this key already. Raises Unavailable, and as it does."""
        task = self._tasks.get(key)
        if task is None:
            if len(self._tasks) >= WAITING:
                raise Unavailable("Too much is asked for at once. Ask again in a few seconds.")
            task = asyncio.get_running_loop().create_task(self._work(build), name=f"chart {key}")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)  # who goes away does not take it from the others

    async def _work(self, build: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._limit), self._turns:
                return await build()
        except TimeoutError as error:
            raise Unavailable("This took too long. The next request tries again.") from error

    def _done(self, key: Hashable, task: asyncio.Task[T]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever asked was told

    async def close(self) -> None:
        """End what is under way."""
        await end(*self._tasks.values())

"""The one back-off: at once the first time, then after pauses that double up to a limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from shared.tasks import pause


class Backoff:
    """When the same may be tried again. Seconds, by the steady clock.

    It is over once `reset` says so, and where nobody tried for `quiet` beyond the last pause.
    """

    def __init__(
        self,
        first: float,
        longest: float,
        *,
        quiet: float = float("inf"),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pause = 0.0  # from the last attempt to the next; 0 before the first
        self.repeats = 0  # times that it was tried again
        self._first = first
        self._longest = longest
        self._quiet = quiet
        self._steady = steady
        self._tried_at = float("-inf")

    @property
    def wait(self) -> float:
        """Until it may be tried (again); 0: now."""
        return max(0.0, self._tried_at + self.pause - self._steady())

    def tried(self) -> bool:
        """It is being tried now. Returns whether that is the first time."""
        now = self._steady()
        first = not self.pause or now > self._tried_at + self.pause + self._quiet
        self.repeats = 0 if first else self.repeats + 1
        self.pause = self._first if first else min(2 * self.pause, self._longest)
        self._tried_at = now
        return first

    def reset(self) -> None:
        """What was tried is over: the next attempt is a first one."""
        self.pause, self.repeats = 0.0, 0

    async def rest(self, stopping: asyncio.Event) -> None:
        """An attempt failed: pause before the next. A service that is to stop waits no longer."""
        self.tried()
        await pause(stopping, self.pause)

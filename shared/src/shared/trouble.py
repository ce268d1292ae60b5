"""What every service does about an error of Redis: name it in words, show it, and wait it out with patience."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from shared import redis
from shared.logging import Trouble

if TYPE_CHECKING:
    from shared.service import Service

FIRST_SECONDS: Final = 0.2
LONGEST_SECONDS: Final = 5.0


class Patience:
    """Ever longer pauses between attempts, until one succeeds. A service that is to stop waits no longer."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._seconds = FIRST_SECONDS

    async def wait(self) -> None:
        """Pause before the next attempt."""
        seconds, self._seconds = self._seconds, min(2 * self._seconds, LONGEST_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def reset(self) -> None:
        """An attempt succeeded."""
        self._seconds = FIRST_SECONDS


class RedisTrouble:
    """An error of Redis in the loop of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._trouble = Trouble(service.log, "redis")
        self._patience = Patience(service.stopping)

    @property
    def lasting(self) -> bool:
        """Whether it still stands."""
        return self._trouble.lasting

    async def wait_out(self, error: BaseException) -> None:
        """Say what is wrong in the log and the heartbeat, then pause before the next attempt."""
        said = redis.words(error, self._service.redis_url)
        self._trouble.failed(said)
        self._service.health.degraded(said)
        await self._patience.wait()

    def ended(self) -> None:
        """Redis did what it was asked to."""
        self._trouble.ended()
        self._patience.reset()

"""What every service does about an error of Redis: name it in words, show it, and wait it out with patience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared import redis
from shared.backoff import Backoff
from shared.logging import Trouble

if TYPE_CHECKING:
    from shared.service import Service

FIRST_SECONDS: Final = 0.2
LONGEST_SECONDS: Final = 5.0
"""Pauses between two attempts."""


class RedisTrouble:
    """An error of Redis in the loop of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._trouble = Trouble(service.log, "redis")
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS)

    @property
    def lasting(self) -> bool:
        """Whether it still stands."""
        return self._trouble.lasting

    async def wait_out(self, error: BaseException) -> None:
        """Say what is wrong in the log and the heartbeat, then pause before the next attempt."""
        said = redis.words(error, self._service.redis_url)
        self._trouble.failed(said)
        self._service.health.degraded(said)
        await self._backoff.rest(self._service.stopping)

    def ended(self) -> None:
        """Redis did what it was asked to."""
        self._trouble.ended()
        self._backoff.reset()

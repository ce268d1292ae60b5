"""Which clock tells what: the wall names a moment, the steady clock measures how long, Redis' own is the common one.

The wall clock of a machine may be wrong and may step, so no interval is taken from it. Moments that two machines
compare are Redis' (`TIME`): whoever writes one takes it inside the script that writes, and whoever reads one asks Redis
in the same round trip and counts on from there by its own steady clock.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from shared.redis import Client

SKEW_MS: Final = 60_000
"""A wall clock that differs by more than this from another is named as wrong."""


DELAY_MS: Final = 400
"""An answer within this tells the time; half of it is what the clock may be wrong by."""

PATIENCE_MS: Final = 60_000
"""How long the time is counted on from the last such answer, before one that took longer must do."""

TIME: Final = "return redis.call('TIME')"
"""The clock of the server that has the script's key: a plain TIME goes to any of a cluster."""


class Moment(NamedTuple):
    """One moment, by two clocks."""

    wall_ms: int  # Unix milliseconds by this machine's wall clock: to name it
    steady_ms: int  # milliseconds since some beginning, never back: to pace and to measure


def now() -> Moment:
    """This moment."""
    return Moment(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000)


class RedisClock:
    """Redis' clock as it was heard last, counted on by the steady clock of this process."""

    def __init__(self) -> None:
        self._ahead_ms: int | None = None  # Redis' clock less our steady one
        self._exact_ms = 0  # by the steady clock: when it was last heard without delay

    async def ask(self, client: Client, key: str) -> None:
        """Hear the time of the server that has the key, of a cluster's several; the way there and back counts half."""
        began = now().steady_ms
        seconds, micros = await client.execute_command("EVAL", TIME, 1, key)
        self.heard(int(seconds) * 1000 + int(micros) // 1000, began, now().steady_ms)

    def heard(self, redis_ms: int, asked_ms: int, answered_ms: int) -> None:
        """Redis said `redis_ms` between these moments of our steady clock.

        An answer that was long on its way, or that we came to late, says little: what was known before stands, for a
        while.
        """
        exact = answered_ms - asked_ms <= DELAY_MS
        if exact or self._ahead_ms is None or answered_ms - self._exact_ms > PATIENCE_MS:
            self.told(redis_ms, (asked_ms + answered_ms) // 2)
        if exact:
            self._exact_ms = answered_ms

    def told(self, redis_ms: int, steady_ms: int) -> None:
        """Redis said `redis_ms` when our steady clock read `steady_ms`."""
        self._ahead_ms = redis_ms - steady_ms

    @property
    def now_ms(self) -> int:
        """Unix milliseconds by Redis' clock; by our wall clock before it was heard."""
        moment = now()
        return moment.wall_ms if self._ahead_ms is None else moment.steady_ms + self._ahead_ms

    @property
    def skew_ms(self) -> int:
        """How far our wall clock is ahead of Redis'; 0 before it was heard."""
        return 0 if self._ahead_ms is None else now().wall_ms - self.now_ms

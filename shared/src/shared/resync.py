"""A fold that lost entries, or whose state is of no use, asks the producer to begin anew.

The request stands until it is answered: the producer deletes it in the commit that begins anew. One that vanished
otherwise is made again. A cause that comes back again and again is asked for ever more rarely.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from redis.exceptions import ResponseError

from shared.backoff import Backoff
from shared.checkpoint import Position
from shared.events.ops import GapDetected

if TYPE_CHECKING:
    from shared.service import Service

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 300.0
"""Least time between two requests: doubled at each."""

QUIET_SECONDS: Final = 60.0
"""A gap that comes later than this (and than twice the last pause) after all was well again is a new one."""

LOOK_SECONDS: Final = 1.0
"""Between two looks whether the request still stands."""


class Resync:
    """The request of one fold."""

    def __init__(self, service: Service, key: str, stream: str) -> None:
        self.cause = ""  # why everything is skipped until the stream begins anew; empty while nothing is
        self.count = 0  # requests made
        self._service = service
        self._key = key
        self._stream = stream
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS)
        self._well_since = float("-inf")
        self._stands = False
        self._next_at = 0.0
        self._gone_at: Position | None = None  # the end of the stream when the request was seen to be gone

    def needed(self, cause: str) -> None:
        """From here on everything is skipped, until `answered`."""
        now = time.monotonic()
        if now - self._well_since > max(QUIET_SECONDS, 2 * self._backoff.pause):
            self._backoff.reset()
        self.cause, self._stands, self._gone_at = cause, False, None
        self._next_at = now + self._backoff.wait

    def answered(self) -> None:
        """The stream began anew, and that is committed."""
        self.cause = ""
        self._well_since = time.monotonic()

    async def tend(self, position: Position) -> None:
        """Ask where it is time to; `position` is how far the stream was read."""
        now = time.monotonic()
        if not self.cause or now < self._next_at:
            return
        if self._stands:
            self._next_at = now + LOOK_SECONDS
            if await self._service.redis.exists(self._key):
                self._gone_at = None
                return
            if self._gone_at is None:
                self._gone_at = await self._end()
            if self._gone_at.is_beyond(position.entry):
                return  # the beginning may be among what is still to be read
            self._stands, self._gone_at = False, None
            self._next_at = now + self._backoff.wait
            if now < self._next_at:
                return
        await self._ask()

    async def _end(self) -> Position:
        try:
            info = await self._service.redis.xinfo_stream(self._stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return Position()
        return Position(info["last-generated-id"].decode())

    async def _ask(self) -> None:
        await self._service.redis.set(self._key, self.cause, nx=True)
        self._stands = True
        self._next_at = time.monotonic() + LOOK_SECONDS
        self.count += 1
        if self._backoff.tried():
            await self._service.say(GapDetected, self.cause)
        else:
            self._service.log.warning("resync_asked_again", cause=self.cause, times=self.count)

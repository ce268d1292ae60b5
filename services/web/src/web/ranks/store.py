"""Keeps the past of ranks ready: days that are over are read once, the newest two every minute that somebody asks.

A day is some 4 kB of JSON, of which only Bitcoin's place is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from shared.keys import Keys
from shared.redis import TROUBLE, words
from shared.series import DAY
from web.http.answers import Unavailable
from web.http.prepared import Built
from web.ranks.past import PERIODS, Past, Place, Row, bitcoin, rows
from web.state.disclosure import masked
from web.state.reading import READ_LIMIT, State

REFRESH: Final = 60
"""Seconds after which the ranks of today are read anew; marketcap writes them every ten minutes."""

TOGETHER: Final = 64
"""Days asked for at once, so that decoding them holds up nobody."""


class Ranks:
    """The past of every list."""

    def __init__(
        self,
        state: State,
        client: Any,
        keys: Keys,
        log: structlog.stdlib.BoundLogger,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._state = state
        self._client = client
        self._keys = keys
        self._log = log
        self._now = now or (lambda: state.now)
        self._places: dict[str, dict[int, Place | None]] = {}  # by list and day
        self._built: Built[Past] = Built()
        self._last: dict[str, Past] = {}

    async def past(self, name: str) -> Past:
        """Of one of shared.assets.LISTS: the same object as long as nothing changed. Raises Unavailable."""
        held, now = self._last.get(name), int(self._now())
        error = self._state.snapshot.redis_error
        if error:  # pages do not wait for Redis
            if held is None:
                raise Unavailable(masked(error))
            return held
        try:
            made = await self._built.get(name, now // REFRESH, partial(self._read, name, now // DAY))
        except Unavailable:
            if held is None:
                raise
            return held
        if made != held:
            self._last[name] = made
        return self._last[name]

    def last(self, name: str) -> Past | None:
        """What `past` gave last, without asking anybody."""
        return self._last.get(name)

    async def _read(self, name: str, today: int) -> Past:
        try:
            async with asyncio.timeout(READ_LIMIT):
                return await self._gathered(name, today)
        except TROUBLE as error:
            why = masked(words(error)).strip().rstrip(".")
            raise Unavailable(f"{why}. It is tried again by itself.") from error

    async def _gathered(self, name: str, today: int) -> Past:
        known = self._places.setdefault(name, {})
        days = sorted(int(day) for day in await self._client.hkeys(self._keys.ranks(name)) if day.isdigit())
        for gone in known.keys() - set(days):
            del known[gone]
        wanted = [day for day in days if day not in known or day >= today - 1]
        for first in range(0, len(wanted), TOGETHER):
            found = await self._days(name, wanted[first : first + TOGETHER])
            known.update({day: bitcoin(day, ranked) for day, ranked in found.items()})
        before = await self._days(name, [today - days for days in PERIODS.values()])
        ranks = {
            period: {row.id: row.rank for row in before[today - days]}
            for period, days in PERIODS.items()
            if before[today - days]
        }
        return Past(name, tuple(place for day in days if (place := known[day]) is not None), ranks)

    async def _days(self, name: str, days: list[int]) -> dict[int, list[Row]]:
        """What is kept of these days; nothing of one that is not there, or cannot be read."""
        found: dict[int, list[Row]] = {}
        for day, raw in zip(days, await self._client.hmget(self._keys.ranks(name), days), strict=True):
            try:
                found[day] = rows(raw) if raw is not None else []
            except msgspec.DecodeError as error:
                self._log.warning("ranks_unreadable", list=name, day=day, error=str(error))
                found[day] = []
        return found

    async def close(self) -> None:
        """End what is being read."""
        await self._built.close()

"""Keeps the figures of mining pools ready: each range and each pool is worked out once for a change of the chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from shared.domains import HISTORY
from shared.pools import UNKNOWN
from shared.views import HistoryView
from web.charts.data.reading import SeriesReader
from web.http.answers import Unavailable
from web.http.prepared import Built
from web.miners.figures import UNKNOWN_SLUG, Miner, Over, slug_of
from web.miners.reading import EACH_BLOCK, RANGES, Activity, activity, over
from web.state import conditions
from web.state.reading import State
from web.words.sentence import joined

T = TypeVar("T")

REFRESH: Final = 60
REFRESH_DAYS: Final = 600
"""Seconds after which a range is worked out anew although nothing changed, because it ends now: counted block by block,
and in whole days."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One pool: its figures over every range, and what it did lately."""

    pool: int
    name: str | None  # None: the blocks whose pool nobody knows
    slug: str
    ranges: tuple[tuple[Over, Miner], ...]
    activity: Activity


class Miners:
    """Every range, and every pool that somebody asks for. Each call raises Unavailable, saying what is missing."""

    def __init__(self, state: State, reader: SeriesReader, now: Callable[[], float] | None = None) -> None:
        self._state = state
        self._reader = reader
        self._now = now or (lambda: state.now)
        self._built: Built[object] = Built()
        self._last: dict[Hashable, object] = {}  # what was made last, for as long as Redis gives nothing newer

    async def over(self, name: str) -> Over:
        """All pools over one of RANGES: the same object as long as nothing changed."""
        seconds = RANGES[name]
        history, now = self._history(), int(self._now())
        tick = now // (REFRESH if seconds is not None and seconds <= EACH_BLOCK else REFRESH_DAYS)
        return await self._kept(name, tick, partial(over, self._reader, history, name, now))

    async def profile(self, slug: str) -> Profile | None:
        """The pool of this slug; None where there is none."""
        history, now = self._history(), int(self._now())
        ranges = [await self.over(one) for one in RANGES]
        known = {miner.slug: (miner.pool, miner.name) for one in ranges for miner in one.miners}
        if slug not in known and slug != UNKNOWN_SLUG:
            # A link made from the name alone, of one of several pools whose names have the same letters.
            alike = {slug_of(miner.name): miner.slug for miner in reversed(ranges[-1].miners) if miner.name}
            if slug not in alike:
                return None
            slug = alike[slug]
        pool, name = known.get(slug, (UNKNOWN, None))
        lately = partial(activity, self._reader, history, pool, now)
        found = await self._kept(("pool", pool), now // REFRESH_DAYS, lately)
        profile = Profile(pool, name, slug, tuple((one, one.of(pool, name, slug)) for one in ranges), found)
        held = self._last.get(("profile", pool))
        if not isinstance(held, Profile) or not _same(held, profile):
            held = self._last["profile", pool] = profile
        return held

    def _history(self) -> HistoryView:
        snapshot = self._state.snapshot
        history = snapshot[HistoryView]
        if history is None:
            absence = conditions.absence(snapshot, self._now(), HISTORY)
            raise Unavailable(joined(absence.why, absence.then))
        return history

    async def _kept(self, key: Hashable, tick: int, build: Callable[[], Awaitable[T]]) -> T:
        """What was made for this state of the chain and this time, made now where it was not."""
        held: T | None = self._last.get(key)  # type: ignore[assignment]  # a key is always of the same kind
        if held is not None and self._state.snapshot.redis_error:
            return held
        try:
            made: T = await self._built.get(key, (self._state.changes["history"], tick), build)  # type: ignore[assignment]
        except Unavailable:
            if held is None:
                raise
            return held  # the notices on top of every page say what is wrong
        self._last[key] = made
        return made

    async def close(self) -> None:
        """End what is being worked out."""
        await self._built.close()


def _same(one: Profile, other: Profile) -> bool:
    """Whether both are made of the same objects."""
    pairs = zip(one.ranges, other.ranges, strict=True)
    return one.activity is other.activity and all(a[0] is b[0] for a, b in pairs)

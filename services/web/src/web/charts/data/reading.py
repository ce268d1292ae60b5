"""Reads series for charts, within limits of time, and finds the heights of a span of time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from shared import pools, records, series
from shared.errors import TooLong, UnknownLayout
from shared.keys import Keys
from shared.networks import RETARGET_INTERVAL, Network
from shared.pools import Share
from shared.records import Header
from shared.redis import TROUBLE, words
from shared.series import RETARGETS, Series
from shared.views import HistoryView
from web.http.answers import Unavailable
from web.state.disclosure import masked

R = TypeVar("R")
T = TypeVar("T")

READ_LIMIT: Final = 4.0
"""Seconds within which Redis must answer one reading."""

OUT_OF_ORDER: Final = 4 * 3_600
"""Seconds by which a block may claim to be older than one below it: two hours into the future are allowed, and the
median of eleven lags behind."""


HEADER_TIMES: Final = series.HEADERS.read_as(records.HEADER_TIME)
HOUR_HASHRATES: Final = series.HOURS.read_as(records.BUCKET_HASHRATES)
DAY_WORK: Final = series.DAYS.read_as(records.BUCKET_WORK)
MINED_BLOCKS: Final = series.BLOCKS.read_as(records.MINED_BLOCK)
DAY_HASHRATES: Final = series.DAYS.read_as(records.BUCKET_HASHRATES)
FLOWS: Final = {
    "10s": series.FLOW_10S.read_as(records.FLOW_LANES),
    "minute": series.FLOW_MINUTES.read_as(records.FLOW_LANES),
    "hour": series.FLOW_HOURS.read_as(records.FLOW_LANES),
}
CONGESTIONS: Final = {
    "minute": series.CONGESTION_MINUTES.read_as(records.CONGESTION_LANES),
    "hour": series.CONGESTION_HOURS.read_as(records.CONGESTION_LANES),
}
MIN_FEERATES: Final = {
    "minute": series.CONGESTION_MINUTES.read_as(records.MIN_FEE_RATE),
    "hour": series.CONGESTION_HOURS.read_as(records.MIN_FEE_RATE),
}
"""The same bytes as the whole series, of which a chart reads only what it needs."""


class SeriesReader:
    """The series of one network. Every call raises Unavailable where Redis refuses, or does not answer in time."""

    def __init__(self, client: Any, keys: Keys, network: Network, limit: float = READ_LIMIT) -> None:
        self.network = network
        self._client = client
        self._keys = keys
        self._limit = limit

    async def read(self, wanted: Series[R], first: int, last: int) -> list[tuple[int, R]]:
        """(index, record) from `first` to `last`, ascending."""
        return await self._within(self._read(wanted, first, last))

    async def _read(self, wanted: Series[R], first: int, last: int) -> list[tuple[int, R]]:
        found = await series.read(self._client, self._keys, wanted, first, last)
        if wanted.domain == "chain":  # whose writer makes again what is lost
            size = wanted.segment
            empty = set(range(max(first, 0) // size, last // size + 1)) - {index // size for index, _ in found}
            if empty and await series.lost(self._client, self._keys, wanted, sorted(empty)):
                raise Unavailable(
                    f"A part of the series “{wanted.name}” was lost in Redis. chain-history is making it again; "
                    "this page works as soon as it is there."
                )
        return found

    async def pools(self, first_day: int, last_day: int) -> tuple[list[tuple[int, Share]], dict[int, str]]:
        """(day, share) of the days from first to last, and the pools' names by their id."""
        return await self._within(pools.read(self._client, self._keys, first_day, last_day))

    async def pools_together(self, first_day: int, last_day: int) -> tuple[list[Share], dict[int, str]]:
        """As `pools`, the shares of all these days summed up."""
        return await self._within(pools.read_sums(self._client, self._keys, first_day, last_day))

    async def days_of(self, pool: int, first_day: int, last_day: int) -> dict[int, int]:
        """How many blocks a pool found on each of the days from first to last on which it found any."""
        return await self._within(pools.read_days_of(self._client, self._keys, pool, first_day, last_day))

    async def _within(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._limit):
                return await work
        except (UnknownLayout, TooLong) as error:
            raise Unavailable(f"{error}. It is tried again by itself.") from error
        except TROUBLE as error:
            why = masked(words(error)).strip().rstrip(".")
            raise Unavailable(f"{why}. It is tried again by itself.") from error

    async def retargets(self, history: HistoryView) -> list[tuple[int, Header]]:
        """(period, its first header) of every period whose first header is known."""
        return await self.read(RETARGETS, 0, history.height // RETARGET_INTERVAL)

    async def heights(self, start: int, end: int, history: HistoryView) -> range:
        """The heights between the first block with a time from `start` on and the last with one before `end`.

        Times need not rise with the height, so a few blocks in between may lie outside.
        """
        periods = await self.retargets(history)
        first = await self._first_from(start, periods, history)
        if end > history.time + OUT_OF_ORDER:
            return range(first, history.height + 1)
        return range(first, await self._last_before(end, periods, history) + 1)

    async def _times(self, first: int, last: int) -> list[tuple[int, int]]:
        found = await self.read(HEADER_TIMES, first, last)
        if not found:
            raise Unavailable(
                f"The headers of blocks {first:,} to {last:,} are not in Redis, though the history says that they are. "
                "It is tried again by itself."
            )
        return found

    async def _first_from(self, moment: int, periods: list[tuple[int, Header]], history: HistoryView) -> int:
        """The lowest height with a time of at least `moment`, one above the tip where there is none."""
        low = history.first_header
        for period, header in periods:
            if header.time >= moment - OUT_OF_ORDER:
                break
            low = period * RETARGET_INTERVAL
        while low <= history.height:
            last = min(low // RETARGET_INTERVAL * RETARGET_INTERVAL + RETARGET_INTERVAL, history.height + 1) - 1
            for height, time in await self._times(low, last):
                if time >= moment:
                    return height
            low = last + 1
        return low

    async def _last_before(self, moment: int, periods: list[tuple[int, Header]], history: HistoryView) -> int:
        """The highest height with a time before `moment`, one below the lowest known where there is none."""
        high = history.height
        for period, header in reversed(periods):
            if header.time < moment + OUT_OF_ORDER:
                break
            high = period * RETARGET_INTERVAL - 1
        while high >= history.first_header:
            first = max(high // RETARGET_INTERVAL * RETARGET_INTERVAL, history.first_header)
            for height, time in reversed(await self._times(first, high)):
                if time < moment:
                    return height
            high = first - 1
        return high

    async def begins(self, history: HistoryView) -> int:
        """Time of the chain's first mined block: the genesis block of a test chain is years older."""
        if history.first_header > 1:
            return self.network.genesis_time
        found = await self.read(HEADER_TIMES, 1, 1)
        return found[0][1] if found else self.network.genesis_time

    async def halved(self, history: HistoryView) -> int:
        """Time of the first block since the last halving, of the lowest known where that one is not known yet."""
        height = history.height // self.network.halving_interval * self.network.halving_interval
        known = max(height, history.first_header)
        found = await self.read(HEADER_TIMES, known, known)
        return found[0][1] if found else self.network.genesis_time

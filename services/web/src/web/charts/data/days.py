"""What a bitcoin cost on each day, for pages with many moments on them: one reading a currency, kept for a while."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from shared.prices import BEGINNING
from shared.series import DAY
from web.charts.data.prices import priced
from web.charts.data.reading import SeriesReader
from web.http.answers import Unavailable
from web.http.flights import SingleFlight

KEPT_SECONDS: Final = 600.0
"""After which the days are read anew; what could not be read is asked for again after AGAIN_SECONDS."""

AGAIN_SECONDS: Final = 10.0


class DayPrice(NamedTuple):
    """What a bitcoin cost at the end of a day (UTC), in units of the currency."""

    price: float
    sample: bool  # made up


class DayPrices:
    """The days of each currency that somebody reads in."""

    def __init__(self, reader: SeriesReader, now: Callable[[], float]) -> None:
        """`now` tells Unix seconds."""
        self._reader = reader
        self._now = now
        self._flights: SingleFlight[None] = SingleFlight()
        self._days: dict[str, dict[int, DayPrice]] = {}
        self._until: dict[str, float] = {}

    async def ready(self, currency: str) -> None:
        """See to it that `at` knows what is known. Without Redis it knows what it knew."""
        if time.monotonic() >= self._until.get(currency, 0.0):
            with contextlib.suppress(Unavailable):
                await self._flights.do(currency, lambda: self._read(currency))

    def at(self, currency: str, moment: float) -> DayPrice | None:
        """Of the day of this moment (Unix seconds); None where it is not known."""
        return self._days.get(currency, {}).get(int(moment) // DAY)

    async def _read(self, currency: str) -> None:
        try:
            found = await priced(self._reader, currency, DAY, BEGINNING, int(self._now()) + DAY)
        except Unavailable:
            self._until[currency] = time.monotonic() + AGAIN_SECONDS
            return
        self._days[currency] = {one.time // DAY: DayPrice(one.close, one.source == "sample") for one in found}
        self._until[currency] = time.monotonic() + (KEPT_SECONDS if found else AGAIN_SECONDS)

    async def close(self) -> None:
        """End what is being read."""
        await self._flights.close()

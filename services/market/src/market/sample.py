"""A price that is made up, for the demonstration where no source answers: plausible, moving, and marked everywhere.

The past follows a curve through what a bitcoin really cost at the turn of some years, with noise that is the same on
every run; the present walks at random from its end.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from market.exchange import Candle, Said
from market.past import FIRST_DAY, Past
from market.state import Market
from shared.outside import ecb
from shared.prices import DIRECT, NUMBERS
from shared.series import DAY, HOUR, MINUTE
from shared.service import Service
from shared.tasks import pause

NAME: Final = "sample"

AFTER_SECONDS: Final = 15.0
"""Without any source's answer for so long after the start, the sample begins."""

STEP_SECONDS: Final = 2.0

_TURNS: Final = (0.3, 5, 13, 750, 320, 430, 960, 14_000, 3_700, 7_200, 29_000, 46_000, 16_500, 42_000, 93_000, 88_000)
"""Dollars at the turn of each year from 2010/11 on, rounded; beyond, the last one stands."""

_FIRST_TURN: Final = 1_293_840_000
_YEAR: Final = 365.25 * DAY


def possible(service: Service, demonstration: bool) -> bool:
    """Whether prices may be made up here: in the demonstration, which runs on regtest alone."""
    return demonstration and service.settings.network == "regtest"


def dollars(time: int) -> float:
    """What the made-up bitcoin cost at a moment."""
    years = (time - _FIRST_TURN) / _YEAR
    place = min(max(years, -1.0), len(_TURNS) - 1.001)
    at = max(int(place), 0)
    low, high = math.log(_TURNS[at]), math.log(_TURNS[min(at + 1, len(_TURNS) - 1)])
    base = low + (high - low) * (place - at)
    return math.exp(base + sum(_wave(time, period, depth) for period, depth in _WAVES))


_WAVES: Final = ((97 * DAY, 0.16), (23 * DAY, 0.07), (5.3 * DAY, 0.03), (0.83 * DAY, 0.012), (2.7 * HOUR, 0.004))


def _wave(time: int, period: float, depth: float) -> float:
    phase = time / period
    return depth * (math.sin(2 * math.pi * phase) + 0.5 * math.sin(2 * math.pi * phase * 1.618 + period))


_Span = tuple[int, float, float, float, float]
"""Time in Unix seconds, open, high, low, close in dollars."""

_AT_ONCE: Final = 50
"""Spans that are made up before others have their turn."""


def _dollars(time: int, step: int) -> _Span:
    points = [dollars(time + step * part // 4) for part in range(5)]
    return time, points[0], max(points), min(points), points[-1]


def _candle(time: int, opened: float, high: float, low: float, close: float, factor: float) -> Candle:
    exact = [Decimal(f"{value * factor:.2f}") for value in (opened, high, low, close)]
    return Candle(time, *exact)


@dataclass(slots=True)
class Sample:
    """The made-up source."""

    service: Service
    market: Market
    heard: Callable[[], None]

    async def run(self) -> None:
        """Wait whether anybody answers; where nobody does, make prices up until somebody does."""
        stopping = self.service.stopping
        await pause(stopping, AFTER_SECONDS)
        while self.market.rates is None and not stopping.is_set():  # those that are shipped are on their way
            await pause(stopping, 0.1)
        chance = random.Random()  # noqa: S311 - prices that are made up, no secrets
        drift = 0.0
        while not stopping.is_set():
            if self._answered():
                await self._end()
                return
            if not self.market.sample:
                await self._begin()
            now_ms = self.service.clock.now_ms
            drift = 0.98 * drift + chance.gauss(0, 0.0003)
            dollar = dollars(now_ms // 1000) * math.exp(drift)
            for currency, factor in self._factors().items():
                said = Said(currency, Decimal(f"{dollar * factor:.2f}"), None)
                self.market.hear(NAME, said, now_ms)
            self.heard()
            await pause(stopping, STEP_SECONDS)

    def _answered(self) -> bool:
        return any(
            source != NAME for currency in self.market.book.currencies for source in self.market.book.quotes(currency)
        )

    def _factors(self) -> dict[str, float]:
        found = {"USD": 1.0}
        rates = self.market.rates.newest if self.market.rates is not None else {}
        for currency in DIRECT:
            factor = ecb.cross(Decimal(1), "USD", currency, rates)
            if factor is not None:
                found[currency] = float(factor)
        return found

    async def _begin(self) -> None:
        self.service.log.warning("sample_prices", why="no source answers: prices are made up from now on")
        self.market.sample = True
        await fill(self.market.past, self._factors(), self.service.clock.now_ms // 1000)

    async def _end(self) -> None:
        if self.market.sample:
            self.service.log.warning("sample_prices_end", why="a source answers")
        await forget(self.market)  # also what a replica of before made up


async def forget(market: Market) -> None:
    """Take out everything that was made up, whoever did it."""
    market.sample = False
    market.forget_source(NAME)
    await market.past.forget(NUMBERS[NAME])


async def fill(past: Past, factors: dict[str, float], now: int) -> None:
    """A past since 2010, as candles of days, hours and minutes; others have their turn meanwhile."""
    spans = ((DAY, FIRST_DAY), (HOUR, now // HOUR - 90 * 24), (MINUTE, now // MINUTE - 2 * 1_440))
    for step, first in spans:
        for begin in range(first, now // step, _AT_ONCE):
            made = [_dollars(index * step, step) for index in range(begin, min(begin + _AT_ONCE, now // step))]
            for currency, factor in factors.items():
                past.candles(step, currency, [_candle(*one, factor) for one in made], NUMBERS[NAME])
            await asyncio.sleep(0)

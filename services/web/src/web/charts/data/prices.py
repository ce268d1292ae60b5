"""What a bitcoin has cost, in any currency: by minute, hour or day, of what market keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.price_records import Bar
from shared.prices import DIRECT, FX, MILLION, RATES_STAND, SOURCES
from shared.series import DAY, FX_DAYS, HOUR, MINUTE, PRICE_DAYS, PRICE_HOURS, PRICE_MINUTES, Series
from web.charts.data.reading import SeriesReader

STEPS: Final[Sequence[tuple[int, dict[str, Series[Bar]], str]]] = (
    (MINUTE, PRICE_MINUTES, "minute"),
    (HOUR, PRICE_HOURS, "hour"),
    (DAY, PRICE_DAYS, "day"),
)
"""Seconds of a span, its series by currency, and what it is called."""


class Priced(NamedTuple):
    """One span: its beginning in Unix seconds, and prices as numbers; None: not known."""

    time: int
    open: float | None
    high: float | None
    low: float | None
    close: float
    source: str  # a value of shared.prices.SOURCES


async def priced(reader: SeriesReader, currency: str, step: int, start: int, end: int) -> list[Priced]:
    """All that is known from `start` to before `end`. Raises Unavailable."""
    by_currency = next(series for seconds, series, _ in STEPS if seconds == step)
    first, last = start // step, (end - 1) // step
    if currency in DIRECT:
        return _direct(await reader.read(by_currency[currency], first, last), step)
    dollars = await reader.read(by_currency["USD"], first, last)
    rates = await _rates(reader, currency, start, end)
    found = []
    for index, bar in dollars:
        rate = _at(rates, index * step // DAY)
        if rate is not None:
            made_up = SOURCES.get(bar.source) == "sample"
            found.append(_of(index * step, bar, rate, "sample" if made_up else "cross"))
    return found


def _direct(bars: Sequence[tuple[int, Bar]], step: int) -> list[Priced]:
    """In the currency that they are in; there are thousands of them."""
    names = SOURCES
    return [
        Priced(
            index * step,
            opened / MILLION if opened else None,
            high / MILLION if high else None,
            low / MILLION if low else None,
            close / MILLION,
            names.get(number, ""),
        )
        for index, (opened, high, low, close, number) in bars
    ]


def _of(time: int, bar: Bar, rate: float, source: str) -> Priced:
    opened, high, low, close, _ = bar
    return Priced(
        time,
        opened / MILLION * rate if opened else None,
        high / MILLION * rate if high else None,
        low / MILLION * rate if low else None,
        close / MILLION * rate,
        source,
    )


async def _rates(reader: SeriesReader, currency: str, start: int, end: int) -> dict[int, float]:
    """Units of the currency for a dollar, by day."""
    if currency not in FX:
        return {}
    place, usd = FX.index(currency), FX.index("USD")
    found = await reader.read(FX_DAYS, start // DAY - RATES_STAND, end // DAY)
    return {day: rates[place] / rates[usd] for day, rates in found if rates[place] and rates[usd]}


def _at(rates: dict[int, float], day: int) -> float | None:
    return next((rates[day - back] for back in range(RATES_STAND + 1) if day - back in rates), None)


class Found(NamedTuple):
    """What a bitcoin cost at a moment."""

    time: int  # the beginning of the span that the price is of
    price: float
    resolution: str  # minute, hour or day
    source: str


async def price_at(reader: SeriesReader, currency: str, moment: int) -> Found | None:
    """The price of the shortest span around a moment (Unix seconds) that is known; None where none is."""
    for step, _, name in STEPS:
        start = moment // step * step
        for one in await priced(reader, currency, step, start, start + step):
            return Found(one.time, one.close, name, one.source)
    return None

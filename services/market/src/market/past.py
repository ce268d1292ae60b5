"""What a bitcoin has cost: bars by minute, hour and day, from what was published here and from what sources tell.

What is worth more is never replaced by what is worth less (shared.prices.WORTH). A span of which we saw only a part is
worth less than what an exchange tells of all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from market.exchange import Candle
from shared import redis, series
from shared.commit import Commands
from shared.domains import MARKET
from shared.keys import Keys
from shared.price_records import Bar
from shared.prices import FX, NUMBERS, SOURCES, WORTH, millionths, price_of
from shared.series import DAY, FX_DAYS, HOUR, MINUTE, PRICE_DAYS, PRICE_HOURS, PRICE_MINUTES, Series
from shared.series_writer import SeriesWriter

BY_STEP: Final[Mapping[int, Mapping[str, Series[Bar]]]] = {MINUTE: PRICE_MINUTES, HOUR: PRICE_HOURS, DAY: PRICE_DAYS}

BEGINNING: Final = 1_279_324_800 // DAY
"""17 July 2010: the first day on which bitcoin was traded at an exchange."""

_PART: Final = 1
"""Worth of a bar of ours that does not begin with its span."""

_BEGINS_WITHIN: Final = 90
"""Seconds after its beginning within which a span must have been seen to count as whole."""

_LATEST_RATES: Final = 7
"""Days that a rate of the ECB stands for at most: it sets none at weekends and holidays."""


def worth(bar: Bar | None) -> int:
    """Of a bar; -1 where there is none."""
    if bar is None:
        return -1
    source = SOURCES.get(bar.source, "sample")
    return _PART if source == "market" and not bar.open else WORTH[source]


class Past:
    """The bars of every currency that exchanges quote, and the rates of the ECB, with their writers."""

    def __init__(self, keys: Keys) -> None:
        self.bars = {
            (step, currency): SeriesWriter(one, keys, mirrored=True)
            for step, by_currency in BY_STEP.items()
            for currency, one in by_currency.items()
        }
        self.rates = SeriesWriter(FX_DAYS, keys, mirrored=True)

    @property
    def writers(self) -> dict[str, SeriesWriter[Any]]:
        """By the name of their series."""
        every: list[SeriesWriter[Any]] = [*self.bars.values(), self.rates]
        return {writer.series.name: writer for writer in every}

    async def load(self, client: redis.Client, keys: Keys) -> None:
        """Replace what is in memory by what is in Redis."""
        there = await series.segments_of(client, keys, MARKET.slot)
        for name, writer in self.writers.items():
            await writer.load(client, there.get(name, set()))

    def get(self, step: int, currency: str, index: int) -> Bar | None:
        """One bar."""
        return self.bars[step, currency].get(index)

    # --- writing -------------------------------------------------------------------------------------

    def price(self, currency: str, price: Decimal, now_ms: int, source: int) -> None:
        """A price was published: it is part of the minute, the hour and the day."""
        kept, now = millionths(price), now_ms // 1000
        for step in BY_STEP:
            writer, index = self.bars[step, currency], now // step
            bar = writer.get(index)
            if bar is None or (bar.source != source and bar.source == NUMBERS["sample"]):
                whole = now - index * step <= min(_BEGINS_WITHIN, step // 4)
                bar = Bar(kept if whole else 0, kept, kept, kept, source)
            else:
                bar = bar._replace(high=max(bar.high or kept, kept), low=min(bar.low or kept, kept), close=kept)
            writer.put(index, bar)

    def candles(self, step: int, currency: str, candles: Iterable[Candle], source: int) -> None:
        """What an exchange tells of spans that are over."""
        writer, value = self.bars[step, currency], WORTH[SOURCES[source]]
        for one in candles:
            index = one.time // step
            if one.time % step == 0 and worth(writer.get(index)) < value:
                opened, high, low, close = map(millionths, (one.open, one.high, one.low, one.close))
                writer.put(index, Bar(opened, high, low, close, source))

    def closes(self, currency: str, closes: Mapping[int, Decimal], source: int) -> None:
        """What others tell of days that are over: a price each."""
        writer, value = self.bars[DAY, currency], WORTH[SOURCES[source]]
        for day, price in closes.items():
            if day >= BEGINNING and worth(writer.get(day)) < value:
                writer.put(day, Bar(0, 0, 0, millionths(price), source))

    def forget(self, source: int) -> None:
        """Take out everything that came from one source."""
        for writer in self.bars.values():
            size = writer.series.segment
            for segment in list(writer.held):
                for index in range(segment * size, (segment + 1) * size):
                    bar = writer.get(index)
                    if bar is not None and bar.source == source:
                        writer.put(index, None)

    def put_rates(self, past: Mapping[int, tuple[float, ...]]) -> None:
        """The rates of these days; what is the same already is left."""
        for day, rates in past.items():
            if self.rates.get(day) != rates:
                self.rates.put(day, rates)

    def cross_days(self, currency: str, last: int) -> None:
        """Fill days without a price from USD through the ECB's rates, up to the day `last`."""
        if currency == "USD":
            return
        writer, dollars = self.bars[DAY, currency], self.bars[DAY, "USD"]
        usd, place = FX.index("USD"), None if currency == "EUR" else FX.index(currency)
        for day in range(BEGINNING, last + 1):
            base = dollars.get(day) if writer.get(day) is None else None
            rates = self.rates_at(day) if base is not None and base.source != NUMBERS["sample"] else None
            if base is None or rates is None or not rates[usd] or (place is not None and not rates[place]):
                continue
            factor = (1.0 if place is None else rates[place]) / rates[usd]
            writer.put(day, Bar(0, 0, 0, int(base.close * factor), NUMBERS["cross"]))

    def rates_at(self, day: int) -> tuple[float, ...] | None:
        """The rates that held on a day; None where the last ones are too old."""
        for back in range(_LATEST_RATES + 1):
            rates = self.rates.get(day - back)
            if rates is not None:
                return rates
        return None

    def flush(self, commands: Commands) -> None:
        """Commands for what was put since the last call."""
        for writer in self.writers.values():
            writer.flush(commands)

    # --- reading -------------------------------------------------------------------------------------

    def at(self, currency: str, time: int, tolerance: int) -> tuple[int, Decimal] | None:
        """The last price before a moment (Unix seconds), at most `tolerance` seconds older, and when it was."""
        for step in BY_STEP:
            last = time // step - 1
            for index in range(last, max(last - tolerance // step, 0) - 1, -1):
                bar = self.get(step, currency, index)
                if bar is not None:
                    return (index + 1) * step, price_of(bar.close)
        return None

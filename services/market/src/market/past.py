"""What a bitcoin has cost: bars by minute, hour and day, from what was published here and from what sources tell.

What is worth more is never replaced by what is worth less (shared.prices.WORTH). A span of which we saw only a part is
worth less than what an exchange tells of all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from market.exchange import HIGHEST, Candle
from shared import redis, series
from shared.commit import Commands
from shared.domains import MARKET
from shared.keys import Keys
from shared.price_records import Bar
from shared.prices import BEGINNING, FX, MILLION, NUMBERS, RATES_STAND, SOURCES, WORTH, millionths, price_of
from shared.series import DAY, FX_DAYS, HOUR, MINUTE, PRICE_DAYS, PRICE_HOURS, PRICE_MINUTES, Series
from shared.series_writer import SeriesWriter

BY_STEP: Final[Mapping[int, Mapping[str, Series[Bar]]]] = {MINUTE: PRICE_MINUTES, HOUR: PRICE_HOURS, DAY: PRICE_DAYS}

FIRST_DAY: Final = BEGINNING // DAY
"""The first day that is kept."""

_TOO_MUCH: Final = int(HIGHEST) * MILLION
"""What is below fits into a record."""

_HIGHEST_RATE: Final = 1e7
"""Units of a currency for a euro."""

_OURS: Final = NUMBERS["market"]

_PART: Final = 1
"""Worth of a bar of ours that does not begin with its span, or has a gap."""

_BEGINS_WITHIN: Final = 90
"""Seconds after its beginning within which a span must have been seen to count as whole."""

_GAP: Final = 90
"""Seconds without a price after which a span was seen only in part; half of its length where that is less."""


def worth(bar: Bar | None) -> int:
    """Of a bar; -1 where there is none."""
    if bar is None:
        return -1
    return _PART if partly(bar) else WORTH[SOURCES.get(bar.source, "sample")]


def partly(bar: Bar) -> bool:
    """Whether it is ours, and we did not see all of its span."""
    return bar.source == _OURS and not bar.open


class Past:
    """The bars of every currency that exchanges quote, and the rates of the ECB, with their writers."""

    def __init__(self, keys: Keys) -> None:
        self.bars = {
            (step, currency): SeriesWriter(one, keys, mirrored=True)
            for step, by_currency in BY_STEP.items()
            for currency, one in by_currency.items()
        }
        self.rates = SeriesWriter(FX_DAYS, keys, mirrored=True)
        self.reopened: set[tuple[int, str, int]] = set()  # step, currency, index: came to be seen only in part
        self._last: dict[str, int] = {}  # Unix seconds of the last price published, by currency

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
        if not 0 < kept < _TOO_MUCH:
            return
        if source == _OURS:
            self._gap(currency, self._last.get(currency, now), now)
            self._last[currency] = now
        for step in BY_STEP:
            writer, index = self.bars[step, currency], now // step
            bar = writer.get(index)
            if bar is not None and bar.source == source:
                bar = bar._replace(high=max(bar.high or kept, kept), low=min(bar.low or kept, kept), close=kept)
                writer.put(index, bar)
                continue
            whole = now - index * step <= min(_BEGINS_WITHIN, step // 4)
            made = Bar(kept if whole else 0, kept, kept, kept, source)
            if worth(bar) < worth(made):
                writer.put(index, made)

    def resumed(self, now: int) -> None:
        """We begin, or begin again: spans in which nobody published meanwhile were seen only in part."""
        for currency in BY_STEP[MINUTE]:
            last = self._last_minute(currency)
            if last is not None:
                self._gap(currency, last * MINUTE, now, (MINUTE,))
                self._gap(currency, (last + 1) * MINUTE, now, (HOUR, DAY))

    def _last_minute(self, currency: str) -> int | None:
        """The newest minute with a price that was published here."""
        writer = self.bars[MINUTE, currency]
        size = writer.series.segment
        for segment in sorted(writer.held, reverse=True):
            for index in range((segment + 1) * size - 1, segment * size - 1, -1):
                bar = writer.get(index)
                if bar is not None and bar.source == _OURS:
                    return index
        return None

    def _gap(self, currency: str, last: int, now: int, steps: Iterable[int] = tuple(BY_STEP)) -> None:
        """Nothing was published between these moments: a span that lost too much of itself was seen only in part."""
        for step in steps:
            index = last // step
            if min((index + 1) * step, now) - last <= min(_GAP, step // 2):
                continue
            writer = self.bars[step, currency]
            bar = writer.get(index)
            if bar is not None and bar.source == _OURS and bar.open:
                writer.put(index, bar._replace(open=0))
                self.reopened.add((step, currency, index))

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
            close = millionths(price)
            if close and day >= FIRST_DAY and worth(writer.get(day)) < value:
                writer.put(day, Bar(0, 0, 0, close, source))

    async def forget(self, source: int) -> None:
        """Take out everything that came from one source; others have their turn meanwhile."""
        for writer in self.bars.values():
            size = writer.series.segment
            for segment in sorted(writer.held):
                for index in range(segment * size, (segment + 1) * size):
                    bar = writer.get(index)
                    if bar is not None and bar.source == source:
                        writer.put(index, None)
                await asyncio.sleep(0)

    def rewrite(self) -> None:
        """All of it is written anew with the next flush."""
        for writer in self.writers.values():
            writer.rewrite()

    def reset(self) -> None:
        """Forget every bar; rates stay, which are overwritten as they are told."""
        for writer in self.bars.values():
            writer.reset()

    def drop(self, which: Callable[[int, str, int, Bar], bool]) -> None:
        """Take out the bars of which this holds (step, currency, index, bar). Nothing else happens meanwhile."""
        for (step, currency), writer in self.bars.items():
            size = writer.series.segment
            for segment in sorted(writer.held):
                for index, bar in list(writer.back((segment + 1) * size - 1, segment * size)):
                    if which(step, currency, index, bar):
                        writer.put(index, None)

    def put_rates(self, past: Mapping[int, tuple[float, ...]]) -> None:
        """The rates of these days; what is the same already is left."""
        for day, rates in past.items():
            if self.rates.get(day) != rates:
                self.rates.put(day, rates)

    def cross_days(self, currency: str, first: int, last: int) -> None:
        """Fill days without a price from USD through the ECB's rates, both days included."""
        if currency == "USD":
            return
        writer, dollars = self.bars[DAY, currency], self.bars[DAY, "USD"]
        usd, place = FX.index("USD"), None if currency == "EUR" else FX.index(currency)
        for day in range(first, last + 1):
            base = dollars.get(day) if writer.get(day) is None else None
            rates = self.rates_at(day) if base is not None and base.source != NUMBERS["sample"] else None
            if base is None or rates is None:
                continue
            ours, theirs = rates[usd], 1.0 if place is None else rates[place]
            if not (0 < ours < _HIGHEST_RATE and 0 < theirs < _HIGHEST_RATE):  # as nothing that is no number is, either
                continue
            factor = theirs / ours
            close = base.close * factor
            if 1 <= close < _TOO_MUCH:
                writer.put(day, Bar(0, 0, 0, int(close), NUMBERS["cross"]))

    def rates_at(self, day: int) -> tuple[float, ...] | None:
        """The rates that held on a day; None where the last ones are too old."""
        for back in range(RATES_STAND + 1):
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
        found: tuple[int, Decimal] | None = None
        for step in BY_STEP:
            sooner = time - tolerance if found is None else found[0] + 1
            last, first = time // step - 1, max(-(-sooner // step) - 1, 0)
            for index, bar in self.bars[step, currency].back(last, first):
                if not bar.close or (step > MINUTE and partly(bar)):  # which may have ended before
                    continue
                found = (index + 1) * step, price_of(bar.close)
                break
        return found

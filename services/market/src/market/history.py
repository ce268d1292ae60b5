"""Fetches what a bitcoin has cost: the newest first, from whoever tells the most, and from others what is missing.

What was asked for once is not asked for again: of each source, currency and step the span that was asked for is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from market.aggregates import AGGREGATES, Aggregate
from market.exchange import Candle, Exchange
from market.past import FIRST_DAY, Past, worth
from shared.backoff import Backoff
from shared.errors import OutsideError, OutsideMalformed, OutsideNotNow
from shared.logging import Trouble
from shared.outside.client import Outside
from shared.outside.provider import Provider
from shared.outside.tally import Tally
from shared.price_records import Bar
from shared.prices import DIRECT, NUMBERS, SOURCES, WORTH
from shared.series import DAY, HOUR, MINUTE
from shared.service import Service
from shared.tasks import pause

BACK: Final[Mapping[int, int]] = {MINUTE: 2 * 1_440, HOUR: 90 * 24, DAY: 0}
"""How many spans back are wanted, by their length; 0: all since FIRST_DAY."""

LATE_SECONDS: Final = 120
"""A span is told of for certain only so long after its end."""

REST_SECONDS: Final = 60.0
"""Between two looks for what is missing, where nothing is."""

LEAST_SECONDS: Final = 1.0
"""Between two requests: quotes of now go first."""

FAILED_SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 3_600.0
"""What failed is left for so long, doubled each time, and others have their turn."""

AT_ONCE: Final = 100
"""Spans that are taken in before prices have their turn: a millisecond."""

CROSSED_AT_ONCE: Final = 500
"""Days that are worked out in one go: quotes come in between."""

AGAIN_SECONDS: Final = 86_400
"""Before an aggregate, which tells everything at once, is asked anew."""


class Asked(NamedTuple):
    """From which index to which a source was asked, both included."""

    first: int
    last: int


class Chunk(NamedTuple):
    """What is asked next, indices both included, and the lowest index that is wanted at all."""

    first: int
    last: int
    lowest: int


@dataclass(slots=True)
class History:
    """Fills the past. `asked` and `told_at` are what is kept of it in Redis."""

    service: Service
    outside: Outside
    exchanges: Sequence[Exchange]
    past: Past
    tallies: dict[str, Tally]
    asked: dict[str, Asked] = field(default_factory=dict)  # by source, currency and step
    told_at: dict[str, int] = field(default_factory=dict)  # of an aggregate: Unix seconds
    changed: bool = False  # whether there is something to write
    cross_due: bool = True  # whether days in USD, or rates, came to be known
    _failures: dict[str, Backoff] = field(default_factory=dict)  # by what is asked for
    _troubles: dict[str, Trouble] = field(default_factory=dict)  # by source

    def restored(self, raw: bytes | None) -> None:
        """Go on from what is kept; what cannot be read is asked for anew."""
        try:
            kept = msgspec.json.decode(raw or b"{}", type=dict[str, Asked])
        except ValueError:
            kept = {}
        self.asked = {name: span for name, span in kept.items() if " " in name}
        self.told_at = {name: span.last for name, span in kept.items() if " " not in name}

    def kept(self) -> bytes:
        """As it is written."""
        told = {name: Asked(0, at) for name, at in self.told_at.items()}
        return msgspec.json.encode(self.asked | told)

    def forget(self, now: int) -> None:
        """Take out what sources can tell again, and forget that they were asked.

        What was published here stays, and what lies beyond that which its source still tells.
        """

        def again(step: int, currency: str, index: int, bar: Bar) -> bool:
            source = SOURCES.get(bar.source, "")
            exchange = next((one for one in self.exchanges if one.provider.name == source), None)
            if exchange is None:
                return source != "market"  # aggregates tell all days; the rest follows, or was made up
            candles = exchange.candles
            able = step in candles.steps and currency in candles.since
            return able and self._first(exchange, currency, step, now) <= index <= _last(step, now)

        self.past.drop(again)
        self.asked, self.told_at = {}, {}
        self.changed = self.cross_due = True

    async def run(self) -> None:
        """Until the service is told to stop; what Redis fails with is raised."""
        while not self.service.stopping.is_set():
            fetched = await self._round()
            await self._cross()
            await pause(self.service.stopping, LEAST_SECONDS if fetched else REST_SECONDS)

    def reopen(self) -> None:
        """What came to be seen only in part is asked for again, whoever was asked before."""
        for step, currency, index in self.past.reopened:
            for exchange in self._longest_first(currency, step):
                key = _key(exchange, currency, step)
                span = self.asked.get(key)
                if span is None or not span.first <= index <= span.last:
                    continue
                self.changed = True
                if index == span.first:
                    del self.asked[key]
                else:
                    self.asked[key] = Asked(span.first, index - 1)
        self.past.reopened.clear()

    async def _round(self) -> bool:
        """Ask for one thing at the most; returns whether there was anything that could be asked for."""
        now = self.service.clock.now_ms // 1000
        for aggregate in AGGREGATES:
            if not self._rests(aggregate.provider.name) and await self._all_of(aggregate, now):
                return True
        for currency in DIRECT:
            for step in BACK:
                for exchange in self._longest_first(currency, step):
                    if self._rests(_key(exchange, currency, step)):
                        continue
                    chunk = await self._next(exchange, currency, step, now)
                    if chunk is not None and await self._fetch(exchange, currency, step, chunk):
                        return True
        return False

    def _longest_first(self, currency: str, step: int) -> list[Exchange]:
        able = [one for one in self.exchanges if currency in one.candles.since and step in one.candles.steps]
        return sorted(able, key=lambda one: (bool(one.candles.newest), one.candles.since[currency]))

    # --- exchanges -----------------------------------------------------------------------------------

    async def _next(self, exchange: Exchange, currency: str, step: int, now: int) -> Chunk | None:
        """The next span that this source may know better than what is there; spans without are passed over.

        Prices have their turn between two of them.
        """
        candles, key = exchange.candles, _key(exchange, currency, step)
        first, last = self._first(exchange, currency, step, now), _last(step, now)
        value, bars = WORTH[exchange.provider.name], self.past.bars[step, currency]
        span = self.asked.get(key)
        if span is not None and not max(first, span.first) <= span.last <= last:  # long ago, or of another clock
            span = None
        while True:
            if span is None:
                chunk = Chunk(max(first, last - candles.most + 1), last, first)
            elif span.last < last:
                chunk = Chunk(span.last + 1, min(span.last + candles.most, last), first)
            else:
                chunk = Chunk(max(first, span.first - candles.most), span.first - 1, first)
            if chunk.last < chunk.first:
                return None
            if any(worth(bars.get(index)) < value for index in range(chunk.first, chunk.last + 1)):
                return chunk
            self._seen(key, chunk)
            await asyncio.sleep(0)
            span = self.asked.get(key)

    @staticmethod
    def _first(exchange: Exchange, currency: str, step: int, now: int) -> int:
        """The first span that this source tells, and that is wanted."""
        candles, last = exchange.candles, _last(step, now)
        first = max(-(-candles.since[currency] // step), FIRST_DAY if step == DAY else 0)
        if BACK[step]:
            first = max(first, last - BACK[step] + 1)
        return max(first, last - candles.newest + 1) if candles.newest else first

    def _seen(self, key: str, chunk: Chunk) -> None:
        span = self.asked.get(key)
        joins = span is not None and (chunk.first == span.last + 1 or chunk.last == span.first - 1)
        if span is not None and joins and span.last >= chunk.lowest:
            self.asked[key] = Asked(min(span.first, chunk.first), max(span.last, chunk.last))
        else:
            self.asked[key] = Asked(chunk.first, chunk.last)
        self.changed = True

    async def _fetch(self, exchange: Exchange, currency: str, step: int, chunk: Chunk) -> bool:
        """Whether it was asked: what may not be asked now is left to another."""
        candles = exchange.candles

        def understand(body: bytes) -> list[Candle]:
            return [one for one in candles.decode(body) if chunk.first <= one.time // step <= chunk.last]

        path = candles.path(currency, step, chunk.first * step, (chunk.last + 1) * step)
        try:
            found = await self.outside.get(exchange.provider, path, understand)
        except OutsideNotNow:
            return False
        except OutsideError as error:
            self._failed(exchange.provider, _key(exchange, currency, step), error)
            return True
        self._well(exchange.provider, _key(exchange, currency, step))
        asked = self.asked
        for first in range(0, len(found), AT_ONCE):
            self.past.candles(step, currency, found[first : first + AT_ONCE], NUMBERS[exchange.provider.name])
            await asyncio.sleep(0)
        if self.asked is not asked:  # it was forgotten meanwhile, some of this with it
            return True
        self._seen(_key(exchange, currency, step), chunk)
        self.cross_due |= step == DAY and currency == "USD"
        return True

    # --- aggregates ----------------------------------------------------------------------------------

    async def _all_of(self, aggregate: Aggregate, now: int) -> bool:
        name = aggregate.provider.name
        if 0 <= now - self.told_at.get(name, 0) < AGAIN_SECONDS or not self._lacks(aggregate, now):
            return False
        try:
            closes = await self.outside.get(aggregate.provider, aggregate.path, aggregate.decode, most=aggregate.most)
        except OutsideNotNow:
            return False
        except OutsideError as error:
            self._failed(aggregate.provider, name, error)
            return True
        self._well(aggregate.provider, name)
        today = now // DAY
        for currency, days in closes.items():
            over = [(day, price) for day, price in days.items() if day < today]
            for first in range(0, len(over), AT_ONCE):
                self.past.closes(currency, dict(over[first : first + AT_ONCE]), NUMBERS[name])
                await asyncio.sleep(0)
        self.told_at[name] = now
        self.changed = self.cross_due = True
        return True

    def _lacks(self, aggregate: Aggregate, now: int) -> bool:
        name = aggregate.provider.name
        told_at = self.told_at.get(name, 0)
        value, since = WORTH[name], max(FIRST_DAY, (told_at if told_at <= now else 0) // DAY - 1)
        return any(
            worth(self.past.get(DAY, currency, day)) < value
            for currency in aggregate.currencies
            for day in range(now // DAY - 1, since, -1)
        )

    def _rests(self, key: str) -> bool:
        return key in self._failures and self._failures[key].wait > 0

    def _well(self, provider: Provider, key: str) -> None:
        self._failures.pop(key, None)
        if provider.name in self._troubles:
            self._troubles[provider.name].ended(source=provider.name)

    def _failed(self, provider: Provider, key: str, error: OutsideError) -> None:
        self._failures.setdefault(key, Backoff(FAILED_SECONDS, LONGEST_SECONDS)).tried()
        trouble = self._troubles.setdefault(provider.name, Trouble(self.service.log, "history"))
        trouble.failed(error, source=provider.name)
        if isinstance(error, OutsideMalformed):
            self.tallies.setdefault(provider.name, Tally()).refuse(str(error))

    async def _cross(self) -> None:
        """What the ECB's rates can add, where there is something new to add it to."""
        if self.cross_due:
            self.cross_due = False
            for currency in DIRECT:
                yesterday = self.service.clock.now_ms // 1000 // DAY - 1
                for first in range(FIRST_DAY, yesterday + 1, CROSSED_AT_ONCE):
                    self.past.cross_days(currency, first, min(first + CROSSED_AT_ONCE - 1, yesterday))
                    await asyncio.sleep(0)
            self.changed = True


def _last(step: int, now: int) -> int:
    """The last span that is over for certain."""
    return (now - LATE_SECONDS) // step - 1


def _key(exchange: Exchange, currency: str, step: int) -> str:
    return f"{exchange.provider.name} {currency} {step}"

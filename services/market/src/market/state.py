"""What a bitcoin costs, worked out of quotes and rates: pure, and paced by the clock that it is given.

A currency is judged anew when a quote of it changes, and every few seconds in any case, since quotes grow old by
themselves; it is told at most once a second. What the ECB alone tells is worked out once a minute.
"""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Final

import msgspec

from market.book import Book
from market.exchange import HIGHEST, Said
from market.index import APART, ENOUGH, Judgement, judged
from market.past import Past
from market.quotes import QuoteLog, said_now
from market.views import changes_of, recent_of
from shared.domains import MARKET
from shared.events.prices import PriceUpdated, Rejected
from shared.fold import Changes
from shared.keys import Keys
from shared.outside.ecb import EURO, Rates, cross
from shared.price_views import PriceNow, PricesView, QuoteNow
from shared.prices import DIRECT, NUMBERS
from shared.series import MINUTE

PACE_MS: Final = 1_000
"""Between two prices of one currency."""

JUDGE_MS: Final = 20
"""Between two judgements of one currency, where none of them was told."""

AGAIN_MS: Final = 5_000
"""A currency is judged anew after this time, whatever is heard of it."""

TOLD_MS: Final = 10_000
"""A price that stays the same is told again after this time: that it is still so is news."""

CROSS_MS: Final = 60_000
"""Between two prices of a currency that no exchange quotes."""

PATIENCE_MS: Final = 8_000
"""How long the first quotes after a start wait for others, where nothing else speaks for them: nor the last price."""

YOUNG_MS: Final = 300_000
"""A price that is no older than this may be compared with."""

_CENT: Final = Decimal("0.01")
_BASES: Final = ("USD", "EUR")
_TOLD: Final = ("currency", "price", "how", "agreed", "sources", "rejected", "time_ms", "sample")


class Market:
    """All currencies. Milliseconds by Redis' clock."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.past = Past(keys)
        self.log = QuoteLog(keys)
        self.reset()

    def reset(self) -> None:
        """Forget what was heard: the lease was another's meanwhile."""
        self.book = Book()
        self.rates: Rates | None = None
        self.sample = False
        self.now: dict[str, PriceNow] = {}
        self._judgements: dict[str, Judgement] = {}
        self._changed: set[str] = set()
        self._judged_ms: dict[str, int] = {}
        self._told_ms: dict[str, int] = {}
        self._told: list[str] = []  # by the last flush
        self._crossed_ms = 0
        self._minute = 0
        self._flushed_ms = 0
        self._began_ms = 0  # when the first quote was judged; 0: none was
        self._lost = True  # whether the views must be written whatever is told

    def restored(self, view: PricesView | None, now_ms: int) -> None:
        """Go on from what is shown: prices keep their age. What cannot be, or is not yet, was not written here."""
        for name, price in view.prices.items() if view is not None else ():
            if name == price.currency and price.price.is_finite() and _CENT <= price.price < HIGHEST:
                self.now[name] = msgspec.structs.replace(price, time_ms=min(price.time_ms, now_ms))

    def show_again(self) -> None:
        """What was shown is lost: it is written with the next flush."""
        self._lost = True

    def forget_source(self, source: str) -> None:
        """Nothing that this source said counts any more, nor what follows from it."""
        self.book.forget(source)
        self.now = {name: one for name, one in self.now.items() if source not in one.sources and not one.sample}
        self._lost = True

    # --- what is heard -------------------------------------------------------------------------------

    def hear(self, source: str, said: Said, now_ms: int) -> bool:
        """One quote; returns whether it says something new of a currency that we show."""
        if said.currency not in DIRECT or not self.book.hear(source, said, now_ms):
            return False
        self._changed.add(said.currency)
        return True

    def rated(self, rates: Rates) -> None:
        """The ECB's rates; older ones than we have are left."""
        if self.rates is None or rates.day >= self.rates.day:
            self.rates = dataclasses.replace(rates, past={})  # which the series keeps
            self._crossed_ms = 0
        self.past.put_rates(rates.past)

    # --- what follows --------------------------------------------------------------------------------

    def due_ms(self, now_ms: int) -> int:
        """When the next price may be told: now, where that is past."""
        waits = [self._next_ms(currency) for currency in self._changed]
        again = min((self._judged_ms.get(currency, 0) + AGAIN_MS for currency in DIRECT), default=now_ms)
        return min([*waits, again])

    def _next_ms(self, currency: str) -> int:
        """When a currency of which something new was heard may be judged."""
        return max(self._told_ms.get(currency, 0) + PACE_MS, self._judged_ms.get(currency, 0) + JUDGE_MS)

    def flush(self, now_ms: int) -> Changes:
        """Judge what is due, and say what is to be written."""
        if now_ms < self._flushed_ms:
            self._set_back(now_ms)
        self._flushed_ms = now_ms
        changes = Changes(views=self._keys.views(MARKET))
        due = [
            currency
            for currency in DIRECT
            if now_ms
            >= (self._next_ms(currency) if currency in self._changed else self._judged_ms.get(currency, 0) + AGAIN_MS)
        ]
        told = [price for currency in due if (price := self._direct(currency, now_ms, changes)) is not None]
        if now_ms - self._crossed_ms >= CROSS_MS:
            told += self._crosses(now_ms, changes)
        minute = now_ms // 1000 // MINUTE
        if minute != self._minute:
            self._each_minute(minute, now_ms, changes)
        self.past.flush(changes.commands)
        self.log.flush(changes.commands)
        self._told = [price.currency for price in told]
        if told or self._lost:
            self._lost = False
            changes.commands.add("HSET", changes.views, "prices", msgspec.json.encode(self._view()))
        elif not changes.commands:
            changes.views = ""
        return changes

    def written(self, now_ms: int) -> None:
        """What the last flush said is published: the next price comes its pace later, however long that took."""
        self._told_ms.update(dict.fromkeys(self._told, now_ms))
        self._told = []

    def _set_back(self, now_ms: int) -> None:
        """The clock was set back to this: nothing was heard, judged or told later, or it would rest until then."""
        for moments in (self._judged_ms, self._told_ms):
            moments.update((currency, min(at_ms, now_ms)) for currency, at_ms in moments.items())
        self._crossed_ms, self._began_ms = min(self._crossed_ms, now_ms), min(self._began_ms, now_ms)
        self.book.set_back(now_ms)
        for name, price in self.now.items():
            if price.time_ms > now_ms:
                self.now[name] = msgspec.structs.replace(price, time_ms=now_ms)
                self._lost = True

    def _direct(self, currency: str, now_ms: int, changes: Changes) -> PriceNow | None:
        """Judge a currency; returns what is new of it."""
        self._changed.discard(currency)
        self._judged_ms[currency] = now_ms
        if not self.book.quotes(currency) and not self.book.sources():
            return None  # nobody has said anything
        judgement = self._judge(currency, now_ms)
        self._judgements[currency] = judgement
        before = self.now.get(currency)
        if judgement.price is None:
            if before is None or before.agreed == judgement.agreed:
                return None
            self.now[currency] = msgspec.structs.replace(before, agreed=judgement.agreed)
            return self.now[currency]
        if judgement.how == "cross" and now_ms - self._told_ms.get(currency, 0) < CROSS_MS:
            return None
        base = self._base(currency, now_ms) or ""
        heard = [self.book.heard_ms(source, currency) for source in judgement.used]
        price = PriceNow(
            currency=currency,
            price=judgement.price.quantize(_CENT),
            time_ms=max(heard, default=0) or self._heard_ms(base, now_ms),
            how=judgement.how,
            agreed=judgement.agreed,
            sources=judgement.used if judgement.how == "direct" else [_through(base)],
            rejected=[
                Rejected(source=source, price=self.book.quotes(currency)[source].price.quantize(_CENT), why=verdict)
                for source, verdict in judgement.verdicts.items()
                if verdict != "used"
            ],
            changes={},
            sample=self.sample,
        )
        if before and _alike(before, price) and now_ms - self._told_ms.get(currency, 0) < TOLD_MS:
            return None
        self.past.price(currency, price.price, now_ms, NUMBERS["sample" if self.sample else "market"])
        return self._tell(price, now_ms, changes)

    def _judge(self, currency: str, now_ms: int) -> Judgement:
        """What the sources say of a currency. At the beginning the first of them do not speak for all."""
        opinions, cross_price = self.book.opinions(currency, now_ms), self._cross(currency, now_ms)
        good = [one.price for one in opinions if one.held_against is None]
        before = self.now.get(currency)
        last = before.price if before is not None and now_ms - before.time_ms < YOUNG_MS else None
        self._began_ms = self._began_ms or now_ms
        alone = len(good) < ENOUGH and cross_price is None and not self.sample
        same = last is not None and max((abs(price - last) for price in good), default=last) <= APART * last
        if alone and not same and now_ms - self._began_ms < PATIENCE_MS:
            return Judgement(None, "direct", True, {})
        return judged(opinions, cross_price, last)

    def _tell(self, price: PriceNow, now_ms: int, changes: Changes) -> PriceNow:
        self._told_ms[price.currency] = now_ms
        was = changes_of(self.past, price.currency, price.price, now_ms // 1000)
        self.now[price.currency] = price = msgspec.structs.replace(price, changes=was)
        day = was.get("24h")
        told = {name: getattr(price, name) for name in _TOLD}
        changes.events.append(PriceUpdated(change_24h_percent=None if day is None else day.percent, **told))
        return price

    def _base(self, currency: str, now_ms: int) -> str | None:
        """Through which currency this one may be worked out: one with enough quotes of its own."""
        for base in _BASES:
            good = [one for one in self.book.opinions(base, now_ms) if one.held_against is None]
            if base != currency and len(good) >= (1 if self.sample else ENOUGH):
                return base
        return None

    def _cross(self, currency: str, now_ms: int) -> Decimal | None:
        base = self._base(currency, now_ms)
        if base is None or self.rates is None:
            return None
        price = judged(self.book.opinions(base, now_ms), None).price
        return None if price is None else cross(price, base, currency, self.rates.newest)

    def _heard_ms(self, currency: str, now_ms: int) -> int:
        """When the newest good quote of a currency was heard."""
        good = [one.source for one in self.book.opinions(currency, now_ms) if one.held_against is None]
        return max((self.book.heard_ms(source, currency) for source in good), default=0)

    def _crosses(self, now_ms: int, changes: Changes) -> list[PriceNow]:
        """Every currency that the ECB lists and no exchange quotes."""
        base = self._base("", now_ms)
        if base is None or self.rates is None:
            return []
        self._crossed_ms = now_ms
        told = []
        for currency in (*self.rates.newest, EURO):
            price = None if currency in DIRECT else self._cross(currency, now_ms)
            if price is not None:
                made = PriceNow(
                    currency=currency,
                    price=price.quantize(_CENT),
                    time_ms=self._heard_ms(base, now_ms),
                    how="cross",
                    agreed=True,
                    sources=[_through(base)],
                    rejected=[],
                    changes={},
                    sample=self.sample,
                )
                told.append(self._tell(made, now_ms, changes))
        return told

    def _each_minute(self, minute: int, now_ms: int, changes: Changes) -> None:
        if self._minute and any(self.book.currencies):
            self.log.put(minute - 1, self.book, self._judgements, now_ms)
        self._minute = minute
        recent = recent_of(self.past, now_ms // 1000)
        changes.commands.add("HSET", changes.views, "price_recent", msgspec.json.encode(recent))

    def _view(self) -> PricesView:
        day = self.rates.iso_day if self.rates else ""
        sample = self.sample or any(price.sample for price in self.now.values())
        rates = dict(self.rates.newest) if self.rates else {}
        return PricesView(prices=self.now, fx_day=day, sample=sample, fx_rates=rates)

    @property
    def quotes_now(self) -> list[QuoteNow]:
        """What each source said last, with what became of it."""
        return said_now(self.book, self._judgements, self.now)

    @property
    def fresh_ms(self) -> int:
        """When the newest quote that a shown price rests on was heard; 0: there is none."""
        return max((price.time_ms for price in self.now.values() if price.currency in DIRECT), default=0)


def _through(base: str) -> str:
    """What a price is called that another one was worked out of."""
    return f"{base} through the ECB's rates"


def _alike(one: PriceNow, other: PriceNow) -> bool:
    """Whether they say the same, whenever."""
    return (one.price, one.how, one.agreed, one.rejected) == (other.price, other.how, other.agreed, other.rejected)

"""What bitcoin, and what sources tell in US dollars, is worth in the currency that its reader has chosen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from shared.networks import COIN
from shared.price_views import PriceNow, PricesView
from shared.prices import RATES_STAND
from shared.series import DAY
from web.state.snapshot import Snapshot
from web.words import formats
from web.words.currency import USUAL, counted

STALE: Final = 300.0
"""Seconds after which a price says that it is old."""

FORGOTTEN: Final = 3_600.0
"""Seconds after which nothing is told by it any more but the price itself."""


def price_now(snapshot: Snapshot) -> PriceNow | None:
    """The price in that currency; None where it is not known."""
    known = snapshot[PricesView]
    return known.prices.get(counted()) if known else None


def age(price: PriceNow, now: float) -> float:
    """Seconds since the newest quote that a price rests on was heard."""
    return max(0.0, now - price.time_ms / 1000)


def worth(snapshot: Snapshot, satoshi: float, now: float) -> str:
    """An amount in that currency, as text: "$12.30"; empty where the price is not known, or too old."""
    price = price_now(snapshot)
    if price is None or age(price, now) > FORGOTTEN:
        return ""
    return formats.money(price.price * Decimal(satoshi) / COIN)


EURO: Final = "EUR"
"""What the European Central Bank's rates are for one of."""

Lack: TypeAlias = Literal["", "rates", "currency"]


@dataclass(frozen=True, slots=True)
class Rate:
    """By what values that are kept in USD are told."""

    currency: str  # in which they are told
    each: Decimal  # units of it for one US dollar
    wanted: str  # the reader's currency: another one where no rate is known
    day: str = ""  # of the rate, as ISO 8601 writes it; empty: none is needed, or none is known
    lacks: Lack = ""  # why no rate is known: there are none, or none of this currency
    choices: frozenset[str] = frozenset({USUAL})  # currencies of which one is known

    def old(self, now: float) -> bool:
        """Whether it is of so long ago that the bank has set newer ones since; `now` in Unix seconds."""
        return (
            bool(self.day) and now - datetime.fromisoformat(f"{self.day}T00:00Z").timestamp() > (RATES_STAND + 1) * DAY
        )

    def money(self, usd: Decimal | float) -> str:
        """A value in USD, as text in the currency: "€12.30"."""
        return formats.money(Decimal(usd) * self.each, self.currency)


def rate_of(snapshot: Snapshot) -> Rate:
    """The rate of the European Central Bank for the reader of now; USD as it is where none is known."""
    wanted, known = counted(), snapshot[PricesView]
    rates = {**known.fx_rates, EURO: Decimal(1)} if known is not None and known.fx_day else {}
    good = {currency: rate for currency, rate in rates.items() if rate.is_finite() and rate > 0}
    if known is None or USUAL not in good:
        return Rate(USUAL, Decimal(1), wanted, lacks="" if wanted == USUAL else "rates")
    choices = frozenset(good)
    if wanted == USUAL or wanted not in good:
        return Rate(USUAL, Decimal(1), wanted, lacks="" if wanted == USUAL else "currency", choices=choices)
    return Rate(wanted, good[wanted] / good[USUAL], wanted, known.fx_day, choices=choices)

"""What an amount of bitcoin is worth now, in the currency that its reader has chosen."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from shared.networks import COIN
from shared.price_views import PriceNow, PricesView
from web.state.snapshot import Snapshot
from web.words import formats
from web.words.currency import counted

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

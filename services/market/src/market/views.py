"""What follows from the past for what is shown: how a price has changed, and its course over the last day."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from market.past import Past
from shared.price_views import PastPrice, RecentPrices
from shared.prices import DIRECT
from shared.series import DAY, HOUR, MINUTE

SPANS: Final = {
    "1h": (HOUR, 5 * MINUTE),
    "24h": (DAY, 15 * MINUTE),
    "7d": (7 * DAY, 2 * HOUR),
    "30d": (30 * DAY, 2 * HOUR),
    "1y": (365 * DAY, 2 * DAY),
}
"""Seconds back, and how much older than that the price may be that is compared with."""

EVERY: Final = 30 * MINUTE
POINTS: Final = 49
"""Of the course over the last day."""


def changes_of(past: Past, currency: str, price: Decimal, now: int) -> dict[str, PastPrice]:
    """How a price compares with those of before; without those that are not known."""
    found = {}
    for name, (seconds, tolerance) in SPANS.items():
        was = past.at(currency, now - seconds, tolerance) if currency in DIRECT else None
        if was is not None and was[1]:
            percent = float((price / was[1] - 1) * 100)
            found[name] = PastPrice(time=was[0], price=was[1], percent=round(percent, 4))
    return found


def recent_of(past: Past, now: int) -> RecentPrices:
    """The last day of every currency that exchanges quote: a price every half hour, None where none is known."""
    last = now // EVERY * EVERY
    times = [last - EVERY * back for back in reversed(range(POINTS))]
    courses = {}
    for currency in DIRECT:
        found = [past.at(currency, time, EVERY) for time in times]
        courses[currency] = [None if one is None else float(one[1]) for one in found]
    return RecentPrices(since=times[0], every=EVERY, courses=courses)

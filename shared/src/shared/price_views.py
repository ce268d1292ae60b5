"""What market shows (shared.views): prices as Decimal in units of their currency, moments by Redis' clock."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from msgspec import field

from shared.events.base import UnixSeconds
from shared.events.prices import Rejected
from shared.outside.standing import OutsideSource
from shared.views import View


class PastPrice(View, frozen=True, kw_only=True):
    """A price of a while ago, and how the price has changed since."""

    time: UnixSeconds  # of that price
    price: Decimal
    percent: float


class PriceNow(View, frozen=True, kw_only=True):
    """What a bitcoin costs in one currency."""

    currency: str
    price: Decimal
    time_ms: int  # when the newest quote that it rests on was heard, by Redis' clock
    how: Literal["direct", "cross"]
    agreed: bool  # False: the sources disagree
    sources: list[str]
    rejected: list[Rejected]
    changes: dict[str, PastPrice]  # by `1h`, `24h`, `7d`, `30d`, `1y`; without those that are not known
    sample: bool = False


class PricesView(View, frozen=True, kw_only=True):
    """What a bitcoin costs."""

    prices: dict[str, PriceNow]  # by currency
    fx_day: str  # of the ECB's rates, as ISO 8601 writes it; empty: there are none
    sample: bool  # whether the prices are made up, for a demonstration
    fx_rates: dict[str, Decimal] = field(
        default_factory=dict
    )  # those rates: units of a currency for one euro, USD among them


class RecentPrices(View, frozen=True, kw_only=True):
    """The course over the last day, for sparklines."""

    since: UnixSeconds  # of the first point
    every: int  # seconds from one to the next
    courses: dict[str, list[float | None]]  # by currency, oldest first; None: not known


class QuoteNow(View, frozen=True, kw_only=True):
    """What one exchange said last."""

    source: str
    currency: str
    price: Decimal
    heard_ms: int
    verdict: str  # shared.prices.VERDICTS
    apart_percent: float | None  # from the price


class MarketSourcesView(View, frozen=True, kw_only=True):
    """Who is asked for prices, and what each said."""

    sources: list[OutsideSource]
    quotes: list[QuoteNow]


MARKET_VIEWS: Final[dict[str, type[View]]] = {
    "prices": PricesView,
    "price_recent": RecentPrices,
    "market_sources": MarketSourcesView,
}
"""Of market."""

"""Events of prices: `{net:market}:prices`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from shared.events.base import Event, Family, UnixMs

Currency = Annotated[str, Meta(min_length=3, max_length=3)]
"""As ISO 4217 spells it."""

Percent = Annotated[float, Meta(ge=-100, le=1e9)]
"""What is lost altogether is -100."""

Word = Annotated[str, Meta(max_length=200)]

HIGHEST: Decimal = Decimal(10) ** 13
"""A price is below: then it fits into its record."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A quote that the price does not rest on."""

    source: Word
    price: Decimal | None  # None: it was none
    why: Word  # in words for a person


class PriceUpdated(Event, frozen=True, kw_only=True, gc=False):
    """What a bitcoin costs in one currency; at most one a second each."""

    TYPE: ClassVar[str] = "price.updated"

    base: Literal["BTC"] = "BTC"
    currency: Currency
    price: Decimal  # units of the currency
    change_24h_percent: Percent | None  # None: the price of a day ago is not known
    how: Literal["direct", "cross"]  # from quotes in this currency, or through another one and the ECB's rates
    agreed: bool  # False: the sources disagree
    sources: list[Word]  # whose quotes the price is the median of
    rejected: list[Rejected]
    time_ms: UnixMs  # when the newest of these quotes was heard
    sample: bool = False  # True: made up, for a demonstration

    def __post_init__(self) -> None:
        if not (self.price.is_finite() and 0 < self.price < HIGHEST):
            raise ValueError(f"price {self.price}: expected a number above 0 and below {HIGHEST:,}")


PRICES = Family(PriceUpdated)

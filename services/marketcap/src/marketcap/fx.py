"""Amounts of one currency in another, by the European Central Bank's rates."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

BASE: Final = "EUR"
DOLLAR: Final = "USD"

FIXED: Final = {"SAR": Decimal("3.75"), "AED": Decimal("3.6725"), "QAR": Decimal("3.64")}
"""Units for one USD of currencies that the ECB does not quote, and whose central banks hold them there: Saudi Arabia's
since 1986, the Emirates' since 1997, Qatar's since 2001."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Units of each currency for one euro."""

    units: Mapping[str, Decimal]
    source: str
    link: str
    as_of: int  # Unix seconds

    def dollars(self, amount: Decimal, currency: str) -> Decimal | None:
        """The amount in USD; None where the currency has no rate, or the dollar has none."""
        if currency == DOLLAR:
            return amount
        if currency in FIXED and currency not in self.units:
            return amount / FIXED[currency]
        dollar = self.units.get(DOLLAR)
        rate = Decimal(1) if currency == BASE else self.units.get(currency)
        return amount / rate * dollar if dollar and rate else None

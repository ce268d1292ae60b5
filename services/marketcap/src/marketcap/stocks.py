"""How much of each commodity there is above ground: published figures, which change once a year.

Left out: oil and gas, of which there is no stock that is kept; they are used up as they come.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

OUNCES: Final = Decimal("32150.7466")
"""Troy ounces of a tonne."""

POUNDS: Final = Decimal("2204.62262185")
"""Pounds (avoirdupois) of a tonne."""


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """What is above ground of one commodity."""

    symbol: str  # as ISO 4217 or the exchange has it
    name: str
    tonnes: Decimal
    unit: Literal["troy ounce", "pound"]  # that its price is for
    price_source: Literal["goldapi", "yahoo"]  # by NAME of the provider
    price_symbol: str  # as that source spells it
    as_of: str  # the date for which the figure stands, YYYY-MM-DD
    source: str
    link: str
    estimate: bool  # only an estimate: there is no count, or an old or a second-hand one
    note: str  # why it is one; empty where it is none

    @property
    def quantity(self) -> Decimal:
        """In units that the price is for."""
        return self.tonnes * (OUNCES if self.unit == "troy ounce" else POUNDS)


STOCKS: Final = (
    Stock(
        symbol="XAU",
        name="Gold",
        tonnes=Decimal(219_891),
        unit="troy ounce",
        price_source="goldapi",
        price_symbol="XAU",
        as_of="2025-12-31",
        source="World Gold Council",
        link="https://www.gold.org/goldhub/data/how-much-gold",
        estimate=False,
        note="",
    ),
    Stock(
        symbol="XAG",
        name="Silver",
        tonnes=Decimal(1_751_000),
        unit="troy ounce",
        price_source="goldapi",
        price_symbol="XAG",
        as_of="2019-12-31",
        source="CPM Group, Silver Yearbook 2019",
        link="https://cpmgroup.com/",
        estimate=True,
        note="All that was ever mined; how much of it is used up and lost, nobody counts",
    ),
    Stock(
        symbol="XPT",
        name="Platinum",
        tonnes=Decimal(10_000),
        unit="troy ounce",
        price_source="goldapi",
        price_symbol="XPT",
        as_of="2025-12-31",
        source="Secondary sources",
        link="https://www.usgs.gov/centers/national-minerals-information-center/platinum-group-metals-statistics-and-information",
        estimate=True,
        note="A round figure from secondary sources, without a count; the link leads to what is mined each year",
    ),
    Stock(
        symbol="XPD",
        name="Palladium",
        tonnes=Decimal(10_000),
        unit="troy ounce",
        price_source="goldapi",
        price_symbol="XPD",
        as_of="2025-12-31",
        source="Secondary sources",
        link="https://www.usgs.gov/centers/national-minerals-information-center/platinum-group-metals-statistics-and-information",
        estimate=True,
        note="A round figure from secondary sources, without a count; the link leads to what is mined each year",
    ),
    Stock(
        symbol="HG",
        name="Copper",
        tonnes=Decimal(557_000_000),
        unit="pound",
        price_source="yahoo",
        price_symbol="HG=F",
        as_of="2008-12-31",
        source="Copper Development Association, from figures of the USGS",
        link="https://www.copper.org/",
        estimate=True,
        note="All that was mined until 2008, at the price of a future; what was mined since is not in it",
    ),
)
"""Largest value first, roughly."""

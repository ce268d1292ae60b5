"""What is ranked beside Bitcoin, who holds bitcoin, and which nodes there are: figures of sources outside, as told."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Literal

import msgspec

Class = Literal["bitcoin", "coin", "company", "commodity", "currency"]
Period = Literal["24 h", "close", "year"]
HolderKind = Literal["company", "country", "fund"]

CLASSES: Final[tuple[Class, ...]] = ("coin", "company", "commodity", "currency")
"""Of assets that are told of; Bitcoin stands in each list."""

LISTS: Final[dict[str, Class | None]] = {
    "all": None, "coins": "coin", "companies": "company", "commodities": "commodity", "currencies": "currency",
}  # fmt: skip
"""Lists by what addresses call them, with the class that each holds; None: all of them."""

HOLDERS: Final[dict[str, HolderKind]] = {"companies": "company", "countries": "country", "funds": "fund"}
"""Kinds of holders by what addresses call their lists."""

MOST: Final = 250
"""Assets of a class that are kept at most, and rows of a list."""

_FILLING: Final = re.compile(
    r"\b(the|incorporated|inc|corporation|corp|company|co|limited|ltd|plc|ag|se|sa|nv|ab|holdings?|group|"
    r"government|kingdom|republic|state|of)\b|[^\w ]",
    re.IGNORECASE,
)
"""Words that one source writes and another leaves out."""


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a figure comes from."""

    of: Literal["price", "quantity", "rate"]
    name: str
    link: str
    as_of: int  # Unix seconds: the date that the figure is of
    estimate: bool = False  # the source itself only estimates; `note` says why
    note: str = ""


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """One asset with its value in USD."""

    id: str  # class and symbol, or the source's own name: stays the same over time
    kind: Class
    name: str
    symbol: str
    country: str | None = None  # ISO 3166, of companies and currencies
    price: Decimal  # USD a unit
    quantity: Decimal
    unit: str  # of the quantity
    value: Decimal  # USD
    change: Decimal | None = None  # percent, over `period`
    period: Period | None = None
    claim_on: str | None = None  # stands for this asset, which is listed itself: not in the list of all
    sources: tuple[Source, ...]
    seen: int  # Unix seconds: when the oldest of its live figures was last true

    @property
    def estimate(self) -> bool:
        """Whether a figure of it is only an estimate."""
        return any(source.estimate for source in self.sources)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says of one holder."""

    name: str
    kind: HolderKind
    symbol: str | None  # of its shares, as Yahoo spells it, or of the fund
    country: str | None  # ISO 3166
    satoshi: int
    cost: Decimal | None  # USD; None where nobody knows
    source: str
    link: str  # where the source says so, for people
    as_of: int  # Unix seconds
    dated: bool = True  # False: the source gives no date, `as_of` is when it was asked
    filing: str | None = None  # a link to what the holder itself filed

    @property
    def key(self) -> str:
        """Of the holder: the symbol where there is one (that a fund and a company share), else the name."""
        if self.symbol and self.kind != "country":
            return f"symbol:{self.symbol.upper()}"
        return f"{self.kind}:{plain(self.name)}"


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """So many nodes of one kind."""

    name: str | None  # None: unknown
    version: str | None = None  # of a client
    nodes: int
    share: float  # percent of all nodes, four decimals


class NodeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """All nodes, each in one row of each list; rows by falling count, what is unknown last."""

    total: int
    countries: tuple[NodeRow, ...]  # by ISO code
    networks: tuple[NodeRow, ...]
    implementations: tuple[NodeRow, ...]
    clients: tuple[NodeRow, ...]  # by implementation and version


def plain(name: str) -> str:
    """A holder's name without what sources write differently; of a name that is nothing else, all of it."""
    return " ".join(_FILLING.sub(" ", name).lower().split()) or name.strip().lower()

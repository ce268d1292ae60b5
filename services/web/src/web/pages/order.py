"""How rows of a table are ordered: by the server as an address asks, and by `static/sort.js` by the same keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from markupsafe import Markup, escape

from web.words.sentence import say

T = TypeVar("T")

Key: TypeAlias = float | str | None

ORDERS: Final = {"ascending": True, "descending": False}
"""As addresses and `aria-sort` call them, with whether the least comes first."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One column that rows can be sorted by."""

    words: str
    of: Callable[[Any], Key]  # a number, or words; None, which comes last either way: not known
    rising: bool = False  # which way it goes first
    by_words: bool = False  # whether they are words


@dataclass(frozen=True, slots=True)
class Order:
    """A column, and which way."""

    sort: str
    rising: bool

    @property
    def aria(self) -> str:
        """As `aria-sort` calls it."""
        return "ascending" if self.rising else "descending"

    def sorted(self, rows: Iterable[T], sorts: Mapping[str, Sort]) -> list[T]:
        """Rows in this order, equal ones as they are."""
        of = sorts[self.sort].of
        keyed = [(of(row), row) for row in rows]
        known = sorted((pair for pair in keyed if pair[0] is not None), key=_first, reverse=not self.rising)
        return [row for _, row in known] + [row for key, row in keyed if key is None]


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def natural(sorts: Mapping[str, Sort], sort: str = "") -> Order:
    """The order in which a column goes first; of no column, the usual one."""
    name = sort or next(iter(sorts))
    return Order(name, sorts[name].rising)


def asked(sorts: Mapping[str, Sort], query: Mapping[str, str]) -> Order:
    """The order that an address asks for, `sort=…&order=…`. Raises ValueError, in words for its reader."""
    sort = query.get("sort", next(iter(sorts)))
    if sort not in sorts:
        raise ValueError(_unknown("sort", sort, sorts))
    way = query.get("order", natural(sorts, sort).aria)
    if way not in ORDERS:
        raise ValueError(_unknown("order", way, ORDERS))
    return Order(sort, ORDERS[way])


def _unknown(what: str, value: str, known: Iterable[str]) -> str:
    return say(
        "%(what)s=%(value)s is not known: expected one of %(known)s.",
        what=what, value=repr(value[:20]), known=", ".join(known),
    )  # fmt: skip


def wording(sorts: Mapping[str, Sort], order: Order) -> dict[str, str]:
    """What an address says of an order; what is usual goes without saying."""
    usual = natural(sorts)
    told = {} if order.sort == usual.sort else {"sort": order.sort}
    return told if order == natural(sorts, order.sort) else {**told, "order": order.aria}


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one table in an order, with what its template needs to say so."""

    sorts: Mapping[str, Sort]
    order: Order
    rows: Sequence[Any]
    address: Callable[[Order], str]
    places: Mapping[int, int]  # of each row by its identity, as they are without an order

    @classmethod
    def of(cls, rows: Sequence[Any], sorts: Mapping[str, Sort], order: Order, address: Callable[[Order], str]) -> Table:
        """Rows that stand as they do without an order."""
        shown = rows if order == natural(sorts) else order.sorted(rows, sorts)
        return cls(sorts, order, shown, address, {id(row): at for at, row in enumerate(rows)})

    def link(self, sort: str) -> str:
        """Where a column's header leads: the order that it goes first, or the other way round where that is shown."""
        first = natural(self.sorts, sort)
        return self.address(Order(sort, not self.order.rising) if sort == self.order.sort else first)

    def natural(self, sort: str) -> str:
        """Which way a column goes first."""
        return natural(self.sorts, sort).aria

    def keys(self, row: Any) -> Markup:
        """The attributes of a row by which a browser sorts it."""
        found = [f' data-place="{self.places[id(row)]}"']
        for name, sort in self.sorts.items():
            key = sort.of(row)
            if key is not None:
                found.append(f' data-by-{name}="{escape(key) if isinstance(key, str) else repr(key)}"')
        return Markup("".join(found))  # noqa: S704 - names of ours, escaped words, and numbers

"""Bitcoin among coins, companies, commodities and currencies, and all of them together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from markupsafe import Markup

from shared.asset_views import RANKINGS, RankedAsset
from web.http.answers import Unavailable
from web.http.readers import by_reader
from web.pages.listing import List, Listing
from web.pages.market_cap import ranks
from web.pages.order import Sort
from web.pages.page import Handler, Means, Page
from web.pages.treemap import Area, treemap
from web.pages.worth import Rate
from web.ranks.past import Past
from web.ranks.store import Ranks
from web.words import formats, moments
from web.words.sentence import gettext, say

_SORTS: Final = {
    "value": Sort(say("Value"), lambda row: float(row.value_usd)),
    "name": Sort(say("Name"), lambda row: row.name.casefold(), rising=True, by_words=True),
    "price": Sort(say("Price"), lambda row: float(row.price_usd)),
    "change": Sort(say("Change"), lambda row: None if row.change_percent is None else float(row.change_percent)),
}

TITLES: Final = {
    "all": say("All assets"), "coins": say("Coins"), "companies": say("Companies"), "commodities": say("Commodities"),
    "currencies": say("Currencies"),
}  # fmt: skip

KINDS: Final = {
    "bitcoin": say("Bitcoin"), "coin": say("Coin"), "company": say("Company"), "commodity": say("Commodity"),
    "currency": say("Currency"),
}  # fmt: skip

PERIODS: Final = {"24 h": say("in 24 hours"), "close": say("since the last close"), "year": say("in a year")}


AREAS: Final = 60
"""Assets in the picture at most: smaller ones would be dots."""


def pictured(rows: Sequence[RankedAsset], rate: Rate) -> Markup:
    """The largest assets, each as large as it is worth."""
    largest = sorted(rows, key=lambda row: -row.value_usd)[:AREAS]
    areas = [
        Area(row.name, float(row.value_usd), row.kind, f"{row.name}: {rate.money(row.value_usd)}", row.symbol, row.id)
        for row in largest
    ]
    return treemap(areas, gettext("The largest assets by value; the largest is %(name)s") % {"name": largest[0].name})


def told_of(
    row: RankedAsset, keys: Markup, most: Decimal, rate: Rate, past: Past | None, now: float, among_all: bool
) -> tuple[Hashable, ...]:
    """What the line of an asset shows, as the macro of that name is told it: most of it as it is read."""
    return (
        row.id,
        keys,
        row.rank,
        ranks.moved(past, row),
        row.name,
        row.symbol,
        row.country,
        row.kind,
        among_all,
        rate.money(row.value_usd),
        round(float(row.value_usd / most), 4),
        rate.money(row.price_usd),
        None if row.change_percent is None else float(row.change_percent),
        row.period,
        "" if row.index is None else formats.ratio(float(row.index)),
        "" if row.parity_usd is None else rate.money(row.parity_usd),
        moments.ago(row.as_of, now),
        row.estimate,
        row.sources,
    )


def address(name: str) -> str:
    """Of one list."""
    return "/market-cap" if name == "all" else f"/market-cap/{name}"


def _list(name: str) -> List:
    return List(
        "market_cap", name, address(name), RANKINGS[name], _SORTS, heading=TITLES[name], kinds=KINDS, periods=PERIODS,
        pictured=pictured, told_of=told_of,
    )  # fmt: skip


LISTS: Final = {name: _list(name) for name in RANKINGS}


def _past(kept: Ranks, name: str) -> Callable[[], Awaitable[Past | None]]:
    async def past() -> Past | None:
        try:
            return await kept.past(name)
        except Unavailable:  # the list stands without
            return None

    return past


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    lists = [(name, title, address(name)) for name, title in TITLES.items()]
    for name, shown in LISTS.items():
        listing = Listing(
            PAGE, means.pages, shown, _past(means.ranks, name), heading=TITLES[name], lists=lists,
            rank_picture=ranks.picture, rank_against=ranks.against,
        )  # fmt: skip
        yield f"{PAGE.path}/{name}", by_reader(listing.handle)
        if name == "all":
            yield PAGE.path, by_reader(listing.handle)


PAGE: Final = Page(
    "market_cap",
    "/market-cap",
    say("Markets"),
    place=45,
    routes=_routes,
    views={name: (shown.card,) for name, shown in LISTS.items()},
)

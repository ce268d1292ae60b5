"""Bitcoin among coins, companies, commodities and currencies, and all of them together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from markupsafe import Markup

from shared.asset_views import RANKINGS, RankedAsset
from web.http.answers import Unavailable
from web.http.readers import by_reader
from web.pages.listing import Listing
from web.pages.market_cap import ranks
from web.pages.page import Handler, Means, Page
from web.pages.treemap import Area, treemap
from web.ranks.past import Past
from web.ranks.store import Ranks
from web.words import formats
from web.words.sentence import gettext, say


def _by_change(row: RankedAsset) -> tuple[bool, float]:
    """Largest first; what is not known last."""
    return (row.change_percent is None, -float(row.change_percent or 0))


_SORTS: Final = {
    "value": (say("Value"), lambda row: -row.value_usd),
    "name": (say("Name"), lambda row: row.name.casefold()),
    "price": (say("Price"), lambda row: -row.price_usd),
    "change": (say("Change"), _by_change),
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


def pictured(rows: Sequence[RankedAsset]) -> Markup:
    """The largest assets, each as large as it is worth."""
    largest = sorted(rows, key=lambda row: -row.value_usd)[:AREAS]
    areas = [
        Area(row.name, float(row.value_usd), row.kind, f"{row.name}: {formats.money(row.value_usd, 'USD')}")
        for row in largest
    ]
    return treemap(areas, gettext("The largest assets by value; the largest is %(name)s") % {"name": largest[0].name})


def address(name: str) -> str:
    """Of one list."""
    return PAGE.path if name == "all" else f"{PAGE.path}/{name}"


def _past(kept: Ranks, name: str) -> Callable[[], Awaitable[Past | None]]:
    async def past() -> Past | None:
        try:
            return await kept.past(name)
        except Unavailable:  # the list stands without
            return None

    return past


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    lists = [(name, title, address(name)) for name, title in TITLES.items()]
    for name, kind in RANKINGS.items():
        listing = Listing(
            PAGE, means.pages, address(name), kind, _SORTS, name=name, heading=TITLES[name], lists=lists, kinds=KINDS,
            periods=PERIODS, pictured=pictured, past=_past(means.ranks, name),
            rank_picture=ranks.picture, rank_moved=ranks.moved, rank_against=ranks.against,
        )  # fmt: skip
        yield f"{PAGE.path}/{name}", by_reader(listing.handle)
        if name == "all":
            yield PAGE.path, by_reader(listing.handle)


PAGE: Final = Page("market_cap", "/market-cap", say("Markets"), place=45, routes=_routes)

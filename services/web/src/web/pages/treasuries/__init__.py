"""Who holds bitcoin: companies, countries and funds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.asset_views import TREASURIES
from web.http.readers import by_reader
from web.pages.listing import Listing
from web.pages.page import Handler, Means, Page
from web.words.sentence import say

_SORTS: Final = {
    "bitcoin": (say("Bitcoin"), lambda row: -row.satoshi),
    "name": (say("Name"), lambda row: row.name.casefold()),
    "date": (say("Date"), lambda row: -row.as_of),
}

TITLES: Final = {
    "companies": say("Companies that hold bitcoin"), "countries": say("Countries that hold bitcoin"),
    "funds": say("Funds that hold bitcoin"),
}  # fmt: skip
_SHORT: Final = {"companies": say("Companies"), "countries": say("Countries"), "funds": say("Funds")}


def address(name: str) -> str:
    """Of one kind of holders."""
    return f"{PAGE.path}/{name}"


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    lists = [(name, title, address(name)) for name, title in _SHORT.items()]
    for name, kind in TREASURIES.items():
        listing = Listing(PAGE, means.pages, address(name), kind, _SORTS, name=name, heading=TITLES[name], lists=lists)
        yield address(name), by_reader(listing.handle)
        if name == "companies":
            yield PAGE.path, by_reader(listing.handle)


PAGE: Final = Page("treasuries", "/treasuries", say("Treasuries"), place=47, under="market_cap", routes=_routes)

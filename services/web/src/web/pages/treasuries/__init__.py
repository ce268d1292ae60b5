"""Who holds bitcoin: companies, countries and funds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.asset_views import TREASURIES
from shared.domains import TREASURIES as SEEN
from shared.explorer_views import SeenTreasuriesView
from web.http.readers import by_reader
from web.pages.listing import List, Listing
from web.pages.order import Sort
from web.pages.page import Handler, Means, Page
from web.state.checked import WHY, checked
from web.words.sentence import say

_SORTS: Final = {
    "bitcoin": Sort(say("Bitcoin"), lambda row: row.satoshi),
    "name": Sort(say("Name"), lambda row: row.name.casefold(), rising=True, by_words=True),
    "gain": Sort(say("Cost and gain"), lambda row: None if row.gain_percent is None else float(row.gain_percent)),
    "date": Sort(say("Date"), lambda row: row.as_of),
}

TITLES: Final = {
    "companies": say("Companies that hold bitcoin"), "countries": say("Countries that hold bitcoin"),
    "funds": say("Funds that hold bitcoin"),
}  # fmt: skip
_SHORT: Final = {"companies": say("Companies"), "countries": say("Countries"), "funds": say("Funds")}


def address(name: str) -> str:
    """Of one kind of holders."""
    return f"/treasuries/{name}"


LISTS: Final = {
    name: List(
        "treasuries", name, address(name), kind, _SORTS, beside={SEEN.name: SeenTreasuriesView}, checked=checked,
        why_words=WHY,
    )
    for name, kind in TREASURIES.items()
}  # fmt: skip


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    lists = [(name, title, address(name)) for name, title in _SHORT.items()]
    for name, shown in LISTS.items():
        listing = Listing(PAGE, means.pages, shown, heading=TITLES[name], lists=lists)
        yield address(name), by_reader(listing.handle)
        if name == "companies":
            yield PAGE.path, by_reader(listing.handle)


PAGE: Final = Page(
    "treasuries",
    "/treasuries",
    say("Treasuries"),
    place=47,
    under="market_cap",
    routes=_routes,
    views={name: (shown.card,) for name, shown in LISTS.items()},
)

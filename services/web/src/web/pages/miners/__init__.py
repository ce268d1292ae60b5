"""Mining pools: all of them over a span of time, and a page for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from web.http.readers import by_reader
from web.pages.miners.answering import MinerPages
from web.pages.page import Handler, Means, Page, cards
from web.words.sentence import say

_card = cards(__name__)


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    answering = MinerPages(PAGE, means.pages, means.miners)
    yield PAGE.path, by_reader(answering.index)
    yield f"{PAGE.path}/{{slug}}", by_reader(answering.page)


PAGE: Final = Page(
    "miners",
    "/network/miners",
    say("Mining pools"),
    place=31,
    shows=(_card("miners_pulse", ("history",)),),
    under="blocks",
    routes=_routes,
)

"""The index of the charts, and the page of each metric."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from web.http.readers import by_reader
from web.pages.charts.answering import ChartPages
from web.pages.page import Handler, Means, Page, cards
from web.words.sentence import say

_card = cards(__name__)


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    answering = ChartPages(PAGE, means.pages, means.charts.asked)
    yield "/charts", by_reader(answering.index)
    yield "/charts/{metric}", by_reader(answering.page)


PAGE: Final = Page(
    "charts", "/charts", say("Charts"), place=40, shows=(_card("pulse", ("history", "mempool")),), routes=_routes
)

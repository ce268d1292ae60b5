"""What the operator's listener answers in place of, and beside, the public addresses: everything, and to no website.

None of it may be read by another origin: no CORS, and `Cross-Origin-Resource-Policy: same-origin`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Final

from aiohttp import web

from web.api import status as api
from web.http.answers import CORS, Answer
from web.http.document import Document
from web.pages.charts.answering import ChartPages
from web.pages.rendering import CHARTS, PAGES, Page, Pages
from web.push.events import Events
from web.push.live import Live
from web.state.reading import State
from web.state.snapshot import PARTS
from web.state.truth import Domain
from web.telemetry import Telemetry

PRIVATE: Final = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Desk:
    """The operator's pages, status, events and figures, over the state in full."""

    def __init__(self, state: State, pages: Pages, charts: ChartPages, events: Events, telemetry: Telemetry) -> None:
        self._state = state
        self._pages = pages
        self._charts = charts
        self._events = events
        self._telemetry = telemetry
        self.live = Live(pages, state, PAGES, state.pulse)

    def routes(self) -> Iterator[tuple[str, Handler]]:
        """Every address and who answers it."""
        for page in PAGES.values():
            if page is not CHARTS:
                yield page.path, self._document(self._page(page), page.domains).handle
        yield "/charts", self._charts.index
        yield "/charts/{metric}", self._charts.page
        yield "/live", self.live.handle
        yield "/api/v1/status", self._document(self._status).handle
        yield "/api/v1/events", self._events.handle
        yield "/readyz", self._readiness
        yield "/metrics", self._metrics

    def _page(self, page: Page) -> Callable[[], Answer]:
        return lambda: self._pages.page(page)

    def _status(self) -> Answer:
        return private(api.status(self._state.snapshot, self._state.notices, self._state.now))

    async def _readiness(self, request: web.Request) -> web.StreamResponse:
        state = self._state
        return private(api.readiness(state.snapshot, state.now, self._pages.broken())).response(request)

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        return private(self._telemetry.answer()).response(request)

    def _document(self, build: Callable[[], Answer], domains: tuple[Domain, ...] = ()) -> Document:
        made = Document(build, age=(lambda: self._state.age(domains)) if domains else None)
        self._state.subscribe(PARTS, made.invalidate)
        return made


def private(answer: Answer) -> Answer:
    """The answer, to be read by no other origin."""
    kept = {name: value for name, value in answer.headers.items() if name not in CORS}
    return replace(answer, headers={**kept, **PRIVATE})

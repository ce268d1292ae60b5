"""What the operator's listener answers in place of, and beside, the public addresses: everything, and to no website.

None of it may be read by another origin: no CORS, and `Cross-Origin-Resource-Policy: same-origin`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from aiohttp import web

from web.api.status import readiness
from web.endpoints import Endpoint
from web.http.answers import Answer, private
from web.http.document import Document
from web.http.readers import Spoken
from web.pages.found import LIVE, LONG, PAGES
from web.pages.page import Handler, Means, Page
from web.push.events import Events
from web.push.live import Live
from web.state.reading import State
from web.state.snapshot import PARTS
from web.telemetry import Telemetry


class Desk:
    """The operator's pages, status, events and figures, over the state in full."""

    def __init__(
        self, state: State, means: Means, endpoints: Iterable[Endpoint], events: Events, telemetry: Telemetry
    ) -> None:
        self._state = state
        self._means = means
        self._endpoints = endpoints
        self._events = events
        self._telemetry = telemetry
        self.live = Live(means.pages, state, LIVE, LONG)

    def routes(self) -> Iterator[tuple[str, Handler]]:
        """Every address and who answers it."""
        for page in PAGES.values():
            if page.routes is None:
                yield page.path, self._page(page).handle
            else:
                yield from page.routes(self._means)
        for endpoint in self._endpoints:
            if endpoint.operators:
                yield endpoint.path, self._document(partial(endpoint.build, self._state)).handle
        yield "/live", self.live.handle
        yield "/api/v1/events", self._events.handle
        yield "/readyz", self._readiness
        yield "/metrics", self._metrics

    def _page(self, page: Page) -> Spoken:
        made = Spoken(lambda: self._means.pages.page(page), age=lambda: self._state.age(page.domains))
        self._state.subscribe(PARTS, made.invalidate)
        return made

    async def _readiness(self, request: web.Request) -> web.StreamResponse:
        state = self._state
        return private(readiness(state.snapshot, state.now, self._means.pages.broken())).response(request)

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        return private(self._telemetry.answer()).response(request)

    def _document(self, build: Callable[[], Answer]) -> Document:
        made = Document(build)
        self._state.subscribe(PARTS, made.invalidate)
        return made

"""Endpoints over an interval of the past, which are made of series: how they are declared, and what answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiohttp import web

from shared.views import HistoryView, TipView
from web import compat
from web.charts.data.reading import SeriesReader
from web.compat.answers import refusal, unavailable
from web.finding import declared
from web.http.answers import Answer, Unavailable, document
from web.http.prepared import Answering
from web.state.reading import State

REFRESH: Final = 60
"""Seconds after which what depends on the clock is built anew."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a document of the past is made of."""

    reader: SeriesReader
    interval: str
    now: int  # Unix seconds
    known: HistoryView | None  # how far the chain's series reach
    tip: TipView | None

    @property
    def history(self) -> HistoryView:
        """How far the chain's series reach. Raises Unavailable where there are none."""
        if self.known is None:
            raise Unavailable("There is no history of the chain yet.")
        return self.known


Build: TypeAlias = Callable[[Asked], Awaitable[Any]]
"""Reads what is asked for and returns what becomes JSON. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Past:
    """One document for each interval."""

    paths: tuple[str, ...]  # with {interval}; without, everything is meant
    build: Build
    intervals: Collection[str]
    domain: str


class Pasts:
    """What one module declares."""

    def __init__(self, intervals: Collection[str], domain: str) -> None:
        """All of it over the same intervals, and of figures of the same domain: `history` or `mempool`."""
        self._intervals = intervals
        self._domain: str = domain
        self._declared: list[Past] = []

    def __iter__(self) -> Iterator[Past]:
        return iter(self._declared)

    def get(self, *paths: str) -> Callable[[Build], Build]:
        """Answers these addresses with what the function makes."""

        def declare(build: Build) -> Build:
            self._declared.append(Past(paths, build, self._intervals, self._domain))
            return build

        return declare


def every() -> Iterator[Past]:
    """All that the modules beside this one declare."""
    for module in declared(compat.__name__, compat.__path__, "PASTS", Pasts):
        yield from module


class PastApi(Answering):
    """Answers what is declared. A document is kept as bytes until the series that it shows, or the minute, changed."""

    def __init__(self, state: State, reader: SeriesReader) -> None:
        super().__init__()
        self._state = state
        self._reader = reader

    def routes(self) -> Iterator[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Every address and who answers it."""
        for past in every():
            for path in past.paths:
                yield path, self._answering(past)

    def _answering(self, past: Past) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        of_chain = past.domain == "history"

        async def handle(request: web.Request) -> web.StreamResponse:
            state = self._state
            interval = request.match_info.get("interval", "all")
            if interval not in past.intervals:
                if not of_chain:
                    return refusal(404, f"Cannot GET {request.path[:120]}").response(request)
                interval = "all"  # as mempool.space takes it
            known = state.snapshot[HistoryView]
            if of_chain and known is None:
                return unavailable().response(request)
            minute = int(state.now) // REFRESH
            version = (state.changes["history"], state.changes["chain"], minute) if of_chain else minute
            asked = Asked(self._reader, interval, int(state.now), known, state.snapshot[TipView])
            total = {"X-total-count": str(asked.history.measured)} if of_chain else {}

            async def built() -> Answer:
                return document(await past.build(asked), **total)

            key = (past.paths[0], interval)
            try:
                answer = await self._built.get(key, version, built)
            except Unavailable:
                return unavailable().response(request)
            return await self._answers.answer(request, key, answer, _itself, lambda: state.age((past.domain,)))

        return handle


def _itself(answer: Answer) -> Answer:
    return answer

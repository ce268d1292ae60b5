"""Answers for the series: `/api/v1/charts/{metric}`, the largest transactions, and what mempool.space has of both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

from aiohttp import web

from shared.views import LARGEST_RANGES, HistoryView
from web.charts.chart import METRICS, Chart, ChartUnavailable, sources
from web.charts.data.reading import SeriesReader
from web.charts.serving.store import Charts
from web.charts.serving.written import as_csv, as_json
from web.charts.span import BadSpan
from web.compat import mining, statistics
from web.compat.pools import pools
from web.http.answers import Answer, compatible_error, document, error
from web.http.document import Aging, Document
from web.http.prepared import Built, Documents
from web.state import conditions
from web.state.reading import State
from web.state.snapshot import Snapshot
from web.state.truth import Domain

RETRY_AFTER: Final = 5
"""Seconds that a client is asked to wait for what is not available yet."""

REFRESH: Final = 60
"""Seconds after which what depends on the clock is built anew."""

PREFIXES: Final = ("/api/v1/charts/", "/api/v1/largest-transactions", "/api/v1/mining/", "/api/v1/statistics/")
"""Addresses that are answered here."""

_AVERAGES: Final[dict[str, Callable[[Any], Any]]] = {
    "fees": mining.fees,
    "rewards": mining.rewards,
    "fee-rates": mining.fee_rates,
    "sizes-weights": mining.sizes_weights,
}

_Build = Callable[[HistoryView, str], Awaitable[Any]]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ChartApi:
    """The JSON and CSV of charts. Its documents are kept as bytes until what they show has changed."""

    def __init__(self, state: State, charts: Charts, reader: SeriesReader) -> None:
        self._state = state
        self._charts = charts
        self._reader = reader
        self._written: Documents[Chart] = Documents()
        self._answers: Documents[Answer] = Documents()
        self._built: Built[Answer] = Built()
        self._largest = {name: self._largest_document(name) for name in ("mempool", *LARGEST_RANGES)}

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""
        largest = self._largest.values()
        requests = self._written.requests + self._answers.requests + sum(made.requests for made in largest)
        return requests, self._written.renders + self._answers.renders + sum(made.renders for made in largest)

    def routes(self) -> Iterator[tuple[str, Handler]]:
        """Every address and who answers it."""
        yield "/api/v1/charts/{metric}", self.chart
        yield "/api/v1/largest-transactions", self.largest
        builds: dict[str, _Build] = {
            "hashrate": self._hashrate,
            "difficulty-adjustments": self._adjustments,
            "pools": self._pools,
            **{f"blocks/{name}": partial(self._averages, write) for name, write in _AVERAGES.items()},
        }
        for name, build in builds.items():
            yield f"/api/v1/mining/{name}/{{interval}}", self._compatible(name, build)
        yield "/api/v1/mining/difficulty-adjustments", self._compatible("difficulty-adjustments", self._adjustments)
        yield "/api/v1/statistics/{interval}", self.statistics

    # --- our own -------------------------------------------------------------------------------------

    async def chart(self, request: web.Request) -> web.StreamResponse:
        """`/api/v1/charts/{metric}?range=…|from=…&to=…&format=csv&figure=…`."""
        try:
            name, form, wanted = _named(request)
            span = self._charts.span(METRICS[name], request.query)
            chart = await self._charts.chart(name, span)
            write = as_json if form == "json" else partial(as_csv, wanted=_figure(chart, wanted))
        except _Refused as refused:
            return refused.answer.response(request)
        except BadSpan as refused:
            return error(400, "bad_span", f"{refused}.").response(request)
        except ChartUnavailable as reason:
            return error(503, "not_available", str(reason), retry_after=RETRY_AFTER).response(request)
        key = (name, span.range or (span.start, span.end), form, wanted)
        return await self._written.answer(request, key, chart, write, self._age(*sources(name, span.range)))

    async def largest(self, request: web.Request) -> web.StreamResponse:
        """`/api/v1/largest-transactions?range=…`."""
        name = request.query.get("range", METRICS["tx-amount"].default)
        made = self._largest.get(name)
        if made is None:
            text = f"range={name[:40]!r} is not known: expected one of {', '.join(self._largest)}."
            return error(400, "bad_span", text).response(request)
        return await made.handle(request)

    def _largest_document(self, name: str) -> Document:
        domain: Domain = "mempool" if name == "mempool" else "history"
        made = Document(lambda: largest_answer(self._state.snapshot, name, self._state.now), age=self._age(domain))
        self._state.subscribe((domain, "truth", "notices"), made.invalidate)
        return made

    def _age(self, *domains: Domain) -> Aging:
        return lambda: self._state.age(domains)

    # --- mempool.space's -----------------------------------------------------------------------------

    def _compatible(self, name: str, build: _Build) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            history = self._state.snapshot.history
            if history is None:
                return _unavailable().response(request)
            interval = request.match_info.get("interval", "all")
            interval = interval if interval in mining.INTERVALS else "all"
            version = (self._state.changes["history"], self._state.changes["chain"], int(self._state.now) // REFRESH)
            headers = {"X-total-count": str(history.measured)}

            async def built() -> Answer:
                return document(await build(history, interval), **headers)

            return await self._answer(request, (name, interval), version, built, "history")

        return handle

    async def _answer(
        self, request: web.Request, key: Any, version: Any, build: Callable[[], Awaitable[Answer]], domain: Domain
    ) -> web.StreamResponse:
        try:
            answer = await self._built.get(key, version, build)
        except ChartUnavailable:
            return _unavailable().response(request)
        return await self._answers.answer(request, key, answer, _itself, self._age(domain))

    async def _hashrate(self, history: HistoryView, interval: str) -> Any:
        return await mining.hashrate(self._reader, history, self._state.snapshot.tip, interval, int(self._state.now))

    async def _adjustments(self, history: HistoryView, interval: str) -> Any:
        return await mining.difficulty_adjustments(self._reader, history, interval, int(self._state.now))

    async def _pools(self, history: HistoryView, interval: str) -> Any:
        return await pools(self._reader, history, self._state.snapshot.tip, interval, int(self._state.now))

    async def _averages(self, write: Callable[[Any], Any], history: HistoryView, interval: str) -> Any:
        return write(await mining.groups(self._reader, history, interval, int(self._state.now)))

    async def statistics(self, request: web.Request) -> web.StreamResponse:
        """`/api/v1/statistics/{interval}`."""
        interval = request.match_info["interval"]
        if interval not in statistics.INTERVALS:
            return compatible_error(404, f"Cannot GET {request.path[:120]}").response(request)

        async def built() -> Answer:
            return document(await statistics.statistics(self._reader, interval, int(self._state.now)))

        version = int(self._state.now) // REFRESH
        return await self._answer(request, ("statistics", interval), version, built, "mempool")

    async def close(self) -> None:
        """End what is being built."""
        await self._built.close()


class _Refused(Exception):
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.answer = error(status, code, text)


def _named(request: web.Request) -> tuple[str, str, str]:
    """Metric, format and figure; of the figure nobody knows yet whether there is one."""
    name, form = request.match_info["metric"], request.query.get("format", "json")
    if name not in METRICS:
        text = f"There is no metric {name[:40]!r}: expected one of {', '.join(METRICS)}."
        raise _Refused(404, "not_found", text)
    if form not in ("json", "csv"):
        raise _Refused(400, "bad_format", f"format={form[:40]!r} is not known: expected json or csv.")
    return name, form, request.query.get("figure", "") if form == "csv" else ""


def _figure(chart: Chart, wanted: str) -> str:
    """The name of a figure of the chart, of the first where none is wanted."""
    known = [figure.name for figure in chart.figures]
    if wanted and wanted not in known:
        text = f"figure={wanted[:40]!r} is no figure of {chart.metric}: expected one of {', '.join(known)}."
        raise _Refused(400, "bad_figure", text)
    return wanted or known[0]


def _itself(answer: Answer) -> Answer:
    return answer


def _unavailable() -> Answer:
    return compatible_error(503, "Service Unavailable", retry_after=RETRY_AFTER)


def largest_answer(s: Snapshot, name: str, now: float) -> Answer:
    """The largest transactions of the mempool, or in blocks over a span. Amounts in satoshi."""
    if name == "mempool":
        if s.largest is None or s.mempool is None or conditions.forsaken(s, now):
            return _missing(conditions.mempool_absence(s, now).why)
        waiting: list[dict[str, Any]] = [
            {"rank": rank, "txid": tx.txid, "value": tx.value, "height": None, "time": tx.time}
            for rank, tx in enumerate(s.largest.transactions, 1)
        ]
        since, complete, found = None, s.mempool.exact, waiting
    else:
        view = s.confirmed_largest(name)
        if view is None or s.history is None:
            return _missing(conditions.history_absence(s, now).why)
        since, complete = view.since, view.complete
        found = [
            {"rank": rank, "txid": tx.txid, "value": tx.value, "height": tx.height, "time": tx.time}
            for rank, tx in enumerate(view.transactions, 1)
        ]
    true_ms = s.truth["mempool" if name == "mempool" else "history"].true_ms
    as_of = None if true_ms is None else true_ms // 1000
    return document({"range": name, "since": since, "complete": complete, "transactions": found, "as_of": as_of})


def _missing(why: str) -> Answer:
    return error(503, "not_available", why, retry_after=RETRY_AFTER)

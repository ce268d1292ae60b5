"""`/api/v1/charts/{metric}`: a chart's points as JSON and CSV."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from aiohttp import web

from web.charts.chart import Chart
from web.charts.metrics import METRICS
from web.charts.serving.store import Charts
from web.charts.serving.written import as_csv, as_json
from web.charts.span import BadSpan
from web.http.answers import RETRY_AFTER, Unavailable, error
from web.http.document import Aging
from web.http.prepared import Documents
from web.state.reading import State
from web.words.currency import chosen, counted, counting

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ChartApi:
    """The endpoint. Its documents are kept as bytes until what they show has changed."""

    def __init__(self, state: State, charts: Charts) -> None:
        self._state = state
        self._charts = charts
        self._written: Documents[Chart] = Documents()

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""
        return self._written.requests, self._written.renders

    def routes(self) -> Iterator[tuple[str, Handler]]:
        """Every address and who answers it."""
        yield "/api/v1/charts/{metric}", self.chart

    async def chart(self, request: web.Request) -> web.StreamResponse:
        """`/api/v1/charts/{metric}?range=…|from=…&to=…&style=…&format=csv&figure=…`."""
        with counting(chosen(request.query.get("currency")) or counted()):
            return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            name, form, wanted = _named(request)
            span = self._charts.span(METRICS[name], request.query)
            style = METRICS[name].style(request.query.get("style", ""))
            chart = await self._charts.chart(name, span, style)
            write = as_json if form == "json" else partial(as_csv, wanted=_figure(chart, wanted))
        except _Refused as refused:
            return refused.answer.response(request)
        except BadSpan as refused:
            return error(400, refused.code, f"{refused}.").response(request)
        except Unavailable as reason:
            return error(503, "not_available", str(reason), retry_after=RETRY_AFTER).response(request)
        key = (name, style, span.range or (span.start, span.end), form, wanted, counted())
        return await self._written.answer(request, key, chart, write, self._age(*METRICS[name].domains(span.range)))

    def _age(self, *domains: str) -> Aging:
        return lambda: self._state.age(domains)

    async def close(self) -> None:
        """Nothing is built here: that is `Charts`'."""


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

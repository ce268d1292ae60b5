"""Keeps charts ready: each is built once for a change of what it shows, however many ask for it at the same time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from shared.domains import HISTORY
from shared.views import HistoryView
from web.charts.chart import Chart
from web.charts.data.reading import SeriesReader
from web.charts.metric import Material, Metric
from web.charts.metrics import METRICS
from web.charts.span import Span, parse
from web.http.answers import Unavailable
from web.http.flights import SingleFlight
from web.state import conditions
from web.state.reading import State
from web.state.snapshot import Absence, Part
from web.words.currency import counted
from web.words.language import ENGLISH, speaking
from web.words.sentence import joined

KEPT: Final = 128
"""Charts kept at most; the one that was asked for longest ago goes first."""

AGE: Final = 300.0
"""Seconds after which a chart is built anew although nothing changed, since its time axis ends now."""

BUSY_AGE: Final = 5.0
BUSY_AGE_LONG: Final = 60.0
"""As AGE, where what changes all the time did so meanwhile: for spans up to a day, and for longer ones."""

_BEGINS_LATE: Final = 30 * 86_400
"""A genesis block so much older than the block on it was not mined by this chain's miners."""

Key = tuple[str, str, str, str, int, int]


@dataclass(slots=True)
class _Kept:
    chart: Chart
    changes: dict[Part, int]  # of the state, as they were counted before it was built
    built: float


class Charts:
    """Every chart, by metric and span."""

    def __init__(self, state: State, reader: SeriesReader, now: Callable[[], float] | None = None) -> None:
        self._state = state
        self._reader = reader
        self._now = now or (lambda: state.now)
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._flights: SingleFlight[Chart] = SingleFlight()
        self._begins: tuple[int, int] | None = None  # height of the lowest header, and when the chain begins
        self.builds = 0

    async def asked(self, metric: str, query: Mapping[str, str]) -> Chart:
        """The chart that a request's `range`, or `from` and `to`, and `style` ask for.

        Raises BadSpan and Unavailable.
        """
        found = METRICS[metric]
        return await self.chart(metric, self.span(found, query), found.style(query.get("style", "")))

    def span(self, metric: Metric, query: Mapping[str, str]) -> Span:
        """What the query asks for. Raises BadSpan."""
        genesis = metric.begins or self._reader.network.genesis_time
        return parse(metric, query, genesis=genesis, now=int(self._now()))

    async def chart(self, metric: str, span: Span, style: str = "line") -> Chart:
        """As it was kept, or built now. Raises Unavailable, which says what is missing and what happens next."""
        currency = counted() if METRICS[metric].in_currency else ""
        ends = (0, 0) if span.range else (span.start, span.end)
        key = (metric, style, currency, span.range, *ends)
        held = self._kept.get(key)
        if held is not None:
            self._kept.move_to_end(key)
            if self._fresh(metric, span, held) or self._state.snapshot.redis_error:
                return held.chart
        try:
            return await self._flights.do(key, lambda: self._build(key, metric, span, style))
        except Unavailable:
            if held is not None and self._state.snapshot[HistoryView] is not None:
                return held.chart  # the last one known; the notices on top of every page say what is wrong
            raise

    def _fresh(self, metric: str, span: Span, held: _Kept) -> bool:
        age = time.monotonic() - held.built
        changed = {part for part, count in self._state.changes.items() if held.changes[part] != count}
        if age >= AGE or ("history" in changed and "history" in METRICS[metric].of):
            return False
        if changed.isdisjoint(METRICS[metric].domains(span.range)):
            return True
        return age < (BUSY_AGE if span.seconds <= 86_400 else BUSY_AGE_LONG)

    async def _build(self, key: Key, metric: str, span: Span, style: str) -> Chart:
        changes = dict(self._state.changes)
        with speaking(ENGLISH):  # for all: pages say it in other languages
            begins = METRICS[metric].begins
            chart = await self._drawn(metric, span if begins else await self._settled(span), style)
        self.builds += 1
        self._kept[key] = _Kept(_around(chart), changes, time.monotonic())
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key].chart

    async def _settled(self, span: Span) -> Span:
        """The span with the beginning that only the headers tell."""
        history = self._state.snapshot[HistoryView]
        if history is None:
            return span
        if span.range == "halving":
            return replace(span, start=min(await self._reader.halved(history), span.end - 1))
        if self._begins is None or self._begins[0] != history.first_header:
            begins = await self._reader.begins(history)
            genesis = self._reader.network.genesis_time
            self._begins = (history.first_header, begins if begins - genesis > _BEGINS_LATE else genesis)
        return replace(span, start=min(max(span.start, self._begins[1]), span.end - 1))

    async def _drawn(self, metric: str, span: Span, style: str) -> Chart:
        snapshot, now = self._state.snapshot, self._now()
        history = snapshot[HistoryView]
        why = _words(conditions.absence(snapshot, now, HISTORY)) if history is None else ""
        chart = await METRICS[metric].build(Material(metric, self._reader, snapshot, span, int(now), why, style))
        of_chain = "history" in METRICS[metric].of
        if of_chain and history is None and chart.as_of is None and not any(table.rows for table in chart.tables):
            raise Unavailable(why)
        return chart

    async def close(self) -> None:
        """End what is being built."""
        await self._flights.close()


def _words(absence: Absence) -> str:
    return joined(absence.why, absence.then)


def _around(chart: Chart) -> Chart:
    """The chart with a time axis that holds every point: a bucket may begin before the span, a block lie ahead."""
    ends = [
        moment
        for figure in chart.figures
        for line in figure.lines
        if line.points
        for moment in (line.points[0][0], line.points[-1][0])
    ]
    return replace(chart, start=min([chart.start, *ends]), end=max([chart.end, *ends]))

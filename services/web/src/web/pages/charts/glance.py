"""A metric at a glance: its newest value, how it changed, and a small picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from web.charts.chart import RANGE_LABELS, Chart, Line
from web.charts.drawing.marks import thinned
from web.charts.drawing.panel import newest, oldest
from web.charts.drawing.units import quantity
from web.charts.metric import Metric
from web.charts.metrics import METRICS
from web.pages import pictures
from web.words.quantity import Quantity
from web.words.sentence import gettext, say

_POINTS: Final = 120
_TELLING: Final = 1_000.0
"""Percent above which a change says nothing: it only tells how long ago the beginning was."""

_OVER: Final = {"all": say("since the beginning"), "halving": say("since the halving")}

_WITHIN: Final = {
    "1h": say("in 1 hour"), "1d": say("in 1 day"), "1w": say("in 1 week"), "1m": say("in 1 month"),
    "1y": say("in 1 year"), "5y": say("in 5 years"), "10y": say("in 10 years"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Glance:
    """One card of the index."""

    metric: Metric
    newest: Quantity | None = None
    label: str = ""
    change: float | None = None  # percent
    over: str = ""  # in which time
    picture: str = ""
    why: str = ""  # there is nothing to show


def glance(chart: Chart) -> Glance:
    """Of the chart's first line that holds a value and is not a quiet one, if there is one."""
    metric = METRICS[chart.metric]
    lines = [line for figure in chart.figures for line in figure.lines]
    line = next((line for line in sorted(lines, key=lambda line: line.quiet) if newest(line)), None)
    if line is None:
        reasons = [figure.empty for figure in chart.figures if figure.empty]
        return Glance(metric, why=reasons[0] if reasons else say("There is no point in this span of time."))
    last, first = newest(line), oldest(line)
    assert last is not None and first is not None  # noqa: S101, PT018 - the line was chosen for it
    shown = quantity(last[1], line.unit)
    points = [(moment, value) for moment, value in thinned(line.points, _POINTS) if value is not None]
    name = RANGE_LABELS.get(chart.range, "")
    picture = pictures.sparkline(points, _what(line, name, first[1], last[1]))
    change, over = _change(line, chart.range)
    return Glance(metric, shown, line.label, change, over, picture)


def _what(line: Line, name: str, first: float, last: float) -> str:
    return gettext("%(line)s, %(range)s: from %(first)s to %(last)s") % {
        "line": line.label, "range": name, "first": quantity(first, line.unit), "last": quantity(last, line.unit),
    }  # fmt: skip


def _change(line: Line, span: str) -> tuple[float | None, str]:
    """From the first point, or, where the line goes in steps, from the step before the last."""
    there = [value for _, value in line.points if value is not None]
    before = there[0]
    over = _OVER.get(span) or _WITHIN.get(span, say("in this time"))
    if line.style == "step":
        before = next((value for value in reversed(there) if value != there[-1]), there[-1])
        over = say("at the last step")
    if len(there) < 2 or not before or line.unit == "%":
        return None, ""
    change = (there[-1] / before - 1) * 100
    return (change, over) if abs(change) <= _TELLING else (None, "")

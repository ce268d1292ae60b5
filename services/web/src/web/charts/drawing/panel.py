"""What a page shows of one figure: the picture, its legend, what must be known about it, and its newest points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from markupsafe import Markup

from web.charts.chart import Candles, Chart, Figure, Line
from web.charts.drawing import figure as drawing
from web.charts.drawing.figure import Picture
from web.charts.drawing.units import quantity
from web.words import moments
from web.words.quantity import Quantity
from web.words.sentence import gettext

ROWS: Final = 30
"""Newest points in a figure's table."""

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Key:
    """One line's place in the legend."""

    name: str
    label: str
    unit: str
    tint: str
    quiet: bool
    newest: Quantity | None


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure, ready for the template."""

    figure: Figure
    picture: Picture | None  # None: there is nothing to draw
    legend: list[Key]
    many: bool  # whether the legend is a list of short rows
    units: str
    newest: int | None  # Unix seconds
    rows: list[tuple[Markup, list[Quantity | None]]]


def newest(line: Line) -> tuple[int, float] | None:
    """The newest point that has a value."""
    return next(((moment, value) for moment, value in reversed(line.points) if value is not None), None)


def oldest(line: Line) -> tuple[int, float] | None:
    """The oldest point that has a value."""
    return next(((moment, value) for moment, value in line.points if value is not None), None)


def panel(figure: Figure, chart: Chart, *, log: bool) -> Panel:
    """Everything that the page shows of a figure."""
    figure = replace(figure, lines=[line for line in figure.lines if line.told])
    there = drawing.drawable(figure)
    picture = drawing.draw(figure, chart.start, chart.end, words(figure, chart), log=log) if there else None
    ends = [point for line in figure.lines if (point := newest(line))]
    return Panel(
        figure,
        picture,
        [_key(figure, line) for line in _legend(figure.lines)],
        len(figure.lines) > 4,
        ", ".join(dict.fromkeys(line.unit or gettext("a pure number") for line in figure.lines)),
        max((moment for moment, _ in ends), default=None),
        _rows(_legend(figure.lines)),
    )


def _key(figure: Figure, line: Line) -> Key:
    point = newest(line) if figure.candles is None else _of_newest(line)
    value = quantity(point[1], line.unit) if point else None
    return Key(line.name, line.label, line.unit, drawing.tint(figure, line), line.quiet, value)


def _of_newest(line: Line) -> tuple[int, float] | None:
    """Of the newest candle, and not of an older one where that is not known."""
    moment, value = line.points[-1] if line.points else (0, None)
    return None if value is None else (moment, value)


def _legend(lines: Sequence[Line]) -> Sequence[Line]:
    """A stack is named from its top down, as it is seen."""
    return lines[::-1] if all(line.style == "stack" for line in lines) else lines


def _rows(lines: Sequence[Line]) -> list[tuple[Markup, list[Quantity | None]]]:
    """The newest points of all lines, newest first."""
    known = [dict(line.points[-ROWS:]) for line in lines]
    times = sorted({moment for points in known for moment, value in points.items() if value is not None})[-ROWS:]
    daily = all(moment % _DAY == 0 for moment in times)
    name = moments.day if daily else moments.moment
    rows = []
    for moment in reversed(times):
        found = [(points.get(moment), line.unit) for points, line in zip(known, lines, strict=True)]
        rows.append((name(moment), [None if value is None else quantity(value, unit) for value, unit in found]))
    return rows


def words(figure: Figure, chart: Chart) -> str:
    """What the picture shows, for who does not see it."""
    told = [
        gettext("%(figure)s, %(start)s to %(end)s.")
        % {"figure": figure.title, "start": moments.date(chart.start), "end": moments.date(chart.end)}
    ]
    for line in figure.lines:
        first, last = oldest(line), newest(line)
        if first is None or last is None:
            told.append(gettext("%(line)s: nothing.") % {"line": line.label})
            continue
        values = [value for _, value in line.points if value is not None]
        told.append(
            gettext("%(line)s: from %(first)s to %(last)s, lowest %(lowest)s, highest %(highest)s.")
            % {
                "line": line.label,
                "first": quantity(first[1], line.unit),
                "last": quantity(last[1], line.unit),
                "lowest": quantity(min(values), line.unit),
                "highest": quantity(max(values), line.unit),
            }
        )
    return " ".join(told)


def description(chart: Chart, panels: Sequence[Panel], query: str, back: str, *, log: bool) -> Mapping[str, Any]:
    """What the script must know to draw the figures anew: everything but their points.

    `query` is what the API gives them for, `back` the range that a zoom leads back to.
    """
    return {
        "metric": chart.metric,
        "query": query,
        "range": chart.range,
        "back": back,
        "start": chart.start,
        "end": chart.end,
        "log": log,
        "figures": [
            {
                "name": shown.figure.name,
                "log": shown.figure.log and log,
                "zero": shown.figure.from_zero,
                "fills": shown.figure.fills,
                "candles": _how(shown.figure.candles),
                "lines": [
                    {
                        "name": line.name,
                        "unit": line.unit,
                        "style": line.style,
                        "tint": drawing.tint(shown.figure, line),
                        "quiet": line.quiet,
                        "axis": line.axis,
                    }
                    for line in shown.figure.lines
                ],
            }
            for shown in panels
            if shown.picture is not None
        ],
    }


def _how(candles: Candles | None) -> dict[str, int] | None:
    if candles is None:
        return None
    return {"seconds": candles.seconds, "narrow": candles.narrow, "origin": candles.origin}

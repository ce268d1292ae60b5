"""From points to the paths of an SVG: lines, steps, bars, areas and stacks, with few points and every extreme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Final

from web.charts.chart import Line
from web.charts.drawing.axis import Scale

Points = Sequence[tuple[int, float | None]]
Row = tuple[int, tuple[float, ...]]

WIDTH: Final = 2_000
HEIGHT: Final = 1_000
"""Units of the plot, stretched to whatever size it has."""

MOST: Final = 600
"""Points drawn of one line at most; the extremes are always among them."""

MOST_OF_STACK: Final = 240
"""Moments drawn of a stack at most: each has a point on every layer."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where moments and values lie in the plot. The time axis goes from `start` to `end`, Unix seconds."""

    start: int
    end: int

    def x(self, moment: float) -> int:
        """Units from the left."""
        return round((moment - self.start) / (self.end - self.start) * WIDTH)

    def y(self, value: float, scale: Scale) -> int:
        """Units from the top."""
        return round((1 - scale.place(value)) * HEIGHT)

    def places(self, points: Iterable[tuple[float, float]], scale: Scale) -> list[str]:
        """Both of each point, as a path has them."""
        start, seconds, place = self.start, self.end - self.start, scale.place
        return [
            f"{round((moment - start) / seconds * WIDTH)} {round((1 - place(value)) * HEIGHT)}"
            for moment, value in points
        ]


def thinned(points: Points, most: int = MOST) -> Points:
    """At most `most` points (and a few gaps): of each stretch its lowest and its highest."""
    if len(points) <= most:
        return points
    kept: list[tuple[int, float | None]] = []
    stretches = most // 2
    for index in range(stretches):
        stretch = points[index * len(points) // stretches : (index + 1) * len(points) // stretches]
        there = [(value, moment) for moment, value in stretch if value is not None]
        if there:
            kept += sorted({(moment, value) for value, moment in (min(there), max(there))})
        if len(there) < len(stretch) and kept and kept[-1][1] is not None:
            kept.append((stretch[-1][0], None))
    return kept


def runs(points: Points, *, log: bool = False) -> Iterable[list[tuple[int, float]]]:
    """Stretches without a gap. On a logarithmic scale what is not above zero is a gap."""
    run: list[tuple[int, float]] = []
    for moment, value in points:
        if value is not None and (value > 0 or not log):
            run.append((moment, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def line(points: Points, canvas: Canvas, scale: Scale) -> str:
    """Straight from point to point; one that stands alone is a dot."""
    parts = []
    for run in runs(thinned(points), log=scale.log):
        places = "L".join(canvas.places(run, scale))
        parts.append(f"M{places}" if len(run) > 1 else f"M{places}h1")
    return "".join(parts)


def steps(points: Points, canvas: Canvas, scale: Scale) -> str:
    """Level until the next point, the last one until the end of the axis."""
    parts = []
    thin = thinned(points)
    for run in runs(thin, log=scale.log):
        (moment, value), *others = run
        parts.append(f"M{canvas.x(moment)} {canvas.y(value, scale)}")
        parts += [f"H{canvas.x(moment)}V{canvas.y(value, scale)}" for moment, value in others]
        if run[-1] == thin[-1]:
            parts.append(f"H{WIDTH}")
    return "".join(parts)


def bars(points: Points, canvas: Canvas, scale: Scale) -> str:
    """A bar begins at its point; a fifth of the way to the next one stays free."""
    seconds = min((b[0] - a[0] for a, b in pairwise(points)), default=0) or (canvas.end - canvas.start) // 20
    width = max(1, canvas.x(canvas.start + seconds * 0.8))
    ground = HEIGHT if scale.log else canvas.y(0, scale)
    return "".join(
        f"M{canvas.x(moment)} {ground}V{canvas.y(value, scale)}h{width}V{ground}Z"
        for run in runs(points, log=scale.log)
        for moment, value in run
    )


def between(upper: Points, lower: Points, canvas: Canvas, scale: Scale) -> str:
    """The area between two lines, where both have a value."""
    other = dict(lower)
    parts = []
    for run in runs(upper, log=scale.log):
        rows = [(moment, value, low) for moment, value in run if (low := other.get(moment)) is not None]
        rows = [row for row in rows if row[2] > 0 or not scale.log]
        parts.append(_area(rows[:: -(-len(rows) // MOST) or 1], canvas, scale))
    return "".join(parts)


def layered(lines: Sequence[Line]) -> list[Row]:
    """(moment, sums of the first, the first two, … lines) in rising time; a value that is missing counts as nothing.

    There are no sums where all are missing: the stack has a gap there.
    """
    known = [dict(line.points) for line in lines]
    rows = []
    for moment in sorted(set().union(*known)):
        found = [points.get(moment) for points in known]
        gap = found.count(None) == len(found)
        rows.append((moment, () if gap else tuple(accumulate([value or 0.0 for value in found]))))
    return rows


def layers(rows: Sequence[Row], canvas: Canvas, scale: Scale) -> list[str]:
    """The area of each layer of a stack, lowest first."""
    stretch = max(1, -(-len(rows) // MOST_OF_STACK))
    parts: list[list[str]] = [[] for _ in max((sums for _, sums in rows), key=len, default=())]
    for there, run in groupby(rows, key=lambda row: bool(row[1])):
        if there:
            for layer, area in enumerate(_layers(list(run), stretch, canvas, scale)):
                parts[layer].append(area)
    return ["".join(areas) for areas in parts]


def _layers(rows: Sequence[Row], stretch: int, canvas: Canvas, scale: Scale) -> Iterable[str]:
    """Of a stretch without a gap: of each few moments the one with the highest sum."""
    thin = [max(rows[at : at + stretch], key=lambda row: row[1][-1]) for at in range(0, len(rows), stretch)]
    across = [canvas.x(moment) for moment, _ in thin]
    below = [f"{x} {canvas.y(0, scale)}" for x in across]
    for layer in range(len(thin[0][1])):
        above = [f"{x} {canvas.y(sums[layer], scale)}" for x, (_, sums) in zip(across, thin, strict=True)]
        yield f"M{'L'.join((*above, *reversed(below)))}Z"
        below = above


def _area(rows: Sequence[tuple[int, float, float]], canvas: Canvas, scale: Scale) -> str:
    if not rows:
        return ""
    top = canvas.places(((moment, high) for moment, high, _ in rows), scale)
    bottom = canvas.places(((moment, low) for moment, _, low in reversed(rows)), scale)
    return f"M{'L'.join((*top, *bottom))}Z"

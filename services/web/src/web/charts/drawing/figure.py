"""Draws a figure as inline SVG that fits any width: places are shares of the plot, words and strokes keep their size.

The picture is the plot alone; labels hang over its edges, where the style sheet leaves room. No styles inside: the
strict policy of the page forbids them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import Markup

from web.charts.chart import Candles, Figure, Line
from web.charts.drawing import axis, candles, marks
from web.charts.drawing.axis import Scale, Tick
from web.charts.drawing.marks import Canvas, Row

Side = Literal["left", "right"]
_SIDES: Final[tuple[Side, ...]] = ("left", "right")

WIDE_TICKS: Final = 12
NARROW_TICKS: Final = 5
NARROW_TICKS_OF_TWO: Final = 3
"""Most labels along the time axis: on a wide screen, on a narrow one, and there between two value axes."""

SHADES: Final = 8
"""Steps of the sequential palette."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as it is drawn, with the units that stand above its axes."""

    svg: Markup
    left: str
    right: str | None  # None: there is no axis on the right


def tint(figure: Figure, line: Line) -> str:
    """The class of a line's colour: `c0` to `c3`, or `q0` to `q7` in a stack of more than four."""
    layers = sum(other.style == "stack" for other in figure.lines)
    if line.style != "stack" or layers <= 4:
        return f"c{line.colour % 4}"
    return f"q{min(round(line.colour * (SHADES - 1) / (layers - 1)), SHADES - 1)}"


def drawable(figure: Figure) -> bool:
    """Whether there is anything to draw."""
    return any(value is not None for line in figure.lines for _, value in line.points)


def _stacks(figure: Figure) -> dict[Side, tuple[list[Line], list[Row]]]:
    """The lines of each stack, and their sums."""
    found = {}
    for side in _SIDES:
        stack = [line for line in figure.lines if line.axis == side and line.style == "stack"]
        found[side] = (stack, marks.layered(stack))
    return found


def _scales(figure: Figure, stacks: dict[Side, tuple[list[Line], list[Row]]], *, log: bool) -> dict[Side, Scale]:
    """The value axes that the figure's lines need."""
    found: dict[Side, Scale] = {}
    for side in _SIDES:
        lines = [line for line in figure.lines if line.axis == side]
        stack, rows = stacks[side]
        single = [line for line in lines if line.style != "stack"]
        values = [value for line in single for _, value in line.points if value is not None]
        values += [sums[-1] for _, sums in rows if sums]
        if log and not stack:
            values = [value for value in values if value > 0]
        if values:
            ground = figure.from_zero or any(line.style in ("stack", "bars") for line in lines)
            log_here = log and not stack
            found[side] = axis.scale(min(values), max(values), lines[0].unit, log=log_here, from_zero=ground)
    return found


def draw(figure: Figure, start: int, end: int, words: str, *, log: bool = False) -> Picture:
    """The figure over `start` to `end` (Unix seconds), which it must have a value in; `words` say what it shows."""
    canvas = Canvas(start, max(end, start + 1))
    stacks = _stacks(figure)
    sides = _scales(figure, stacks, log=log and figure.log)
    first: Side = "left" if "left" in sides else "right"
    second: Scale | None = sides.get("right") if first == "left" else None
    svg = framed(words, canvas, sides[first], _marks(figure, canvas, sides, stacks), second)
    return Picture(svg, sides[first].unit, second.unit if second else None)


def framed(words: str, canvas: Canvas, left: Scale, paths: Iterable[Markup], right: Scale | None = None) -> Markup:
    """Paths with the labels of their axes around them."""
    return Markup(
        '<svg class="drawing" role="img" aria-label="{words}" width="100%" height="100%">{values}{times}'
        '<svg class="marks" viewBox="0 0 {width} {height}" preserveAspectRatio="none" width="100%" height="100%">'
        "{marks}</svg></svg>"
    ).format(
        words=words,
        values=_values(left.ticks, "left") + (_values(right.ticks, "right") if right else Markup("")),
        times=_times(canvas, two=right is not None),
        width=marks.WIDTH,
        height=marks.HEIGHT,
        marks=Markup("").join(paths),
    )


def _marks(
    figure: Figure, canvas: Canvas, sides: dict[Side, Scale], stacks: dict[Side, tuple[list[Line], list[Row]]]
) -> list[Markup]:
    """Fills behind everything, then stacks, quiet lines, and the others."""
    if figure.candles is not None:
        return _candles(figure.lines, figure.candles, canvas, sides["left"])
    by_name = {line.name: line for line in figure.lines}
    found = []
    for above, below in figure.fills:
        upper, lower = by_name.get(above), by_name.get(below)
        if upper is not None and lower is not None and upper.axis in sides:
            area = marks.between(upper.points, lower.points, canvas, sides[upper.axis])
            found.append(path("fill", tint(figure, upper), area))
    for side, scale in sides.items():
        stack, rows = stacks[side]
        areas = marks.layers(rows, canvas, scale)
        found += [path("layer", tint(figure, line), area) for line, area in zip(stack, areas, strict=True) if areas]
    for line in sorted(figure.lines, key=lambda line: (not line.quiet, line.style != "bars")):
        if line.axis not in sides or line.style == "stack":
            continue
        make = {"line": marks.line, "step": marks.steps, "bars": marks.bars}[line.style]
        kind = "column" if line.style == "bars" else "stroke quiet" if line.quiet else "stroke"
        found.append(path(kind, tint(figure, line), make(line.points, canvas, sides[line.axis])))
    return found


def _candles(lines: Sequence[Line], how: Candles, canvas: Canvas, scale: Scale) -> list[Markup]:
    """Once where there is room for all, and once merged for narrow screens."""
    fine = candles.of(lines)
    if how.narrow == how.seconds:
        return [path("candle", kind, places) for kind, places in candles.paths(fine, how.seconds, canvas, scale)]
    sets = (("wide-only", fine, how.seconds), ("narrow-only", candles.merged(fine, how), how.narrow))
    return [
        Markup('<g class="{}">{}</g>').format(
            kind, Markup("").join(path("candle", *one) for one in candles.paths(found, seconds, canvas, scale))
        )
        for kind, found, seconds in sets
    ]


def path(kind: str, colour: str, places: str) -> Markup:
    """One mark of this class and colour; nothing where it has no places."""
    return Markup('<path class="{} {}" d="{}"/>').format(kind, colour, places) if places else Markup("")


def _share(at: float) -> str:
    return f"{at * 100:.2f}".rstrip("0").rstrip(".") + "%"


def _values(ticks: Sequence[Tick], side: Side) -> Markup:
    """Labels of a value axis, and the lines across where it is the one that the grid follows."""
    parts = []
    ground = next((tick for tick in ticks if tick.label == "0"), ticks[0])
    for tick in ticks:
        y = _share(1 - tick.at)
        if side == "left":
            kind = "ground" if tick is ground else "grid"
            parts.append(Markup('<line class="{}" x2="100%" y1="{}" y2="{}"/>').format(kind, y, y))
            parts.append(Markup('<text class="v" x="0" dx="-8" y="{}" dy="4">{}</text>').format(y, tick.label))
        else:
            parts.append(Markup('<text x="100%" dx="8" y="{}" dy="4">{}</text>').format(y, tick.label))
    return Markup("").join(parts)


def _times(canvas: Canvas, *, two: bool) -> Markup:
    """Labels of the time axis, once for wide and once for narrow screens."""
    parts = []
    for kind, most in (("wide-only", WIDE_TICKS), ("narrow-only", NARROW_TICKS_OF_TWO if two else NARROW_TICKS)):
        inner = []
        for tick in axis.time_ticks(canvas.start, canvas.end, most):
            x = _share(tick.at)
            inner.append(Markup('<line class="grid" y2="100%" x1="{}" x2="{}"/>').format(x, x))
            inner.append(Markup('<text class="t" x="{}" y="100%" dy="18">{}</text>').format(x, tick.label))
            if tick.context:
                inner.append(Markup('<text class="t" x="{}" y="100%" dy="34">{}</text>').format(x, tick.context))
        parts.append(Markup('<g class="{}">{}</g>').format(kind, Markup("").join(inner)))
    return Markup("").join(parts)

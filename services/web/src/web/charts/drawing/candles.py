"""Candles as paths of an SVG: hollow where the price rose, filled where it fell, a tick where it is but a close."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from web.charts.chart import Candles, Line
from web.charts.data.candles import together
from web.charts.data.prices import Priced
from web.charts.drawing.axis import Scale
from web.charts.drawing.marks import Canvas

BODY: Final = 0.7
"""Of a candle's span, the width of its body; the rest keeps it apart from the next one. The script has the same."""


def of(lines: Sequence[Line]) -> list[Priced]:
    """What the first four lines of a figure tell: open, high, low and close."""
    rows = zip(*(line.points for line in lines[:4]), strict=True)
    return [Priced(at, o[1], h[1], low[1], close, "") for o, h, low, (at, close) in rows if close is not None]


def merged(found: Sequence[Priced], how: Candles) -> list[Priced]:
    """As many as fit on a narrow screen. The script on the page follows the same rules."""
    return together(found, how.seconds, how.narrow, how.origin)


def paths(found: Sequence[Priced], seconds: int, canvas: Canvas, scale: Scale) -> Iterator[tuple[str, str]]:
    """(class, path) of those that rose, fell, and have only a close."""
    parts: dict[str, list[str]] = {"rose": [], "fell": [], "tick": []}
    for one in found:
        kind, part = _drawn(one, seconds, canvas, scale)
        parts[kind].append(part)
    yield from ((kind, "".join(drawn)) for kind, drawn in parts.items() if drawn)


def _drawn(one: Priced, seconds: int, canvas: Canvas, scale: Scale) -> tuple[str, str]:
    middle = canvas.x(one.time + seconds / 2)
    left, right = (canvas.x(one.time + seconds * (0.5 + side * BODY / 2)) for side in (-1, 1))
    if one.open is None or one.high is None or one.low is None:
        # Half as wide as a body, so that it is not taken for one that is flat.
        return "tick", f"M{middle} {canvas.y(one.close, scale)}H{right}"
    high, low = canvas.y(one.high, scale), canvas.y(one.low, scale)
    top, bottom = (canvas.y(value, scale) for value in (max(one.open, one.close), min(one.open, one.close)))
    wicks = (f"M{middle} {high}V{top}" if high < top else "") + (f"M{middle} {bottom}V{low}" if bottom < low else "")
    return "rose" if one.close >= one.open else "fell", f"{wicks}M{left} {top}H{right}V{bottom}H{left}Z"

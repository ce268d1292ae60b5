"""A treemap drawn on the server as inline SVG: places are shares of it, and words keep their size at any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import squarify  # type: ignore[import-untyped]  # it ships no types
from markupsafe import Markup

ASPECT: Final = 0.4
"""Height by width on a wide screen, by which areas are laid out."""

_WIDE: Final = 0.009
"""Of the width: about what a letter takes on a wide screen; on a narrow one it is three times as much."""

_TALL: Final = 0.06
"""Of the height: what a line of words takes."""


class Area(NamedTuple):
    """One area: its words, its size, the class of its colour, and what it says when it is pointed at."""

    label: str
    value: float
    kind: str
    told: str


def treemap(areas: Sequence[Area], what: str) -> Markup:
    """The areas, largest first, each with its words where there is room. Empty without any."""
    shown = [area for area in areas if area.value > 0]
    if not shown:
        return Markup("")
    sizes = squarify.normalize_sizes([area.value for area in shown], 1, ASPECT)
    places = squarify.squarify(sizes, 0, 0, 1, ASPECT)
    drawn = Markup("").join(_drawn(area, place) for area, place in zip(shown, places, strict=True))
    return Markup('<svg class="treemap" role="img" aria-label="{}" width="100%" height="100%">{}</svg>').format(
        what, drawn
    )


def _drawn(area: Area, place: dict[str, float]) -> Markup:
    x, y, width, height = place["x"], place["y"] / ASPECT, place["dx"], place["dy"] / ASPECT
    room = width / _WIDE / (len(area.label) + 1) if height >= _TALL else 0.0
    words = Markup("")
    if room >= 1:
        kind = "always" if room >= 3 else "wide-only"
        words = Markup('<text class="{}" x="{}" y="{}" dx="6" dy="18">{}</text>').format(
            kind, _share(x), _share(y), area.label
        )
    return Markup('<g class="{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}"/>{}</g>').format(
        area.kind, area.told, _share(x), _share(y), _share(width), _share(height), words
    )


def _share(part: float) -> str:
    return f"{part * 100:.2f}%"

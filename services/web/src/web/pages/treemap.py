"""A treemap drawn on the server as inline SVG: places are shares of it, and words keep their size at any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import squarify  # type: ignore[import-untyped]  # it ships no types
from markupsafe import Markup, escape

ASPECT: Final = 0.4
"""Height by width on a wide screen, by which areas are laid out."""

_WIDE: Final = 0.009
"""Of the width: about what a letter takes on a wide screen (901 px or more)."""

_NARROW: Final = 0.028
"""The same on a narrow one, where letters are smaller."""

_TALL: Final = 0.06
"""Of the height: what a line of words takes."""


class Area(NamedTuple):
    """One area: its words, its size, the class of its colour, what it says when it is pointed at; `short` are words for
    where there is less room, `key` tells it from the others."""

    label: str
    value: float
    kind: str
    told: str
    short: str = ""
    key: str = ""


def treemap(areas: Sequence[Area], what: str) -> Markup:
    """The areas, largest first, each with its words where there is room. Empty without any."""
    shown = [area for area in areas if area.value > 0]
    if not shown:
        return Markup("")
    sizes = squarify.normalize_sizes([area.value for area in shown], 1, ASPECT)
    places = squarify.squarify(sizes, 0, 0, 1, ASPECT)
    drawn = Markup("\n").join(_drawn(area, place) for area, place in zip(shown, places, strict=True))
    return Markup('<svg class="treemap" role="img" aria-label="{}" width="100%" height="100%">\n{}\n</svg>').format(
        what, drawn
    )


def _drawn(area: Area, place: dict[str, float]) -> Markup:
    x, y, width, height = place["x"], place["y"] / ASPECT, place["dx"], place["dy"] / ASPECT
    fits = [_fitting(area, width / letter) if height >= _TALL else "" for letter in (_WIDE, _NARROW)]
    found = [("", fits[0])] if fits[0] == fits[1] else [("at-wide", fits[0]), ("at-narrow", fits[1])]
    left, top = _share(x), _share(y)
    words = "".join(
        f"""<text{f' class="{kind}"' if kind else ""} x="{left}" y="{top}" dx="6" dy="18">{escape(text)}</text>"""
        for kind, text in found
        if text
    )
    return Markup(  # noqa: S704 - escaped words, and digits
        f'<g class="{escape(area.kind)}" data-key="{escape(area.key or area.label)}">'
        f"<title>{escape(area.told)}</title>"
        f'<rect x="{left}" y="{top}" width="{_share(width)}" height="{_share(height)}"/>{words}</g>'
    )


def _fitting(area: Area, letters: float) -> str:
    """The words for which there is room, with a letter's room beside them."""
    return next((words for words in (area.label, area.short) if words and len(words) + 1 <= letters), "")


def _share(part: float) -> str:
    return f"{part * 100:.2f}%"

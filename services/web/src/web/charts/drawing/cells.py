"""How the cells of a chart's tables look, by what their column holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from markupsafe import Markup, escape

from web.charts.chart import Cell, Column, Kind
from web.words import formats, moments
from web.words.language import spoken


def _amount(satoshi: int) -> Markup:
    """With the decimals that its size deserves; all of them in the title."""
    return Markup('<span title="{}">{}</span>').format(str(formats.btc(satoshi)), escape(formats.amount(satoshi)))


def _height(height: int) -> Markup:
    """Leading to the block."""
    return Markup('<a href="/block/{}">{}</a>').format(height, escape(formats.whole(height)))


_FORMS: Final[dict[Kind, Callable[[Any], object]]] = {
    "height": _height,
    "time": moments.moment,
    "duration": moments.duration,
    "difficulty": formats.difficulty,
    "hashrate": formats.hashrate,
    "change": formats.change,
    "txid": str,
    "btc": _amount,
    "count": formats.whole,
    "feerate": formats.feerate,
    "text": str,
}

WORDS: Final[frozenset[Kind]] = frozenset({"time", "txid", "text"})
"""Columns that are read, not compared: they are not aligned to the right."""

KEPT: Final = 1_024
"""Rows kept ready at most: of a long table only the newest row is another than before."""

_NOTHING: Final = Markup('<span class="quiet">–</span>')  # noqa: RUF001 - the dash of print


def cell(value: Cell, kind: Kind) -> Markup:
    """What a page shows for a value."""
    return _NOTHING if value is None else escape(_FORMS[kind](value))


def rows(columns: Sequence[Column], found: Iterable[Sequence[Cell]], hashed: Callable[[str, int], Markup]) -> Markup:
    """The body of a table; `hashed` writes a transaction id in so many digits at either end, with its button."""
    held = tuple(columns)
    if all(column.kind != "txid" for column in held):
        return Markup("").join(_kept_row(spoken().tag, held, tuple(row)) for row in found)
    return Markup("").join(_row(held, row, hashed) for row in found)


@lru_cache(maxsize=KEPT)
def _kept_row(language: str, columns: tuple[Column, ...], row: tuple[Cell, ...]) -> Markup:
    del language  # which it is written in, so that the others have their own
    return _row(columns, row, lambda value, keep: Markup(""))


def _row(columns: Sequence[Column], row: Sequence[Cell], hashed: Callable[[str, int], Markup]) -> Markup:
    cells = []
    for place, (column, value) in enumerate(zip(columns, row, strict=True)):
        name, scope = ("td", "") if place else ("th", ' scope="row"')
        side = "" if column.kind in WORDS or not place else ' class="r"'
        shown = hashed(value, 6) if column.kind == "txid" and isinstance(value, str) else cell(value, column.kind)
        cells.append(f'<{name}{scope} data-label="{escape(column.title)}"{side}>{shown}</{name}>')
    return Markup(f"<tr>{''.join(cells)}</tr>\n")  # noqa: S704 - each cell is escaped above

"""QR codes (ISO/IEC 18004) as inline SVG. No styles inside: the strict policy of the page forbids them.

segno encodes; the mask is chosen here. Of the eight, the one with the fewest penalty points of 7.8.3 is to be taken,
and to mask and judge the symbol module by module eight times took five sixths of the time of a page with a code in it.
Masks differ from one another by the same modules in every symbol of one version and level. So the symbol is encoded
with one of them, and is held as one large whole number for the rows and one for the columns: the others, and their
points, are a few operations on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import segno
from markupsafe import Markup

MASKS: Final = range(8)

BORDER: Final = 4
"""Light modules around the symbol, as the standard asks for; and between two lines of a number, as a pattern needs."""

KEPT: Final = 512
"""Codes kept drawn, some 3 kB each: the page of an address is made anew with each block, and its code is the same."""

_DIGITS: Final = b"01".ljust(256)
_RUN: Final = re.compile("1+")


class _Symbol(NamedTuple):
    """A symbol of `size` times `size` modules, dark ones set; a line takes `size` + BORDER bits."""

    size: int
    rows: int
    columns: int

    def masked(self, by: _Symbol) -> _Symbol:
        """With the modules of the other one turned."""
        return _Symbol(self.size, self.rows ^ by.rows, self.columns ^ by.columns)


@lru_cache(KEPT)
def drawn(text: str, what: str) -> Markup:
    """A QR code, dark on light in either scheme: readers expect it so. `what` says in words what it holds."""
    symbol = chosen(text)
    size, stride = symbol.size, symbol.size + BORDER
    bits = f"{symbol.rows:0{size * stride - BORDER}b}"
    path, x, y = [], 0, 0
    for line in range(size):
        for run in _RUN.finditer(bits, line * stride, line * stride + size):
            start, end = (place - line * stride for place in run.span())
            path.append(f"m{start - x} {line - y}h{end - start}")
            x, y = end, line
    whole = size + 2 * BORDER
    return Markup(
        '<svg viewBox="0 0 {whole} {whole}" class="qr"><title>{what}</title>'
        '<path fill="#fff" d="M0 0h{whole}v{whole}H0z"/><path stroke="#000" d="M{x} {y}.5{path}"/></svg>'
    ).format(whole=whole, what=what, x=BORDER, y=BORDER, path="".join(path))


def chosen(text: str) -> _Symbol:
    """The symbol with the mask that has the fewest points; of several the first."""
    made = segno.make(text, error="m", micro=False, mask=MASKS[0])
    symbol = _read(made.matrix)
    masked = (symbol.masked(mask) for mask in _masks(int(made.version), made.error))
    return min(masked, key=points)


@lru_cache(64)
def _masks(version: int, error: str) -> Sequence[_Symbol]:
    """What each mask turns, held against the first one: data, and the words that say which mask it is."""
    first, *others = (
        _read(segno.make("0", version=version, error=error, boost_error=False, micro=False, mask=mask).matrix)
        for mask in MASKS
    )
    return [first.masked(first), *(other.masked(first) for other in others)]


def _read(matrix: Sequence[bytearray]) -> _Symbol:
    return _Symbol(len(matrix), _number(matrix), _number([bytes(line) for line in zip(*matrix, strict=True)]))


def _number(lines: Sequence[bytes | bytearray]) -> int:
    return int(bytes(BORDER).join(lines).translate(_DIGITS), 2)


@lru_cache(64)
def _every(size: int) -> int:
    """Every module of a symbol, without what lies between its lines."""
    return _number([b"\1" * size] * size)


def points(symbol: _Symbol) -> int:
    """The penalty points of 7.8.3.1, of the finished symbol."""
    size, every = symbol.size, _every(symbol.size)
    found = 10 * int(abs(symbol.rows.bit_count() * 100 / size**2 - 50) / 5)
    for dark in (symbol.rows, symbol.columns):
        found += _runs(dark) + _runs(every ^ dark) + 40 * _finders(dark)
    for ones in (symbol.rows, every ^ symbol.rows):
        pairs = ones & ones >> 1
        found += 3 * (pairs & pairs >> size + BORDER).bit_count()  # blocks of two by two
    return found


def _runs(ones: int) -> int:
    """Of a run of five or more its length less two."""
    fives = ones & ones >> 1 & ones >> 2 & ones >> 3 & ones >> 4
    return fives.bit_count() + 2 * (fives & ~(fives >> 1)).bit_count()


def _finders(dark: int) -> int:
    """How often dark and light lie as in a finder pattern, 1:1:3:1:1, with four light modules on one side."""
    light = ~dark
    found = dark & light >> 1 & dark >> 2 & dark >> 3 & dark >> 4 & light >> 5 & dark >> 6
    before = light >> 7 & light >> 8 & light >> 9 & light >> 10
    after = light << 1 & light << 2 & light << 3 & light << 4
    return (found & (before | after)).bit_count()

"""What the series of prices keep, packed as shared.records does it."""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from shared.packing import Layout
from shared.prices import FX, PAIRS
from shared.records import flat


class Bar(NamedTuple):
    """What a bitcoin cost in a span of time, in millionths of a unit of the currency."""

    open: int  # 0: only the close is known, as of high and low
    high: int
    low: int
    close: int
    source: int  # shared.prices.SOURCES


class Quoted(NamedTuple):
    """What one source said last in a span of time, and what became of it."""

    price: int  # millionths of a unit of the currency; 0: it said nothing
    verdict: int  # shared.prices.VERDICTS


BAR: Final[Layout[Bar]] = flat(Bar, "4QB")


# --- of each currency, and of each pair of source and currency: as many numbers as there are ------------------

_rates: Final = Struct(f"<?{len(FX)}d")
_quotes: Final = Struct("<?" + "QB" * len(PAIRS))


def _unpack_rates(buffer: bytes | bytearray, at: int) -> tuple[float, ...] | None:
    there, *rates = _rates.unpack_from(buffer, at)
    return tuple(rates) if there else None


def _pack_quotes(record: tuple[Quoted, ...]) -> bytes:
    return _quotes.pack(True, *(number for quote in record for number in quote))


def _unpack_quotes(buffer: bytes | bytearray, at: int) -> tuple[Quoted, ...] | None:
    there, *numbers = _quotes.unpack_from(buffer, at)
    return tuple(map(Quoted, numbers[::2], numbers[1::2])) if there else None


RATES: Final[Layout[tuple[float, ...]]] = Layout(_rates.size, lambda record: _rates.pack(True, *record), _unpack_rates)
"""Units of each of shared.prices.FX for a euro; 0: not listed that day."""

QUOTES: Final[Layout[tuple[Quoted, ...]]] = Layout(_quotes.size, _pack_quotes, _unpack_quotes)
"""Of each of shared.prices.PAIRS."""

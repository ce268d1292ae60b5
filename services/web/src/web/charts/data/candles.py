"""Prices together as candles: how long one is for a span of time, and what it is made of.

A candle is whole, or only its close is known: where a part of it has no high and low, it may have been anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from shared.series import DAY, HOUR, MINUTE, WEEK
from web.charts.data.prices import Priced
from web.charts.span import Span

WIDE: Final = 132
NARROW: Final = 66
"""Candles of a span at most, so that each has some 4 px: on a screen of 600 px and more, and on one of 360 px."""

LENGTHS: Final = (
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 4, 6, 12)),
    DAY,
    *(WEEK * n for n in (1, 2, 4, 8, 16, 32)),
)
"""Seconds of a candle."""

_MONDAY: Final = 4 * DAY  # 5 January 1970


class Grid(NamedTuple):
    """Candles of `seconds` each; on a narrow screen several are drawn as one of `narrow` seconds."""

    seconds: int
    narrow: int

    @property
    def origin(self) -> int:
        """A moment, Unix seconds, at which candles of either length begin: days at midnight UTC, weeks on a Monday."""
        return _MONDAY if self.narrow >= WEEK else 0

    def after(self, moment: int) -> int:
        """When the first candle after a moment begins that begins on a narrow screen too; the moment may be it."""
        return -(-(moment - self.origin) // self.narrow) * self.narrow + self.origin


def grid(span: Span, step: int) -> Grid:
    """The shortest candles that are few enough, of prices of `step` seconds each."""
    seconds = _shortest(span, step, WIDE)
    return Grid(seconds, _shortest(span, seconds, NARROW))


def _shortest(span: Span, of: int, most: int) -> int:
    able = [length for length in LENGTHS if length % of == 0]
    return next((length for length in able if span.seconds <= most * length), able[-1])


def together(found: Sequence[Priced], step: int, seconds: int, origin: int) -> list[Priced]:
    """Candles of `seconds` each, by when they begin, of prices of `step` seconds each; none where nothing is known.

    The first one's open, the highest high, the lowest low, the last one's close. Only the close is told where that is
    all that is known of a part, or where less than half of the parts is known; the newest candle has parts up to now.
    """
    if not found:
        return []
    newest = found[-1].time + step
    candles = []
    for place, run in groupby(found, lambda one: (one.time - origin) // seconds):
        parts = list(run)
        begins = place * seconds + origin
        wanted = (min(begins + seconds, newest) - begins) // step
        candles.append(_candle(begins, parts, enough=2 * len(parts) >= wanted))
    return candles


def _candle(time: int, parts: Sequence[Priced], *, enough: bool) -> Priced:
    last = parts[-1]
    highs, lows = _known(one.high for one in parts), _known(one.low for one in parts)
    opened = parts[0].open
    if not enough or not highs or not lows or opened is None:
        return Priced(time, None, None, None, last.close, last.source)
    return Priced(time, opened, max(highs), min(lows), last.close, last.source)


def _known(values: Iterable[float | None]) -> list[float]:
    """All of them; empty where one is not known."""
    found: list[float] = []
    for value in values:
        if value is None:
            return []
        found.append(value)
    return found

"""Fewer points without losing a peak: lines that are drawn together are reduced to the same moments.

Time is cut into slots with equally many points; of each slot the lowest and the highest value of every line stay,
at their own moments. Bars and stacks are not reduced this way: their points are sums or means over longer spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from web.charts.chart import MOST_POINTS

Column = Sequence[float | None]
"""A line's values; None where it has none."""

_LOWEST: Final = float("-inf")
_HIGHEST: Final = float("inf")


def kept(columns: Sequence[Column], most: int = MOST_POINTS) -> list[int]:
    """Which places stay, in rising order: at most `most`, the first and the last among them.

    All columns have equal length, and `most` is at least 2 and 2 a column. The lowest and the highest value of every
    column stay, and so do those of each slot.
    """
    length = len(columns[0]) if columns else 0
    if length <= most:
        return list(range(length))
    slots = max(1, (most - 2) // (2 * len(columns)))
    edges = [1 + (length - 2) * slot // slots for slot in range(slots + 1)]
    found = {0, length - 1}
    for column in columns:
        lows, highs = _filled(column)
        for first, last in pairwise(edges):
            low, high = lows[first:last], highs[first:last]
            lowest, highest = min(low), max(high)
            if lowest == _HIGHEST:  # a gap of this line stays one
                found.add(first)
                continue
            found.add(first + low.index(lowest))
            found.add(first + high.index(highest))
    return sorted(found)


def _filled(column: Column) -> tuple[Sequence[float], Sequence[float]]:
    """The column with its gaps filled so that they are never the lowest, and never the highest."""
    if None not in column:
        full: Sequence[float] = column  # type: ignore[assignment]  # None was just ruled out
        return full, full
    lows = [_HIGHEST if value is None else value for value in column]
    highs = [_LOWEST if value is None else value for value in column]
    return lows, highs


def reduced(
    times: Sequence[int], columns: Sequence[Column], most: int = MOST_POINTS
) -> list[list[tuple[int, float | None]]]:
    """Points of each column, all at the same moments."""
    places = kept(columns, most)
    if len(places) == len(times):
        return [list(zip(times, column, strict=True)) for column in columns]
    return [[(times[place], column[place]) for place in places] for column in columns]

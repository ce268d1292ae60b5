"""Sums and moving averages over a fixed number of points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate


def added(records: Iterable[tuple[int, int]], together: int) -> list[tuple[int, int]]:
    """Sums of `together` neighbours each, by their index divided by it; the indices rise."""
    if together == 1:
        return list(records)
    sums: dict[int, int] = {}
    for index, number in records:
        place = index // together
        sums[place] = sums.get(place, 0) + number
    return list(sums.items())


def moving(tops: Sequence[int | None], bottoms: Sequence[int], window: int) -> list[float | None]:
    """Sum of the tops over the sum of the bottoms, of the `window` points that end with each.

    Where a top is None, neither counts. None where less than half of the window is there, or the bottoms sum to 0.
    """
    there = [0, *accumulate(0 if top is None else 1 for top in tops)]
    above = [0, *accumulate(0 if top is None else top for top in tops)]
    below = [0, *accumulate(0 if top is None else bottom for top, bottom in zip(tops, bottoms, strict=True))]
    found: list[float | None] = []
    for end in range(1, len(above)):
        start = max(0, end - window)
        total = below[end] - below[start]
        enough = 2 * (there[end] - there[start]) >= window and total
        found.append((above[end] - above[start]) / total if enough else None)
    return found

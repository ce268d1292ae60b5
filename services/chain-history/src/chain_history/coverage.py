"""Which heights are there: a set of whole numbers, kept as the few intervals that it really is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence


class Coverage:
    """Disjoint intervals in rising order, never touching each other. Both ends belong to an interval."""

    def __init__(self, intervals: Sequence[tuple[int, int]] = ()) -> None:
        self._firsts = [first for first, _ in intervals]
        self._lasts = [last for _, last in intervals]

    def __len__(self) -> int:
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    @property
    def intervals(self) -> list[tuple[int, int]]:
        """All of them, lowest first."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def add(self, first: int, last: int) -> None:
        """Add every number from `first` to `last`."""
        if last < first:
            return
        left = bisect_right(self._lasts, first - 2)  # the first interval that overlaps or touches
        right = bisect_right(self._firsts, last + 1)
        if left < right:
            first, last = min(first, self._firsts[left]), max(last, self._lasts[right - 1])
        self._firsts[left:right] = [first]
        self._lasts[left:right] = [last]

    def cut(self, first: int, last: int) -> None:
        """Take every number from `first` to `last` out."""
        kept = []
        for low, high in self.intervals:
            if high < first or low > last:
                kept.append((low, high))
                continue
            if low < first:
                kept.append((low, first - 1))
            if high > last:
                kept.append((last + 1, high))
        self.__init__(kept)  # type: ignore[misc]  # intervals are few

    def less(self, other: Coverage) -> Coverage:
        """What is here but not there."""
        left = Coverage(self.intervals)
        for first, last in other.intervals:
            left.cut(first, last)
        return left

    def within(self, first: int, last: int) -> list[tuple[int, int]]:
        """What is here between `first` and `last`, lowest interval first."""
        held = ((max(low, first), min(high, last)) for low, high in self.intervals)
        return [(low, high) for low, high in held if low <= high]

    def gaps(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """What lacks between `first` and `last`, the highest interval first."""
        high = last
        for low, top in reversed(self.intervals):
            if top < first:
                break
            if top < high:
                yield top + 1, high
            high = min(high, low - 1)
        if high >= first:
            yield first, high

"""What was looked up last, and no more of it than is said."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Values by name; the one that was not asked for the longest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, T] = OrderedDict()

    def get(self, name: str) -> T | None:
        """The value, where it is still here."""
        if name in self._kept:
            self._kept.move_to_end(name)
        return self._kept.get(name)

    def put(self, name: str, value: T) -> T:
        """Keep it; returns it."""
        self._kept[name] = value
        self._kept.move_to_end(name)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return value

    def shrink(self, weigh: Callable[[T], int], most: int) -> None:
        """Let go of what was not asked for the longest, until all together weigh no more than this, or one is left."""
        weight = sum(map(weigh, self._kept.values()))
        while weight > most and len(self._kept) > 1:
            weight -= weigh(self._kept.popitem(last=False)[1])

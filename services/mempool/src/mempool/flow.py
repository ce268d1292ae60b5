"""What comes in: transactions and virtual bytes a second, by the time at which the node accepted them."""

from __future__ import annotations

from typing import Final

WINDOW: Final = 60
"""Seconds that the rate is taken over."""


class Flow:
    """Sums by second, for the newest seconds only."""

    def __init__(self) -> None:
        self._seconds: dict[int, tuple[int, int]] = {}
        self._newest = 0

    def add(self, time: int, vsize: int) -> None:
        """One transaction, accepted at Unix second `time`."""
        if time > self._newest:
            self._newest = time
            if len(self._seconds) > 2 * WINDOW:
                self._seconds = {second: sums for second, sums in self._seconds.items() if second > time - WINDOW}
        elif time <= self._newest - WINDOW:
            return  # too old to be of interest: part of a snapshot
        count, total = self._seconds.get(time, (0, 0))
        self._seconds[time] = (count + 1, total + vsize)

    def rates(self, now: int) -> tuple[float, float]:
        """Transactions and virtual bytes a second over the WINDOW seconds before `now`."""
        recent = [sums for second, sums in self._seconds.items() if now - WINDOW <= second < now]
        return sum(count for count, _ in recent) / WINDOW, sum(vsize for _, vsize in recent) / WINDOW

    def busy(self, now: int) -> bool:
        """Whether the rates will fall by themselves as time passes."""
        return now - self._newest <= WINDOW + 1

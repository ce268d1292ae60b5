"""What comes in: transactions and virtual bytes a second, by the time at which the node accepted them."""

from __future__ import annotations

from typing import Final

WINDOW: Final = 60
"""Seconds that the rate is taken over."""


class Incoming:
    """Sums by second, for the newest seconds only."""

    def __init__(self) -> None:
        self._seconds: dict[int, list[int]] = {}

    def add(self, time: int, vsize: int) -> None:
        """One transaction, accepted at Unix second `time`."""
        sums = self._seconds.get(time)
        if sums is None:
            if len(self._seconds) >= 4 * WINDOW:
                # by number, not by age: a clock that was ahead for a while must not make all others old
                self._seconds = {second: self._seconds[second] for second in sorted(self._seconds)[-2 * WINDOW :]}
            sums = self._seconds[time] = [0, 0]
        sums[0] += 1
        sums[1] += vsize

    def per_second(self, now: int) -> tuple[float, float]:
        """Transactions and virtual bytes a second over the WINDOW seconds before `now`."""
        recent = [sums for second, sums in self._seconds.items() if now - WINDOW <= second < now]
        return sum(count for count, _ in recent) / WINDOW, sum(vsize for _, vsize in recent) / WINDOW

    def busy(self, now: int) -> bool:
        """Whether the rates will fall by themselves as time passes."""
        return any(now - WINDOW - 1 <= second < now for second in self._seconds)

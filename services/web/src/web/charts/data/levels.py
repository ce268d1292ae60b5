"""The difficulty from each adjustment to the next."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from shared.pow import change_percent, difficulty
from shared.records import Header
from web.words.sentence import say

SOURCE: Final = say("Your node's block headers")
"""Where difficulty and hashrate come from, in words."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The difficulty of each retarget period that is known, oldest first."""

    periods: list[int]
    times: list[int]  # of each period's first block
    values: list[float]

    @classmethod
    def of(cls, retargets: list[tuple[int, Header]]) -> Levels:
        """From the first headers of the periods."""
        return cls(
            [period for period, _ in retargets],
            [header.time for _, header in retargets],
            [difficulty(header.bits) for _, header in retargets],
        )

    def at(self, moment: int) -> float | None:
        """The difficulty at a moment; None before the first that is known."""
        place = bisect_right(self.times, moment) - 1
        return self.values[place] if place >= 0 else None

    def change(self, place: int) -> float | None:
        """Percent against the period before; None where that one is not known."""
        if place == 0 or self.periods[place - 1] != self.periods[place] - 1:
            return None
        return change_percent(self.values[place], self.values[place - 1])

    def length(self, place: int) -> int | None:
        """Seconds that the period before took."""
        if place == 0 or self.periods[place - 1] != self.periods[place] - 1:
            return None
        return self.times[place] - self.times[place - 1]

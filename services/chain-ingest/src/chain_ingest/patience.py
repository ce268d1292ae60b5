"""Self-healing with patience: what was mended and fails again is mended at growing intervals, and announced once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from shared import clock

FIRST_MS: Final = 1_000
LONGEST_MS: Final = 120_000
QUIET_MS: Final = 60_000
"""Without a repetition for this time beyond the last pause, it is over."""


class Patience:
    """When the same may be tried again: at once the first time, then after pauses that double."""

    def __init__(self, first_ms: int = FIRST_MS, steady_ms: Callable[[], int] = lambda: clock.now().steady_ms) -> None:
        self._first_ms = first_ms
        self._steady_ms = steady_ms
        self._pause_ms = 0
        self._tried_ms = 0
        self.repeats = 0  # times that it was tried again

    @property
    def wait_ms(self) -> int:
        """Milliseconds until it may be tried (again); 0: now."""
        return max(0, self._tried_ms + self._pause_ms - self._steady_ms())

    def tried(self) -> bool:
        """It is being tried now. Returns whether that is the first time."""
        now = self._steady_ms()
        first = not self._pause_ms or now > self._tried_ms + self._pause_ms + QUIET_MS
        self.repeats = 0 if first else self.repeats + 1
        self._pause_ms = self._first_ms if first else min(2 * self._pause_ms, LONGEST_MS)
        self._tried_ms = now
        return first


class Healing:
    """What chain-ingest mends by itself, kept for as long as the service runs."""

    def __init__(self) -> None:
        self.repairs = 0  # snapshots because something was missed
        self.snapshots = Patience()
        self.requests = {"chain": Patience(2 * FIRST_MS), "mempool": Patience(2 * FIRST_MS)}
        self._announced = ""

    def repair(self, cause: str) -> bool:
        """A snapshot is made for this cause. Returns whether that is news: its like was not said since it began."""
        self.repairs += 1
        kind = re.sub(r"\d+", "#", cause)
        news = self.snapshots.tried() or kind != self._announced
        self._announced = kind
        return news

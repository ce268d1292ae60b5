"""Self-healing with patience: what was mended and fails again is mended at growing intervals, and announced once."""

from __future__ import annotations

import re
from typing import Final

from shared.backoff import Backoff

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 120.0
QUIET_SECONDS: Final = 60.0
"""Without a repetition for this time beyond the last pause, it is over."""


def patience(first: float = FIRST_SECONDS) -> Backoff:
    """What is mended again and again waits as long as this says."""
    return Backoff(first, LONGEST_SECONDS, quiet=QUIET_SECONDS)


class Healing:
    """What chain-ingest mends by itself, kept for as long as the service runs."""

    def __init__(self) -> None:
        self.repairs = 0  # snapshots because something was missed
        self.snapshots = patience()
        self.requests = {"chain": patience(2 * FIRST_SECONDS), "mempool": patience(2 * FIRST_SECONDS)}
        self._announced = ""

    def repair(self, cause: str) -> bool:
        """A snapshot is made for this cause. Returns whether that is news: its like was not said since it began."""
        self.repairs += 1
        kind = re.sub(r"\d+", "#", cause)
        news = self.snapshots.tried() or kind != self._announced
        self._announced = kind
        return news

"""When a server is left alone: after repeated nonsense for a while, longer each time; after "too much" for a moment."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from explorer.electrum.limits import Limits
from shared.backoff import Backoff


class Circuit:
    """Of one server. Seconds by the steady clock."""

    def __init__(self, limits: Limits, steady: Callable[[], float] = time.monotonic) -> None:
        self.nonsense = 0  # answers that could not be, ever
        self._limits = limits
        self._steady = steady
        self._recent: deque[float] = deque(maxlen=limits.nonsense)
        self._backoff = Backoff(limits.open_first, limits.open_longest, quiet=limits.open_longest, steady=steady)
        self._until = float("-inf")

    @property
    def wait(self) -> float:
        """Until the server may be asked again; 0: now."""
        return max(0.0, self._until - self._steady())

    def refuse(self) -> bool:
        """It answered nonsense. Returns whether the circuit is open now."""
        now = self._steady()
        self.nonsense += 1
        self._recent.append(now)
        if len(self._recent) < self._limits.nonsense or now - self._recent[0] > self._limits.nonsense_within:
            return False
        self._recent.clear()
        self.open()
        return True

    def open(self) -> None:
        """It is not to be asked for a while, longer than the last time."""
        self._backoff.tried()
        self.rest(self._backoff.pause)

    def rest(self, seconds: float) -> None:
        """It is not to be asked for so long."""
        self._until = max(self._until, self._steady() + seconds)

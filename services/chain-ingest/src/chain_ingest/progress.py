"""How far a long piece of work is, in the heartbeat: done, total, rate and time left."""

from __future__ import annotations

import time

from shared.service import HealthReport


class Progress:
    """Tells of one piece of work at a time, in the heartbeat's detail `progress`."""

    def __init__(self, health: HealthReport) -> None:
        self._health = health
        self._what = ""
        self._total = 0
        self._began = 0.0

    def begin(self, what: str, total: int) -> None:
        """A piece of work of so many steps begins."""
        self._what, self._total, self._began = what, total, time.monotonic()
        self.done(0)

    def done(self, count: int) -> None:
        """So many of its steps are done."""
        text = f"{self._what}: {count:,} of {self._total:,}"
        seconds = time.monotonic() - self._began
        if count and seconds:
            rate = count / seconds
            text += f", {rate:.3g} a second, {(self._total - count) / rate:,.0f} s left"
        self._health.note(progress=text)

    def end(self) -> None:
        """Nothing is left to do, or it failed."""
        self._health.note(progress=None)

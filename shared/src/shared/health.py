"""One heartbeat of two pieces of work under leases of their own: a replica may be active in one alone."""

from __future__ import annotations

import copy
from typing import Final

from shared.service import Detail, HealthReport, Service, State

_WORST_FIRST: Final[tuple[State, ...]] = ("degraded", "starting", "ok", "standby")


class _Part(HealthReport):
    """What one piece of work says of itself; the whole follows."""

    def __init__(self, whole: HealthReport, parts: list[_Part]) -> None:
        super().__init__()
        self._whole = whole
        self._parts = parts
        parts.append(self)

    def _set(self, state: State, reason: str, details: dict[str, Detail]) -> None:
        super()._set(state, reason, details)
        states = {part.state for part in self._parts}
        worst = next(state for state in _WORST_FIRST if state in states)
        reasons = dict.fromkeys(part.reason for part in self._parts if part.state == worst and part.reason)
        if worst == "degraded":
            self._whole.degraded("; ".join(reasons), **details)
        elif worst == "ok":
            self._whole.ok(**details)
        elif worst == "standby":
            self._whole.standby(**details)
        else:
            self._whole.note(**details)


def parts(service: Service, count: int) -> list[Service]:
    """The service once for each piece of work: all is the same but the heartbeat, to which each adds its own."""
    together: list[_Part] = []
    found = []
    for _ in range(count):
        one = copy.copy(service)
        one.health = _Part(service.health, together)
        found.append(one)
    return found

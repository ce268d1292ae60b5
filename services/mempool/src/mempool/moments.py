"""Which moment it is, for all that is kept: the clock of whoever compares with the node, counted on by the steady one.

Our own wall clock names nothing, so that it may be wrong or step as it likes. That other clock is believed as long as
it goes on as the steady one does. A step is believed when the next comparison says the same; until then there is no
moment, and what needs one to be kept is not kept.
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from shared.clock import SKEW_MS, Moment
from shared.events.mempool import MempoolSynced

NODE_JITTER: Final = 2
"""Seconds by which a measurement of the node's clock may differ from the one before without meaning anything."""

_log: Any = structlog.get_logger()


class Moments:
    """The clock of the comparisons."""

    def __init__(self) -> None:
        self._ahead_ms: int | None = None  # that clock less our steady one
        self._doubted_ms: int | None = None  # the same, as said by one comparison that nothing confirms yet

    def heard(self, synced: MempoolSynced, now: Moment) -> None:
        """The newest comparison, which was made just now."""
        ahead_ms = synced.time_ms - now.steady_ms
        if self._ahead_ms is None:
            believed = _agree(synced.time_ms, now.wall_ms) or _agree(ahead_ms, self._doubted_ms)
        else:
            believed = _agree(ahead_ms, self._ahead_ms) or _agree(ahead_ms, self._doubted_ms)
        if believed:
            self._ahead_ms, self._doubted_ms = ahead_ms, None
            return
        expected_ms = now.wall_ms if self._ahead_ms is None else now.steady_ms + self._ahead_ms
        _log.warning("clock_differs", heard_ms=synced.time_ms, expected_ms=expected_ms, until="the next comparison")
        self._doubted_ms = ahead_ms

    def now_ms(self, now: Moment) -> int | None:
        """Unix milliseconds; None while there is no telling."""
        if self._ahead_ms is None or self._doubted_ms is not None:
            return None
        return now.steady_ms + self._ahead_ms


def _agree(one_ms: int, other_ms: int | None) -> bool:
    return other_ms is not None and abs(one_ms - other_ms) <= SKEW_MS


def node_ahead(synced: MempoolSynced | None, held: int = 0) -> int:
    """Whole seconds that the node's clock is ahead of that of the comparisons; `held` is what counted until now."""
    if synced is None or synced.node_time_ms is None:
        return held
    ahead = round((synced.node_time_ms - synced.time_ms) / 1000)
    return ahead if abs(ahead - held) > NODE_JITTER else held

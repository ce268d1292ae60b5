"""How far the backfill of the chain's history is: from the view of chain-history and its heartbeat. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domains import HISTORY
from shared.views import HistoryView
from web.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Backfill:
    """Blocks of the best chain, genesis included, by what is known of them."""

    measured: int
    unavailable: int  # no node has given them: pruned, or not readable
    total: int  # that can be measured
    rate: float | None  # blocks a second, while it runs
    seconds_left: float | None

    @property
    def missing(self) -> int:
        """Blocks that are still to come."""
        return max(0, self.total - self.measured)

    @property
    def percent(self) -> float:
        """Share that is done; 100 only when nothing is missing."""
        return min(self.measured * 100 / self.total, 99.99) if self.missing else 100.0


def backfill(snapshot: Snapshot) -> Backfill | None:
    """The progress now; None while there is no history."""
    history = snapshot[HistoryView]
    if history is None:
        return None
    health = snapshot.active(HISTORY.owner.name)
    details = health.details if health else {}
    busy = not history.complete
    return Backfill(
        history.measured,
        history.unavailable,
        history.height + 1 - history.unavailable,
        _number(details.get("blocks_per_second")) if busy else None,
        _number(details.get("seconds_left")) if busy else None,
    )


def _number(value: str | float | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None

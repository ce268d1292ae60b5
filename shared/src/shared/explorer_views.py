"""What the explorer's fold shows (shared.views): what is recorded of transactions, and what has been coming in."""

from __future__ import annotations

from typing import Final

from shared.views import View


class TimelineView(View, frozen=True, kw_only=True):
    """What is kept of what happened to transactions."""

    since_ms: int  # since when it is recorded
    oldest_ms: int  # what left the mempool before that is not kept any more
    records: int  # of transactions that left the mempool; one for each time, and one for each that went for another
    waiting: int  # transactions in the mempool
    bytes: int  # of Redis' memory, about
    days: int  # TIMELINE_DAYS
    memory: int  # TIMELINE_MEMORY, MB


class InflowView(View, frozen=True, kw_only=True):
    """What came into the mempool lately, by the feerate that it came with."""

    minutes: int  # whole ones that it is counted over, at most 30; 0: not enough is known
    bands: list[int]  # virtual bytes in them (shared.bands.FEERATE_BOUNDS)
    as_of_ms: int  # end of the newest of these minutes


TIMELINE_VIEWS: Final[dict[str, type[View]]] = {"timeline": TimelineView, "inflow": InflowView}
"""Fields of the hash of views."""

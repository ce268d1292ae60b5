"""What the explorer's fold shows (shared.views): what is recorded of transactions, what comes in, how long it waits."""

from __future__ import annotations

from typing import Final

import msgspec

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


class WaitBand(msgspec.Struct, frozen=True, kw_only=True):
    """How long a feerate took lately. Times are None below 20 mined ones, the share below 20 that left."""

    from_rate: float  # sat/vB
    to_rate: float | None  # None: there is no upper end
    mined: int  # transactions that came in at such a feerate, by themselves, and were mined
    median: int | None  # seconds from when one was seen to when its block was
    p90: int | None  # seconds that nine of ten did not exceed
    replaced: int  # left otherwise
    lifted: int  # a child lifted them into a higher band
    dropped: int  # evicted, expired, or what they spent was spent in a block
    share: float | None  # mined, of all of these
    waiting: int  # wait now
    longer: int | None  # of them: longer than `p90`


class WaitsView(View, frozen=True, kw_only=True):
    """How long each feerate took until a transaction was mined, over the newest eight days."""

    bands: list[WaitBand]  # lowest first (shared.bands.FEERATE_BOUNDS)
    since_ms: int  # from when on what left is counted
    recorded_ms: int  # since when it is recorded at all: what was there before then counts nowhere
    as_of_ms: int


TIMELINE_VIEWS: Final[dict[str, type[View]]] = {"timeline": TimelineView, "inflow": InflowView, "waits": WaitsView}
"""Fields of the hash of views."""

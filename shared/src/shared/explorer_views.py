"""What the explorer shows (shared.views): what is recorded of transactions, what comes in, how long it waits, and what
lies at the addresses that holders of bitcoin published.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from shared.events.base import Height, UnixMs
from shared.events.treasuries import Source
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

Unseen = Literal["", "soon", "network", "unreadable", "away", "refused", "busy"]
"""Why nothing, or nothing newer, is known of an address: it is asked soon; it is one of another network, or none;
nobody who could be asked answers; who was asked does not want to tell; or so many addresses are not followed.
"""


class SeenAddress(View, frozen=True, kw_only=True):
    """What lies at one address; None wherever it is not known. With `why` it is what was last known."""

    address: str
    confirmed: int | None  # satoshi in blocks
    unconfirmed: int | None  # satoshi that the mempool adds; a scan of the node's coins does not know it
    height: Height | None  # of the newest block of whoever was asked
    as_of_ms: UnixMs | None
    since_ms: UnixMs | None  # when it was looked at for the first time
    why: Unseen = ""
    detail: str = ""  # the same as whoever was asked says it


class SeenMove(View, frozen=True, kw_only=True):
    """Coins that came or left, as `treasury.moved` tells it."""

    address: str
    confirmed_delta: int  # satoshi
    unconfirmed_delta: int | None  # satoshi; None: not known
    height: Height
    time_ms: UnixMs
    txid: str  # empty: not known


class SeenHolder(View, frozen=True, kw_only=True):
    """What lies at all addresses of one holder. What the holder claims is marketcap's to tell."""

    key: str  # shared.asset_views.Treasury.key
    name: str
    addresses: list[SeenAddress]
    seen: int  # of them, with a balance that is known
    confirmed: int | None  # satoshi, of those that were seen; None: none was
    unconfirmed: int | None  # likewise; None: of one of them it is not known
    height: Height | None  # of the look that is longest ago
    as_of_ms: UnixMs | None  # likewise
    since_ms: UnixMs | None  # of the first look at any
    moves: list[SeenMove]  # newest first, at most MOVES_SHOWN


class SeenTreasuriesView(View, frozen=True, kw_only=True):
    """Holders that published addresses, and what was seen there."""

    holders: list[SeenHolder]
    source: Source


MOVES_SHOWN: Final = 5
SEEN_VIEWS: Final[dict[str, type[View]]] = {"seen_treasuries": SeenTreasuriesView}
"""Of the domain `treasuries`."""

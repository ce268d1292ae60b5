"""What lies ahead of a feerate, what comes in above it, how fast blocks come, and how long such a
feerate took: read from the views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from explorer.timeline.chance import chance
from shared import redis
from shared.bands import FEERATE_BOUNDS
from shared.domains import CHAIN, MEMPOOL, TIMELINE
from shared.explorer_views import InflowView, WaitsView
from shared.keys import Keys
from shared.lookups.transaction import Chance, Waited
from shared.views import BlockRow, BlocksView, FeeBand, FeesView

INTERVAL: Final = 600.0
"""Seconds from block to block that the difficulty is adjusted to."""

FEWEST: Final = 72
"""Blocks below which their own pace says too little."""

FASTEST, SLOWEST = 300.0, 1_200.0
"""What an interval is believed to be: beyond that it is the pace of a network that mines when it likes."""


async def odds(client: redis.Client, keys: Keys, rate: float, vsize: int) -> Chance | None:
    """How likely a transaction is to be in a block; `rate` is that at which miners look at it, sat/vB.

    None where it is not known what waits, or what has been coming in. Two or three round trips on a cluster, else one;
    raises one of redis.TROUBLE, or what msgspec says of a view that is none.
    """
    pipeline = client.pipeline(transaction=False)
    pipeline.hget(keys.views(MEMPOOL), "fees")
    pipeline.hget(keys.views(TIMELINE), "inflow")
    pipeline.hget(keys.views(CHAIN), "blocks")
    fees, came, blocks = await pipeline.execute()
    if fees is None or came is None:
        return None
    histogram = msgspec.json.decode(fees, type=FeesView).histogram
    rows = msgspec.json.decode(blocks, type=BlocksView).blocks if blocks is not None else []
    inflow = coming(msgspec.json.decode(came, type=InflowView), rate)
    return chance(ahead(histogram, rate, vsize), vsize, inflow, pace(rows))


async def waited(client: redis.Client, keys: Keys, rate: float) -> Waited | None:
    """How long such a feerate took lately; None where that is not recorded. Raises as `odds` does."""
    raw = await client.hget(keys.views(TIMELINE), "waits")
    if raw is None:
        return None
    view = msgspec.json.decode(raw, type=WaitsView)
    for one in reversed(view.bands):
        if rate >= one.from_rate:
            return Waited(
                from_rate=one.from_rate,
                to_rate=one.to_rate,
                mined=one.mined,
                median=one.median,
                p90=one.p90,
                share=one.share,
                waiting=one.waiting,
                longer=one.longer,
                since_ms=view.since_ms,
            )
    return None


def ahead(histogram: Sequence[FeeBand], rate: float, own: int = 0) -> int:
    """Virtual bytes that wait at higher feerates; a band that holds `rate` is taken as evenly filled.

    `own` are those of the transaction itself, which is in that band and not ahead of itself.
    """
    waits = 0.0
    for band in histogram:
        share = _above(band.from_rate, band.to_rate, rate)
        inside = rate >= band.from_rate and (band.to_rate is None or rate < band.to_rate)
        waits += share * (max(band.vsize - own, 0) if inside else band.vsize)
    return round(waits)


def coming(view: InflowView, rate: float) -> float | None:
    """Virtual bytes a second that came in at higher feerates lately; None where that is not known."""
    if not view.minutes or len(view.bands) != len(FEERATE_BOUNDS):
        return None
    uppers = (*FEERATE_BOUNDS[1:], None)
    bands = zip(FEERATE_BOUNDS, uppers, view.bands, strict=True)
    return sum(vsize * _above(low, high, rate) for low, high, vsize in bands) / (60 * view.minutes)


def _above(low: float, high: float | None, rate: float) -> float:
    """Which part of a band lies above `rate`."""
    if rate <= low:
        return 1.0
    if high is None:
        return 0.5  # without an upper end nobody can say: as likely before as behind
    return max((high - rate) / (high - low), 0.0)


def pace(blocks: Sequence[BlockRow]) -> float:
    """Seconds from block to block, as of the last ones (newest first) where there are enough of them."""
    if len(blocks) < FEWEST:
        return INTERVAL
    seconds = (blocks[0].time - blocks[-1].time) / (len(blocks) - 1)
    return seconds if FASTEST <= seconds <= SLOWEST else INTERVAL

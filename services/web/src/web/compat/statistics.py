"""`/api/v1/statistics/{interval}` with mempool.space's shape: what waited in the mempool, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from shared.bands import FEERATE_BOUNDS
from shared.records import congestion_sum, flow_sum
from shared.series import DAY, HOUR, MINUTE
from web.charts.data.averages import added
from web.charts.data.reading import CONGESTIONS, FLOWS, MIN_FEERATES
from web.compat.past import Asked, Pasts

LEVELS: Final = (
    1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100, 125, 150, 175, 200, 250, 300, 350, 400, 500,
    600, 700, 800, 900, 1000, 1200, 1400, 1600, 1800, 2000,
)  # fmt: skip
"""Lower ends of mempool.space's bands, sat/vB; the first one holds what pays less, too."""


class _Interval(NamedTuple):
    seconds: int
    series: Literal["minute", "hour"]
    together: int  # records in one row


INTERVALS: Final = {
    "2h": _Interval(2 * HOUR, "minute", 1),
    "24h": _Interval(DAY, "minute", 1),
    "1w": _Interval(7 * DAY, "minute", 5),
    "1m": _Interval(30 * DAY, "hour", 1),
    "3m": _Interval(91 * DAY, "hour", 2),
    "6m": _Interval(182 * DAY, "hour", 3),
    "1y": _Interval(365 * DAY, "hour", 8),
    "2y": _Interval(730 * DAY, "hour", 8),
    "3y": _Interval(1_095 * DAY, "hour", 12),
    "4y": _Interval(1_461 * DAY, "hour", 12),
    "all": _Interval(20 * 365 * DAY, "hour", 12),
}
"""As mempool.space has them, but for the month, whose rows are of an hour here."""

_STEPS: Final = {"minute": MINUTE, "hour": HOUR}


def _bands() -> tuple[slice, ...]:
    firsts = [FEERATE_BOUNDS.index(level) for level in LEVELS]
    inner = [slice(low, high) for low, high in pairwise(firsts)]
    return (slice(0, inner[0].stop), *inner[1:], slice(firsts[-1], len(FEERATE_BOUNDS)))


_BANDS: Final = _bands()


PASTS: Final = Pasts(INTERVALS, "mempool")


@PASTS.get("/api/v1/statistics/{interval}")
async def statistics(asked: Asked) -> list[dict[str, Any]]:
    """The rows of an interval of INTERVALS."""
    reader, now, wanted = asked.reader, asked.now, INTERVALS[asked.interval]
    step = _STEPS[wanted.series]
    first, last = (now - wanted.seconds) // step + 1, now // step
    waiting = await reader.read(CONGESTIONS[wanted.series], first, last)
    flows = await reader.read(FLOWS[wanted.series], first, last)
    floors = await reader.read(MIN_FEERATES[wanted.series], first, last)
    return rows(waiting, flows, floors, step, wanted.together, now)


def rows(
    waiting: Sequence[tuple[int, int]],
    flows: Sequence[tuple[int, int]],
    floors: Sequence[tuple[int, float]],
    step: int,
    together: int,
    now: int,
) -> list[dict[str, Any]]:
    """One row for `together` records, which are in lanes; means over the looks at the mempool in that time."""
    entered = dict(added(flows, together))
    lowest = {index // together: rate for index, rate in floors}
    seconds = step * together
    found = []
    for place, lanes in reversed(added(waiting, together)):
        record = congestion_sum(lanes)
        vsize = flow_sum(entered[place]).vsize if place in entered else 0
        passed = min(seconds, max(1, now - place * seconds))
        vsizes = [round(sum(record.bands[bands]) / record.samples) for bands in _BANDS]
        found.append(
            {
                "added": place * seconds,
                "count": round(record.tx_count / record.samples),
                "vbytes_per_second": round(vsize / passed),
                "min_fee": lowest.get(place, 0.0),
                "mempool_byte_weight": 4 * sum(vsizes),
                "total_fee": round(record.fee / record.samples),
                "vsizes": vsizes,
            }
        )
    return found

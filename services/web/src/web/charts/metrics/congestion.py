"""What waits in the mempool over time, by the feerate that it pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.bands import FEERATE_BOUNDS
from shared.records import congestion_sum
from web.charts.chart import Figure, Line
from web.charts.data.averages import added
from web.charts.metrics.tx_volume import NOTHING_RECORDED
from web.charts.span import MempoolStep
from web.words import formats
from web.words.sentence import say, shown


class _Group(NamedTuple):
    name: str
    label: str
    bands: slice  # of FEERATE_BOUNDS


_BOUNDS: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""As many as a stack has shades, each of them in records of the time before bands below 1 sat/vB were finer, too."""
MEAN_OF_EACH: Final = {
    60: say("mean of each minute"), 3_600: say("mean of each hour"), 6 * 3_600: say("mean of each 6 hours"),
    86_400: say("mean of each day"), 7 * 86_400: say("mean of each week"),
}  # fmt: skip
"""What a point stands for, by its seconds."""

_RATES: Final = len(FEERATE_BOUNDS)


def _group(place: int) -> _Group:
    low = _BOUNDS[place]
    first = FEERATE_BOUNDS.index(low)
    if place + 1 == len(_BOUNDS):
        return _Group(f"vsize_from_{low:g}", say("%(low)s sat/vB and more", low=_rate(low)), slice(first, _RATES))
    high = _BOUNDS[place + 1]
    bands = slice(first, FEERATE_BOUNDS.index(high))
    if not place:
        return _Group(f"vsize_below_{_name(high)}", say("Below %(high)s sat/vB", high=_rate(high)), bands)
    return _Group(
        f"vsize_{_name(low)}_to_{_name(high)}",
        say("%(low)s to %(high)s sat/vB", low=_rate(low), high=_rate(high)),
        bands,
    )


def _rate(bound: float) -> str:
    return shown(lambda: formats.feerate(bound).number)


def _name(bound: float) -> str:
    return f"{bound:g}".replace(".", "_")


GROUPS: Final = tuple(_group(place) for place in reversed(range(len(_BOUNDS))))
"""Highest feerate first: it lies at the bottom, as it leaves first."""

_NOTE: Final = say(
    "The highest feerates lie at the bottom, as they leave first: the next block takes about 1 MvB from below."
)


def congestion_figure(waiting: Sequence[tuple[int, int]], step: MempoolStep) -> Figure:
    """Mean virtual size that waited in each step of time, by groups of feerates; `waiting` is in lanes."""
    seconds = step.seconds
    times: list[int] = []
    rows: list[list[float] | None] = []
    for place, lanes in added(waiting, step.together):
        time = place * seconds
        if times and time - times[-1] > seconds:  # nobody looked: a gap, not a line across it
            times.append(times[-1] + seconds)
            rows.append(None)
        record = congestion_sum(lanes)
        times.append(time)
        rows.append([sum(record.bands[group.bands]) / record.samples for group in GROUPS])
    lines = [
        Line(
            group.name,
            group.label,
            "vB",
            [(time, None if row is None else row[place]) for time, row in zip(times, rows, strict=True)],
            "stack",
            colour=len(GROUPS) - 1 - place,  # what pays most is the warmest
        )
        for place, group in enumerate(GROUPS)
    ]
    return Figure(
        "congestion",
        say("Waiting in the mempool"),
        lines if times else [],
        MEAN_OF_EACH[seconds],
        from_zero=True,
        note=_NOTE,
        empty="" if times else NOTHING_RECORDED,
        domain="mempool",
    )

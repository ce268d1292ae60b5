"""The views of the chain, computed from its headers and last blocks alone. Pure: the clock has no part in it."""

from __future__ import annotations

from typing import Final

from chain_metrics.headers import Headers
from shared.networks import RETARGET_INTERVAL, TARGET_SPACING, Network
from shared.pow import change_percent, difficulty, hashrate
from shared.views import Halving, HalvingView, RetargetView, TipView

DAY: Final = 144
WEEK: Final = 1008
SPARK_POINTS: Final = 100
SPARK_BLOCKS: Final = 2 * RETARGET_INTERVAL
"""Blocks that the sparklines look back; never more than a fresh start knows, so that a rebuild shows the same. That of
the difficulty begins with the period before the present one: of a part of a period nobody can tell its difficulty."""

_CLAMP: Final = 4.0
"""An adjustment changes difficulty fourfold at most (CalculateNextWorkRequired)."""

_FEW: Final = 12
"""Fewer blocks than this tell nothing about how fast they come: years may lie between the first two."""

_SLOWEST: Final = 86_400.0
"""Seconds between blocks that an estimate reckons with at most, so that every date lies within the calendar."""

_TIMESPAN: Final = RETARGET_INTERVAL * TARGET_SPACING


def spacing(network: Network, headers: Headers) -> float:
    """Seconds between blocks to reckon with: what difficulty aims at, or what is seen where it never adjusts."""
    recent = headers.times[-DAY - 1 :]
    if network.retargets or len(recent) < _FEW:
        return TARGET_SPACING
    span = max(recent) - min(recent)
    return min(span / (len(recent) - 1), _SLOWEST) if span else TARGET_SPACING


def tip_view(network: Network, headers: Headers, tip_hash: str) -> TipView:
    """The tip and the rates at it."""
    top = len(headers) - 1
    height = headers.tip
    bits = headers.bits[-1]
    places = _places(top - min(SPARK_BLOCKS, top), top)
    before = max(0, top - height % RETARGET_INTERVAL - RETARGET_INTERVAL)  # the period before, as `previous_change`
    return TipView(
        network=network.name,
        height=height,
        hash=tip_hash,
        time=headers.times[-1],
        median_time=headers.median_time,
        bits=f"{bits:08x}",
        difficulty=difficulty(headers.period_bits(height)),
        chainwork=f"{headers.works[-1]:064x}",
        hashrate=hashrate(headers.times, headers.works, top, DAY),
        hashrate_7d=hashrate(headers.times, headers.works, top, WEEK),
        hashrate_window=min(DAY, top),
        hashrate_7d_window=min(WEEK, top),
        supply=network.supply(height),
        subsidy=network.subsidy(height),
        genesis_time=network.genesis_time,
        hashrate_history=[
            (headers.times[place], hashrate(headers.times, headers.works, place, DAY)) for place in places if place
        ],
        difficulty_history=[
            (headers.times[place], difficulty(headers.period_bits(headers.first + place)))
            for place in _places(before, top)
        ],
    )


def _places(first: int, last: int) -> range:
    """At most SPARK_POINTS places, evenly spaced, that end with the last."""
    step = max(1, (last - first) // SPARK_POINTS)
    return range(last - (last - first) // step * step, last + 1, step)[-SPARK_POINTS:]


def halving_view(network: Network, headers: Headers) -> HalvingView:
    """Every halving to come, the last of which ends the subsidy."""
    height = headers.tip
    interval = network.halving_interval
    done = height // interval
    seconds = spacing(network, headers)
    upcoming = [
        Halving(
            number=number,
            height=number * interval,
            blocks_remaining=number * interval - height,
            estimated_time=round(headers.times[-1] + (number * interval - height) * seconds),
            subsidy=network.subsidy(number * interval),
        )
        for number in range(done + 1, network.last_halving + 1)
    ]
    return HalvingView(
        interval=interval,
        subsidy=network.subsidy(height + 1),
        progress_percent=round(100 * (height - done * interval) / interval, 4),
        upcoming=upcoming,
    )


def retarget_view(network: Network, headers: Headers) -> RetargetView:
    """The adjustment to come, estimated from the blocks of the present period.

    Consensus measures from the first to the last block of a period: 2,015 intervals, held against 2,016 times ten
    minutes. The estimate does the same with the average of the intervals seen so far.
    """
    height = headers.tip
    start = height - height % RETARGET_INTERVAL
    next_height = start + RETARGET_INTERVAL
    remaining = next_height - height
    start_time = headers.time(start) if headers.knows(start) else headers.times[0]
    intervals = height - max(start, headers.first)
    average = (headers.times[-1] - start_time) / intervals if intervals else float(TARGET_SPACING)
    average = min(max(average, 0.001), _SLOWEST) if network.retargets else spacing(network, headers)
    change = 0.0
    present = difficulty(headers.period_bits(start))
    if network.retargets and intervals:
        ratio = _TIMESPAN / (average * (RETARGET_INTERVAL - 1))
        lowest = min(difficulty(network.pow_limit_bits) / present, 1.0)
        change = 100 * (min(max(ratio, 1 / _CLAMP, lowest), _CLAMP) - 1)
    previous: float | None = None
    before = start - RETARGET_INTERVAL
    if network.retargets and headers.knows(before):
        previous = round(change_percent(present, difficulty(headers.period_bits(before))), 4)
    return RetargetView(
        start_height=start,
        start_time=start_time,
        height=next_height,
        blocks_remaining=remaining,
        progress_percent=round(100 * (height - start) / RETARGET_INTERVAL, 4),
        difficulty_change_percent=round(change, 4),
        estimated_time=round(headers.times[-1] + remaining * average),
        average_block_time_ms=round(average * 1000),
        previous_change_percent=previous,
        retargets=network.retargets,
    )

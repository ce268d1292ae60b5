"""`/api/v1/mining/…` with mempool.space's shapes: hashrate, adjustments, and averages of blocks.

Its own backend: `mining-routes.ts`, `HashratesRepository.ts`, `DifficultyAdjustmentsRepository.ts` and
`BlocksRepository.ts` of mempool/mempool. An interval that it does not know means everything, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.networks import RETARGET_INTERVAL
from shared.records import NO_BUCKET, Bucket
from shared.series import BLOCKS, DAY, DAYS, HOUR, HOURS
from shared.views import HistoryView, TipView
from web.charts.data.measured import as_bucket, plus
from web.charts.data.reading import DAY_RATES, SeriesReader
from web.charts.metrics.difficulty import Levels

INTERVALS: Final = {
    "24h": DAY, "3d": 3 * DAY, "1w": 7 * DAY, "1m": 30 * DAY, "3m": 91 * DAY, "6m": 182 * DAY, "1y": 365 * DAY,
    "2y": 730 * DAY, "3y": 1_095 * DAY, "4y": 1_461 * DAY,
}  # fmt: skip
"""Seconds of each interval; any other is `all`."""

EACH_BLOCK: Final = 7 * DAY
"""Seconds of the longest interval that is told block by block."""

_HOURS_TOGETHER: Final = {"1m": 1, "3m": 2, "6m": 3}
"""Hours of one average; longer intervals have one a day."""


def begin(interval: str, now: int) -> int:
    """Unix seconds that an interval begins with; 0 for everything."""
    seconds = INTERVALS.get(interval)
    return 0 if seconds is None else now - seconds


# --- hashrate and difficulty ------------------------------------------------------------------------------


async def hashrate(
    reader: SeriesReader, history: HistoryView, tip: TipView | None, interval: str, now: int
) -> dict[str, Any]:
    """`/mining/hashrate/{interval}`: the estimate of each day that is over, at its end, and the adjustments."""
    start = begin(interval, now)
    days = await reader.read(DAY_RATES, start // DAY, history.time // DAY - 1)
    levels = Levels.of(await reader.retargets(history))
    return {
        "hashrates": [
            {"timestamp": (day + 1) * DAY, "avgHashrate": rates.hashrate_1d} for day, rates in days if rates.hashrate_1d
        ],
        "difficulty": [
            {"time": time, "height": height, "difficulty": difficulty, "adjustment": adjustment}
            for time, height, difficulty, adjustment in adjustments(levels, start)
        ],
        "currentHashrate": tip.hashrate if tip else 0,
        "currentDifficulty": tip.difficulty if tip else 0,
    }


async def difficulty_adjustments(
    reader: SeriesReader, history: HistoryView, interval: str, now: int
) -> list[tuple[int, int, float, float]]:
    """`/mining/difficulty-adjustments/{interval}`: time, height, difficulty, ratio to the one before; newest first."""
    levels = Levels.of(await reader.retargets(history))
    return adjustments(levels, begin(interval, now))[::-1]


def adjustments(levels: Levels, start: int) -> list[tuple[int, int, float, float]]:
    """Where the difficulty changed, and the genesis block with the ratio 0; oldest first."""
    found = []
    for place, (period, time, value) in enumerate(zip(levels.periods, levels.times, levels.values, strict=True)):
        known = place > 0 and levels.periods[place - 1] == period - 1
        changed = known and value != levels.values[place - 1]
        if time >= start and (changed or period == 0):
            ratio = value / levels.values[place - 1] if changed else 0.0
            found.append((time, period * RETARGET_INTERVAL, value, round(ratio, 6)))
    return found


# --- averages of blocks -----------------------------------------------------------------------------------


async def groups(reader: SeriesReader, history: HistoryView, interval: str, now: int) -> list[Bucket]:
    """Blocks one by one up to a week, else by hours or days; only what is measured, oldest first."""
    start = begin(interval, now)
    if INTERVALS.get(interval, now) <= EACH_BLOCK:
        heights = await reader.heights(start, now, history)
        blocks = await reader.read(BLOCKS, heights.start, heights.stop - 1)
        return [as_bucket(height, block, reader.network) for height, block in blocks if block.time >= start]
    together = _HOURS_TOGETHER.get(interval)
    if together is None:
        days = await reader.read(DAYS, -(-start // DAY), history.time // DAY)
        return [bucket for _, bucket in days if bucket.blocks]
    sums: dict[int, Bucket] = {}
    for index, bucket in await reader.read(HOURS, -(-start // HOUR), history.time // HOUR):
        if bucket.blocks:
            sums[index // together] = plus(sums.get(index // together, NO_BUCKET), bucket)
    return list(sums.values())


def fees(buckets: Sequence[Bucket]) -> list[dict[str, int]]:
    """`/mining/blocks/fees/{interval}`: satoshi a block."""
    return _averages(buckets, {"avgFees": lambda bucket: bucket.fees})


def rewards(buckets: Sequence[Bucket]) -> list[dict[str, int]]:
    """`/mining/blocks/rewards/{interval}`: satoshi a block, subsidy and fees."""
    return _averages(buckets, {"avgRewards": lambda bucket: bucket.fees + bucket.subsidy})


def fee_rates(buckets: Sequence[Bucket]) -> list[dict[str, int]]:
    """`/mining/blocks/fee-rates/{interval}`: sat/vB at shares of the weight.

    The lowest and the highest are not kept; clients need the fields, so the nearest that are known stand there.
    """
    places = {"avgFee_0": 0, "avgFee_10": 0, "avgFee_25": 1, "avgFee_50": 2, "avgFee_75": 3, "avgFee_90": 4,
              "avgFee_100": 4}  # fmt: skip
    return _averages(buckets, {name: _percentile(place) for name, place in places.items()})


def _percentile(place: int) -> Callable[[Bucket], int]:
    return lambda bucket: bucket.percentiles[place]


def sizes_weights(buckets: Sequence[Bucket]) -> dict[str, list[dict[str, int]]]:
    """`/mining/blocks/sizes-weights/{interval}`: bytes and weight units a block."""
    return {
        "sizes": _averages(buckets, {"avgSize": lambda bucket: bucket.size}),
        "weights": _averages(buckets, {"avgWeight": lambda bucket: bucket.weight}),
    }


def _averages(buckets: Sequence[Bucket], sums: dict[str, Callable[[Bucket], int]]) -> list[dict[str, int]]:
    return [
        {
            "avgHeight": round(bucket.height / bucket.blocks),
            "timestamp": round(bucket.time / bucket.blocks),
            **{name: round(of(bucket) / bucket.blocks) for name, of in sums.items()},
        }
        for bucket in buckets
    ]

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
from web.charts.data.levels import Levels
from web.charts.data.measured import as_bucket, plus
from web.charts.data.reading import DAY_HASHRATES
from web.compat.past import Asked, Pasts

INTERVALS: Final = {
    "24h": DAY, "3d": 3 * DAY, "1w": 7 * DAY, "1m": 30 * DAY, "3m": 91 * DAY, "6m": 182 * DAY, "1y": 365 * DAY,
    "2y": 730 * DAY, "3y": 1_095 * DAY, "4y": 1_461 * DAY,
}  # fmt: skip
"""Seconds of each interval; any other is `all`."""

EACH_BLOCK: Final = 7 * DAY
"""Seconds of the longest interval that is told block by block."""

PASTS: Final = Pasts(INTERVALS, "history")

_HOURS_TOGETHER: Final = {"1m": 1, "3m": 2, "6m": 3}
"""Hours of one average; longer intervals have one a day."""


def begin(interval: str, now: int) -> int:
    """Unix seconds that an interval begins with; 0 for everything."""
    seconds = INTERVALS.get(interval)
    return 0 if seconds is None else now - seconds


# --- hashrate and difficulty ------------------------------------------------------------------------------


@PASTS.get("/api/v1/mining/hashrate/{interval}")
async def hashrate(asked: Asked) -> dict[str, Any]:
    """The estimate of each day that is over, at its end, and the adjustments."""
    reader, history, tip = asked.reader, asked.history, asked.tip
    start = begin(asked.interval, asked.now)
    days = await reader.read(DAY_HASHRATES, start // DAY, history.time // DAY - 1)
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


@PASTS.get("/api/v1/mining/difficulty-adjustments/{interval}", "/api/v1/mining/difficulty-adjustments")
async def difficulty_adjustments(asked: Asked) -> list[tuple[int, int, float, float]]:
    """Time, height, difficulty, ratio to the one before; newest first."""
    levels = Levels.of(await asked.reader.retargets(asked.history))
    return adjustments(levels, begin(asked.interval, asked.now))[::-1]


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


async def groups(asked: Asked) -> list[Bucket]:
    """Blocks one by one up to a week, else by hours or days; only what is measured, oldest first."""
    reader, history, interval, now = asked.reader, asked.history, asked.interval, asked.now
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


@PASTS.get("/api/v1/mining/blocks/fees/{interval}")
async def fees(asked: Asked) -> list[dict[str, int]]:
    """Satoshi a block."""
    return averages(await groups(asked), {"avgFees": lambda bucket: bucket.fees})


@PASTS.get("/api/v1/mining/blocks/rewards/{interval}")
async def rewards(asked: Asked) -> list[dict[str, int]]:
    """Satoshi a block, subsidy and fees."""
    return averages(await groups(asked), {"avgRewards": lambda bucket: bucket.fees + bucket.subsidy})


@PASTS.get("/api/v1/mining/blocks/fee-rates/{interval}")
async def fee_rates(asked: Asked) -> list[dict[str, int]]:
    """Sat/vB at shares of the weight.

    The lowest and the highest are not kept; clients need the fields, so the nearest that are known stand there.
    """
    places = {"avgFee_0": 0, "avgFee_10": 0, "avgFee_25": 1, "avgFee_50": 2, "avgFee_75": 3, "avgFee_90": 4,
              "avgFee_100": 4}  # fmt: skip
    return averages(await groups(asked), {name: _percentile(place) for name, place in places.items()})


def _percentile(place: int) -> Callable[[Bucket], int]:
    return lambda bucket: bucket.percentiles[place]


@PASTS.get("/api/v1/mining/blocks/sizes-weights/{interval}")
async def sizes_weights(asked: Asked) -> dict[str, list[dict[str, int]]]:
    """Bytes and weight units a block."""
    buckets = await groups(asked)
    return {
        "sizes": averages(buckets, {"avgSize": lambda bucket: bucket.size}),
        "weights": averages(buckets, {"avgWeight": lambda bucket: bucket.weight}),
    }


def averages(buckets: Sequence[Bucket], sums: dict[str, Callable[[Bucket], int]]) -> list[dict[str, int]]:
    """The mean a block of each sum, bucket by bucket."""
    return [
        {
            "avgHeight": round(bucket.height / bucket.blocks),
            "timestamp": round(bucket.time / bucket.blocks),
            **{name: round(of(bucket) / bucket.blocks) for name, of in sums.items()},
        }
        for bucket in buckets
    ]

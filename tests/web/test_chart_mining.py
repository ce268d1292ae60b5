"""What mempool.space's clients ask for: its shapes, with figures worked out from the sample chain."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared.bands import FEERATE_BOUNDS
from shared.networks import NETWORKS, RETARGET_INTERVAL
from shared.pow import difficulty
from shared.records import Header
from shared.series import DAY, HOUR, MINUTE
from shared.views import HistoryView, TipView
from support import series_samples
from support.each import each
from support.series_samples import Chain, fill
from support.web_harness import Running, serving, until
from support.web_samples import POOLS
from web.charts.data.levels import Levels
from web.charts.metrics import METRICS
from web.charts.metrics import difficulty as difficulty_chart
from web.charts.span import named
from web.compat import mining, statistics

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

Site = tuple[Running, Chain, aiohttp.ClientSession]


@pytest.fixture
async def space(valkey: str, writer: Any) -> AsyncIterator[Site]:
    """Web over a chain of forty days."""
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    chain = await fill(writer.redis, writer.keys, blocks=6_000, mempool_days=40)
    async with serving(valkey) as running, aiohttp.ClientSession(running.url) as http:
        await running.ready()
        await until(lambda: running.site.state.snapshot[HistoryView] and running.site.state.changes["history"])
        yield running, chain, http


async def get(space: Site, path: str) -> Any:
    async with space[2].get(f"/api/v1/{path}") as response:
        assert response.status == 200, await response.text()
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in response.headers
        return json.loads(await response.read())


async def test_hashrate(space: Site) -> None:
    _, chain, _ = space
    for interval in ("24h", "3d", "1w", "1m", "3m", "1y", "all", "nonsense"):
        found = await get(space, f"mining/hashrate/{interval}")
        assert set(found) == {"hashrates", "difficulty", "currentHashrate", "currentDifficulty"}
        for row in found["hashrates"]:
            assert set(row) == {"timestamp", "avgHashrate"}
            assert row["avgHashrate"] == chain.days[row["timestamp"] // DAY - 1].hashrate_1d
            assert row["timestamp"] % DAY == 0
        for row in found["difficulty"]:
            assert set(row) == {"time", "height", "difficulty", "adjustment"}
        tip = space[0].site.state.snapshot[TipView]
        assert tip
        assert (found["currentHashrate"], found["currentDifficulty"]) == (tip.hashrate, tip.difficulty)
    assert len(found["hashrates"]) == len(chain.days) - 1, "the last day is not over"
    assert [row["height"] for row in found["difficulty"]] == [0, 2016, 4032]


async def test_difficulty_adjustments(space: Site) -> None:
    _, chain, _ = space
    values = [difficulty(bits) for bits in chain.period_bits]
    everything = [
        [chain.times[2016 * place], 2016 * place, values[place], round(values[place] / values[place - 1], 6)]
        for place in (2, 1)
    ]
    genesis = [chain.times[0], 0, 1.0, 0.0]
    assert await get(space, "mining/difficulty-adjustments") == [*everything, genesis]
    assert await get(space, "mining/difficulty-adjustments/all") == [*everything, genesis]
    recent = [row for row in everything if row[0] >= time.time() - 30 * DAY]
    assert await get(space, "mining/difficulty-adjustments/1m") == recent
    assert len(recent) < 3


@pytest.mark.parametrize(("interval", "step"), [("24h", 0), ("1w", 0), ("1m", HOUR), ("3m", 2 * HOUR), ("1y", DAY)])
async def test_averages_of_blocks(space: Site, interval: str, step: int) -> None:
    _, chain, _ = space
    kinds = ("fees", "rewards", "fee-rates", "sizes-weights")
    found = {kind: await get(space, f"mining/blocks/{kind}/{interval}") for kind in kinds}
    rows = found["fees"]
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows) or not step
    groups: dict[int, list[int]] = {}
    start = time.time() - mining.INTERVALS[interval]
    for height in range(chain.blocks):
        if not step and chain.times[height] < start:
            continue
        groups.setdefault(chain.times[height] // step if step else height, []).append(height)
    wanted = list(groups.values())[-len(rows) :]
    assert len(rows) > 10
    assert not step or len(rows) >= min(mining.INTERVALS[interval], 6_000 * 600) // step - 3
    for place in range(0, len(rows), max(1, len(rows) // 20)):
        blocks = [chain.block(height) for height in wanted[place]]

        def mean(total: int, blocks: list[Any] = blocks) -> int:
            return round(total / len(blocks))

        at = {"avgHeight": mean(sum(wanted[place])), "timestamp": mean(sum(block.time for block in blocks))}
        fees = sum(block.fees for block in blocks)
        subsidy = sum(NETWORKS["main"].subsidy(height) for height in wanted[place])
        percentiles = [mean(sum(block.percentiles[n] for block in blocks)) for n in range(5)]
        names = ("avgFee_10", "avgFee_25", "avgFee_50", "avgFee_75", "avgFee_90")
        ends = {"avgFee_0": percentiles[0], "avgFee_100": percentiles[-1]}
        assert rows[place] == {**at, "avgFees": mean(fees)}
        assert found["rewards"][place] == {**at, "avgRewards": mean(fees + subsidy)}
        assert found["fee-rates"][place] == {**at, **dict(zip(names, percentiles, strict=True)), **ends}
        sizes = found["sizes-weights"]
        assert sizes["sizes"][place] == {**at, "avgSize": mean(sum(block.size for block in blocks))}
        assert sizes["weights"][place] == {**at, "avgWeight": mean(sum(block.weight for block in blocks))}


@pytest.mark.parametrize("interval", ["24h", "3d", "1w", "1m", "1y", "all"])
async def test_pools(space: Site, interval: str) -> None:
    _, chain, http = space
    before = time.time()
    found = await get(space, f"mining/pools/{interval}")
    start = int(before) - mining.INTERVALS.get(interval, int(before))
    if interval in ("1m", "1y", "all"):
        start = start // DAY * DAY
    heights = [height for height in range(chain.blocks) if chain.times[height] >= start]
    wanted = Counter(POOLS[height % series_samples.KINDS % len(POOLS)] or "Unknown" for height in heights)
    assert abs(found["blockCount"] - len(heights)) <= 1, "the clock may have gone on by a second"
    assert {row["name"] for row in found["pools"]} == set(wanted)
    assert each(abs(row["blockCount"] - wanted[row["name"]]) <= 1 for row in found["pools"])
    counts = [row["blockCount"] for row in found["pools"]]
    assert counts == sorted(counts, reverse=True)
    assert [row["rank"] for row in found["pools"]] == list(range(1, len(wanted) + 1))
    empty = sum(height % series_samples.KINDS == 7 for height in heights)
    assert sum(row["emptyBlocks"] for row in found["pools"]) == empty
    tip = space[0].site.state.snapshot[TipView]
    assert tip
    assert found["lastEstimatedHashrate"] == tip.hashrate
    last = chain.end // HOUR
    work = sum(chain.hours[index].work for index in range(last - 71, last + 1) if index in chain.hours)
    assert found["lastEstimatedHashrate3d"] == work / (chain.end - (last - 71) * HOUR)
    async with http.get(f"/api/v1/mining/pools/{interval}") as response:
        assert response.headers["X-total-count"] == str(chain.blocks)


async def test_pools_have_the_fields_of_the_recorded_answer(space: Site) -> None:
    path = RECORDED / "recorded" / "mempool_space" / "api_mining_pools_1w.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository")
    recorded = json.loads(path.read_text())
    found = await get(space, "mining/pools/1w")
    assert set(found) == set(recorded)
    assert set(found["pools"][0]) == set(recorded["pools"][0])


@pytest.mark.parametrize(("interval", "fine", "together"), [
    ("2h", MINUTE, 1), ("24h", MINUTE, 1), ("1w", MINUTE, 5), ("1m", HOUR, 1), ("3m", HOUR, 2), ("all", HOUR, 12),
])  # fmt: skip
async def test_statistics(space: Site, interval: str, fine: int, together: int) -> None:
    rows = await get(space, f"statistics/{interval}")
    step = fine * together
    expected = min(statistics.INTERVALS[interval].seconds, (8 if fine == MINUTE else 40) * DAY) // step
    assert expected - 2 <= len(rows) <= expected + 2
    assert [row["added"] for row in rows] == [rows[0]["added"] - step * place for place in range(len(rows))]
    assert set(rows[0]) == {
        "added", "count", "vbytes_per_second", "min_fee", "mempool_byte_weight", "total_fee", "vsizes",
    }  # fmt: skip
    looks = fine // 10
    for row in rows[1:-1:29]:
        indices = range(row["added"] // fine, row["added"] // fine + together)
        waiting = [series_samples.congestion(index, looks) for index in indices]
        samples = looks * together
        vsizes = []
        for place, level in enumerate(statistics.LEVELS):
            low = 0.0 if place == 0 else float(level)
            high = float(statistics.LEVELS[place + 1]) if place + 1 < len(statistics.LEVELS) else float("inf")
            bands = [band for band, bound in enumerate(FEERATE_BOUNDS) if low <= bound < high]
            vsizes.append(round(sum(record.bands[band] for record in waiting for band in bands) / samples))
        assert row["vsizes"] == vsizes
        assert len(vsizes) == 38
        assert row["mempool_byte_weight"] == 4 * sum(vsizes)
        assert row["count"] == round(sum(record.tx_count for record in waiting) / samples)
        assert row["total_fee"] == round(sum(record.fee for record in waiting) / samples)
        assert row["min_fee"] == waiting[-1].min_fee_rate
        entered = sum(series_samples.flow(index, fine).vsize for index in indices)
        assert row["vbytes_per_second"] == round(entered / step)


async def test_errors_are_plain_text(bare: Running, writer: Any) -> None:
    async with aiohttp.ClientSession(bare.url) as http:
        for path in ("mining/hashrate/1y", "mining/difficulty-adjustments", "mining/pools/1w", "mining/blocks/fees/1y"):
            async with http.get(f"/api/v1/{path}") as response:
                assert (response.status, response.content_type) == (503, "text/plain")
                assert await response.text() == "Service Unavailable"
        async with http.get("/api/v1/statistics/5h") as response:
            assert (response.status, response.content_type) == (404, "text/plain")
        async with http.get("/api/v1/statistics/2h") as response:
            assert (response.status, await response.json()) == (200, [])


# --- mainnet's own difficulty -----------------------------------------------------------------------------


def test_every_epoch_of_mainnet_has_its_difficulty_and_its_change() -> None:
    path = RECORDED / "difficulty_epochs.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository")
    with path.open() as lines:
        epochs = list(csv.DictReader(lines))
    chain = Chain(
        RETARGET_INTERVAL * (len(epochs) - 1) + 1, bits=[int(epoch["bits"], 16) for epoch in epochs], end=1_783_000_000
    )
    retargets: list[tuple[int, Header]] = [
        (place, chain.header(place * RETARGET_INTERVAL)) for place in range(len(epochs))
    ]
    metric = METRICS["difficulty"]
    span = named(metric, "all", genesis=chain.network.genesis_time, now=chain.end + 600)
    chart = difficulty_chart.drawn(retargets, chain.history(), span, chain.network)
    rows = chart.tables[0].rows[::-1]
    assert len(rows) == len(epochs) > 470
    values = [float(epoch["difficulty"]) for epoch in epochs]
    for place, (row, epoch) in enumerate(zip(rows, epochs, strict=True)):
        assert row[0] == int(epoch["height"])
        assert row[2] == pytest.approx(values[place], rel=1e-9)
        if place:
            assert row[3] == pytest.approx((values[place] / values[place - 1] - 1) * 100, abs=1e-6)
    shown = [value for _, value in chart.figures[0].lines[0].points]
    assert list(dict.fromkeys(shown)) == [row[2] for row in {row[2]: row for row in rows}.values()]
    ratios = mining.adjustments(Levels.of(retargets), 0)
    assert [height for _, height, _, _ in ratios][:2] == [0, 32_256], "mainnet's first change"
    assert ratios[1][3] == pytest.approx(1.182899, abs=1e-5), "as mempool.space tells it"

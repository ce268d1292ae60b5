"""Every metric over every range, against figures worked out block by block from the sample chain."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import structlog

from shared import redis
from shared.bands import FEERATE_BOUNDS
from shared.keys import Keys
from shared.networks import COIN, NETWORKS, RETARGET_INTERVAL
from shared.pow import difficulty, work
from shared.records import CONGESTION
from shared.series import CONGESTION_HOURS, DAY, HOUR, WEEK
from support import series_samples
from support.each import each
from support.series_samples import Chain, fill
from support.web_samples import Writer
from web.charts import span as spans
from web.charts.chart import MOST_POINTS, RANGES, Chart, Line
from web.charts.data import measured
from web.charts.data.reading import SeriesReader
from web.charts.metrics import METRICS
from web.charts.serving.store import Charts
from web.state.reading import State
from web.state.snapshot import Snapshot

NOW = int(time.time()) // HOUR * HOUR + 1_234
"""Somewhere inside an hour, so that the newest bucket is not over."""

EVERY = [(metric.name, name) for metric in METRICS.values() for name in metric.ranges]


@pytest.fixture(scope="module")
def chains(valkey: str) -> dict[str, Chain]:
    """A dense chain of half a year, a sparse one as old as mainnet, and one that is still being fetched."""

    async def filled() -> dict[str, Chain]:
        client = redis.connect(valkey)
        await client.flushall()
        found = {
            "main": await fill(client, Keys("main"), blocks=26_000, now=NOW),
            "signet": await fill(client, Keys("signet"), blocks=13_000, now=NOW, spacing=18_000),
            "test": await fill(client, Keys("test"), blocks=9_000, now=NOW, first_header=1_000, measured_from=5_000),
        }
        for network in found:
            writer = Writer(client, network)
            await writer.chain()
            await writer.mempool()
        await client.aclose()
        return found

    return asyncio.run(filled())


Draw = Callable[..., Awaitable[Chart]]


@pytest.fixture
async def draw(valkey: str, chains: dict[str, Chain]) -> AsyncIterator[Draw]:
    """Draws a chart of one of the chains, as a request would."""
    client = redis.connect(valkey)
    made: dict[str, Charts] = {}

    async def drawn(metric: str, network: str = "main", **query: str) -> Chart:
        if network not in made:
            keys, net = Keys(network), NETWORKS[network]
            state = State(Snapshot(net), keys, client, structlog.get_logger())
            await state.refresh()
            made[network] = Charts(state, SeriesReader(client, keys, net), lambda: NOW)
        return await made[network].asked(metric, {name.rstrip("_"): value for name, value in query.items()})

    yield drawn
    for charts in made.values():
        await charts.close()
    await client.aclose()


def lines(chart: Chart) -> dict[str, Line]:
    return {line.name: line for figure in chart.figures for line in figure.lines}


def by_bucket(chain: Chain, step: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for height in range(chain.measured_from, chain.blocks):
        found[chain.times[height] // step * step].append(height)
    return found


def blocks_inside(chain: Chain, start: int, end: int) -> list[int]:
    inside = [height for height in range(chain.blocks) if start <= chain.times[height] < end]
    return sorted(inside, key=lambda height: (chain.times[height], height))


# --- what holds for all -----------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["main", "signet", "test"])
@pytest.mark.parametrize(("metric", "name"), EVERY)
async def test_every_chart_is_drawable(
    draw: Draw, chains: dict[str, Chain], metric: str, name: str, network: str
) -> None:
    chart = await draw(metric, network, range=name)
    assert (chart.metric, chart.range) == (metric, name)
    assert chart.start < chart.end
    assert chart.source
    assert chart.as_of is not None
    assert NOW - 2 * HOUR < chart.as_of <= NOW + HOUR
    names = [line.name for figure in chart.figures for line in figure.lines]
    assert len(names) == len(set(names))
    for figure in chart.figures:
        assert figure.resolution
        assert not figure.empty, figure.empty
        assert figure.lines
        moments = [moment for moment, _ in figure.lines[0].points]
        assert moments == sorted(moments)
        assert chart.start <= moments[0]
        assert moments[-1] <= chart.end
        assert 1 <= len(moments) <= MOST_POINTS
        for line in figure.lines:
            assert [moment for moment, _ in line.points] == moments, "uPlot has one axis for all lines"
            assert line.unit in ("", "BTC", "H/s", "sat/vB", "vB", "%", "USD")
            assert line.label
        for pair in figure.fills:
            assert set(pair) <= {line.name for line in figure.lines}
        assert sum(line.style == "stack" for line in figure.lines) <= 8
    assert chart.unit == chart.figures[0].lines[0].unit
    if name in RANGES and name != "1h":
        chain = chains[network]
        begins = chain.times[1] if network == "main" else chain.network.genesis_time
        begins = METRICS[metric].begins or begins
        assert chart.start == max(NOW - RANGES[name], begins)
        assert chart.end >= NOW
    chain = chains[network]
    known = chain.first_header if metric in ("difficulty", "hashrate") else chain.measured_from
    missing = "history" in METRICS[metric].of and known > 0 and chart.start < chain.times[known]
    assert bool(chart.notice) == missing


# --- difficulty -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS["difficulty"].ranges)
async def test_difficulty_has_every_adjustment_and_the_levels_at_both_ends(
    draw: Draw, chains: dict[str, Chain], name: str
) -> None:
    chain = chains["signet"]
    chart = await draw("difficulty", "signet", range=name)
    (line,) = chart.figures[0].lines
    assert line.style == "step"
    levels = [
        (chain.times[place * RETARGET_INTERVAL], difficulty(bits)) for place, bits in enumerate(chain.period_bits)
    ]
    inside = [level for level in levels if chart.start < level[0] < NOW]
    assert [point for point in line.points if point in inside] == inside
    before = [value for moment, value in levels if moment <= chart.start]
    if before:
        assert line.points[0] == (chart.start, before[-1])
    assert line.points[-1] == (chain.end, levels[-1][1])
    assert len(line.points) <= len(inside) + 2
    rows = chart.tables[0].rows
    assert [row[1] for row in rows] == [moment for moment, _ in reversed(levels) if chart.start <= moment < NOW]
    for height, moment, value, change, length, average in rows:
        place = int(height or 0) // RETARGET_INTERVAL
        assert (moment, value) == levels[place]
        if place:
            assert change == pytest.approx((levels[place][1] / levels[place - 1][1] - 1) * 100)
            assert length == levels[place][0] - levels[place - 1][0]
            assert average == pytest.approx((levels[place][0] - levels[place - 1][0]) / 2016)
        else:
            assert change is length is average is None


# --- hashrate ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("network", "name"), [("main", "1d"), ("main", "1m"), ("main", "1y"), ("signet", "5y")])
async def test_hashrate_is_work_over_time(draw: Draw, chains: dict[str, Chain], network: str, name: str) -> None:
    chain = chains[network]
    chart = await draw("hashrate", network, range=name)
    found = lines(chart)
    step = HOUR if name in ("1d", "1m") else DAY
    works = [work(bits) for bits in chain.period_bits]
    times = sorted((chain.times[height], works[height // RETARGET_INTERVAL]) for height in range(chain.blocks))
    points = found["hashrate_1d"].points
    assert points[-1][0] == chain.end, "the newest bucket ends with the tip"
    for place in (len(points) // 3, -2, -1):
        moment, value = points[place]
        until = -(-(moment + 1) // step) * step if place == -1 else moment
        for line, seconds in (("hashrate_1d", DAY), ("hashrate_7d", WEEK)):
            total = sum(amount for time_, amount in times if until - seconds <= time_ < until)
            passed = min(until, chain.end) - max(until - seconds, chain.times[0])
            shown = found[line].points[place][1]
            assert shown == pytest.approx(total / passed if total else None), (place, line)
        level = [bits for at, bits in enumerate(chain.period_bits) if chain.times[at * RETARGET_INTERVAL] <= moment][-1]
        assert found["difficulty"].points[place][1] == difficulty(level)
        assert value != 0
    assert found["hashrate_1d"].quiet
    assert found["difficulty"].axis == "right"


async def test_a_reduced_hashrate_keeps_its_extremes(draw: Draw, chains: dict[str, Chain]) -> None:
    chart = await draw("hashrate", "signet", range="all")
    assert "reduced" in chart.figures[0].resolution
    for name, known in (
        ("hashrate_1d", [bucket.hashrate_1d for bucket in chains["signet"].days.values()]),
        ("hashrate_7d", [bucket.hashrate_7d for bucket in chains["signet"].days.values()]),
    ):
        shown = [value for _, value in lines(chart)[name].points if value]
        assert max(shown) == max(known)
        assert min(shown) == min(value for value in known if value)


# --- what blocks hold -------------------------------------------------------------------------------------


STEPS = [
    ("main", "1d", 0), ("main", "1w", 0), ("main", "1m", HOUR), ("main", "1y", DAY), ("main", "all", DAY),
    ("signet", "1y", DAY), ("signet", "5y", DAY), ("signet", "10y", WEEK), ("signet", "all", WEEK),
]  # fmt: skip


def expected(chain: Chain, step: int, start: int, end: int) -> dict[int, list[int]]:
    """Heights by the moment of their point."""
    if not step:
        return {chain.times[height]: [height] for height in blocks_inside(chain, start, end)}
    return {moment: heights for moment, heights in by_bucket(chain, step).items() if start <= moment < end}


@pytest.mark.parametrize(("network", "name", "step"), STEPS)
async def test_volume_is_the_sum_of_blocks(
    draw: Draw, chains: dict[str, Chain], network: str, name: str, step: int
) -> None:
    chain = chains[network]
    chart = await draw("tx-volume", network, range=name)
    bars = lines(chart)["block_volume"]
    assert bars.style == "bars"
    assert chart.figures[0].resolution == {0: "each block", HOUR: "each hour", DAY: "each day", WEEK: "each week"}[step]
    wanted = expected(chain, step, chart.start, NOW)
    sums = {moment: sum(chain.block(h).output_value for h in heights) / COIN for moment, heights in wanted.items()}
    assert len(sums) > 10
    assert {moment: value for moment, value in bars.points if value} == {m: v for m, v in sums.items() if v}
    if step:
        window = {HOUR: 24, DAY: 7, WEEK: 4}[step]
        mean = lines(chart)["mean_volume"]
        assert {HOUR: "24 hours", DAY: "7 days", WEEK: "4 weeks"}[step] in mean.label
        everything = by_bucket(chain, step)
        for moment, value in (mean.points[-1], mean.points[len(mean.points) // 2]):
            inside = [moment - place * step for place in range(window)]
            total = sum(chain.block(h).output_value for at in inside for h in everything.get(at, ()))
            assert value == pytest.approx(total / COIN / window)


@pytest.mark.parametrize(("network", "name", "step"), STEPS)
async def test_feerates_and_fees_of_blocks(
    draw: Draw, chains: dict[str, Chain], network: str, name: str, step: int
) -> None:
    if name == "1h":
        return
    chain = chains[network]
    chart = await draw("tx-fees", network, range=name)
    found = {name: dict(line.points) for name, line in lines(chart).items()}
    wanted = expected(chain, step, chart.start, NOW)
    for moment, heights in list(wanted.items())[:: max(1, len(wanted) // 40)]:
        blocks = [chain.block(height) for height in heights]
        for place, percentile in enumerate((10, 25, 50, 75, 90)):
            mean = sum(block.percentiles[place] for block in blocks) / len(blocks)
            assert found[f"p{percentile}"][moment] == pytest.approx(mean)
        fees, weight = sum(block.fees for block in blocks), sum(block.weight for block in blocks)
        subsidy = sum(chain.network.subsidy(height) for height in heights)
        assert found["average"][moment] == pytest.approx(fees / (weight / 4))
        assert found["fees"][moment] == pytest.approx(fees / COIN)
        assert found["subsidy"][moment] == pytest.approx(subsidy / COIN)
        assert found["fees_share"][moment] == pytest.approx(fees * 100 / (fees + subsidy))
    moment = max(wanted)
    if step:
        before = range(moment - ({HOUR: 24, DAY: 7, WEEK: 4}[step] - 1) * step, moment + step)
        heights = [height for height in range(chain.blocks) if chain.times[height] in before]
    else:
        newest = [height for at in sorted(wanted) for height in wanted[at]][-1]
        order = blocks_inside(chain, 0, NOW)
        heights = order[order.index(newest) - 143 : order.index(newest) + 1]
    fees, weight = (sum(getattr(chain.block(h), field) for h in heights) for field in ("fees", "weight"))
    assert found["average_moving"][moment] == pytest.approx(fees * 4 / weight)


@pytest.mark.parametrize(
    ("network", "name", "step"), [("main", "1d", 0), ("main", "1m", HOUR), ("signet", "all", WEEK)]
)
async def test_outputs_by_value(draw: Draw, chains: dict[str, Chain], network: str, name: str, step: int) -> None:
    chain = chains[network]
    chart = await draw("tx-amount", network, range=name)
    mean, *shares = (dict(line.points) for figure in chart.figures for line in figure.lines)
    for moment, heights in list(expected(chain, step, chart.start, NOW).items())[::17]:
        blocks = [chain.block(height) for height in heights]
        bands = [sum(counts) for counts in zip(*(block.output_bands for block in blocks), strict=True)]
        if not sum(bands):
            assert mean[moment] is None
            continue
        assert mean[moment] == pytest.approx(sum(block.output_value for block in blocks) / sum(bands) / COIN)
        grouped = [*bands[1:8], sum(bands[8:])]
        assert [share[moment] for share in shares] == pytest.approx([100 * n / sum(bands[1:]) for n in grouped])
    assert each(line.style == "stack" for line in chart.figures[1].lines)
    view = chain.largest(name)
    assert [row[1] for row in chart.tables[0].rows] == [tx.txid for tx in view.transactions]
    assert ("Not all of these blocks" in chart.tables[0].note) != view.complete


async def test_the_mempools_largest_and_the_time_since_the_halving(draw: Draw, chains: dict[str, Chain]) -> None:
    waiting = await draw("tx-amount", range="mempool")
    assert waiting.tables[0].columns[-1].title == "Entered"
    assert len(waiting.tables[0].rows) == 50
    assert "The last day." in waiting.figures[0].note
    halving = await draw("tx-amount", range="halving")
    assert halving.start == chains["main"].times[0], "no halving yet: since the first block"
    own = await draw("tx-amount", from_=str(NOW - 3 * DAY), to=str(NOW - DAY))
    assert own.tables == []


async def test_a_zoom_into_long_ago_shows_each_of_few_blocks(draw: Draw, chains: dict[str, Chain]) -> None:
    chain = chains["signet"]
    start = chain.times[3_000] // DAY * DAY
    chart = await draw("tx-volume", "signet", from_=str(start), to=str(start + 80 * DAY))
    assert (chart.range, chart.start, chart.end) == ("", start, start + 80 * DAY)
    assert chart.figures[0].resolution == "each block"
    assert [moment for moment, _ in lines(chart)["block_volume"].points] == [
        chain.times[height] for height in blocks_inside(chain, start, start + 80 * DAY)
    ]
    assert "Nothing was recorded" in chart.figures[1].empty


async def test_hours_that_are_not_kept_are_summed_up_from_their_blocks(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, end = str(NOW - 40 * DAY), str(NOW - 12 * DAY)
    kept = await draw("tx-fees", from_=start, to=end)
    monkeypatch.setattr(spans, "hours_kept", lambda *_: False)
    monkeypatch.setattr(measured, "_SERIES", {})  # nothing else may be read
    end = str(NOW - 12 * DAY - 1)
    summed = await draw("tx-fees", from_=start, to=end)
    assert kept.figures[0].resolution == "each hour"
    assert summed.figures[:2] == kept.figures[:2]


async def test_a_chain_that_is_still_being_fetched(draw: Draw, chains: dict[str, Chain]) -> None:
    chain = chains["test"]
    chart = await draw("tx-volume", "test", range="all")
    assert "Block statistics are known from" in chart.notice
    assert "50 % done" in chart.notice or "44 % done" in chart.notice
    assert chart.figures[0].resolution == "each week"
    headers = Counter(moment // WEEK * WEEK for moment in chain.times[chain.first_header :])
    measured = {moment: len(heights) for moment, heights in by_bucket(chain, WEEK).items()}
    points = dict(lines(chart)["block_volume"].points)
    assert points.keys() >= headers.keys()
    for moment, value in points.items():
        known = headers[moment] > 0 and measured.get(moment, 0) == headers[moment]
        assert (value is not None) == known, moment
    rates = await draw("hashrate", "test", range="all")
    assert "Headers are known from block 1,000" in rates.notice
    assert lines(rates)["hashrate_7d"].points[0][1] is None, "seven days of headers are not there yet"


# --- the mempool ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "step"), [("1h", 10), ("1d", 60), ("1w", HOUR), ("1m", HOUR), ("1y", DAY), ("all", WEEK)]
)
async def test_what_enters_the_mempool(draw: Draw, name: str, step: int) -> None:
    chart = await draw("tx-volume", "signet", range=name)
    found = dict(lines(chart)["mempool_volume"].points)
    fine = min(step, HOUR)
    last = NOW // fine
    first = max(-(-chart.start // step) * step // fine, last - 40 * DAY // fine)
    sums: dict[int, int] = defaultdict(int)
    for index in range(first, last + 1):
        sums[index * fine // step * step] += series_samples.flow(index, fine).value
    assert found == {moment: value / COIN for moment, value in sums.items()}


@pytest.mark.parametrize(("name", "step", "looks"), [("1d", 60, 6), ("1m", HOUR, 360), ("1y", 6 * HOUR, 360)])
async def test_what_waits_in_the_mempool(draw: Draw, name: str, step: int, looks: int) -> None:
    chart = await draw("tx-fees", "signet", range=name)
    figure = chart.figures[2]
    assert each(line.style == "stack" and line.unit == "vB" for line in figure.lines)
    assert figure.lines[0].name == "vsize_from_50", "the highest lies at the bottom"
    assert [line.name for line in figure.lines[-3:]] == ["vsize_1_to_2", "vsize_0_5_to_1", "vsize_below_0_5"]
    fine = min(step, HOUR)
    groups: dict[int, list[Any]] = defaultdict(list)
    for index in range(max(-(-chart.start // step) * step // fine, NOW // fine - 40 * DAY // fine), NOW // fine + 1):
        groups[index * fine // step * step].append(series_samples.congestion(index, looks))
    assert [moment for moment, _ in figure.lines[0].points] == list(groups)
    bounds = [0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, float("inf")]
    for line, low, high in zip(figure.lines, bounds[-2::-1], bounds[:0:-1], strict=True):
        bands = [place for place, bound in enumerate(FEERATE_BOUNDS) if low <= bound < high]
        for moment, value in line.points[::29]:
            records = groups[moment]
            total = sum(record.bands[band] for record in records for band in bands)
            assert value == pytest.approx(total / sum(record.samples for record in records)), line.name


async def test_a_time_in_which_nobody_looked_is_a_gap(valkey: str, draw: Draw) -> None:
    keys = Keys("regtest")
    client = redis.connect(valkey)
    hour = NOW // HOUR
    record = CONGESTION.pack(series_samples.congestion(1, 360))
    nothing = bytes(len(record))
    await series_samples.write(
        client, keys, CONGESTION_HOURS, hour - 9, [record, record, nothing, nothing, record, record]
    )
    await client.aclose()
    chart = await draw("tx-fees", "regtest", range="1w")
    values = [(moment // HOUR - hour, value is None) for moment, value in chart.figures[2].lines[0].points]
    assert values == [(-9, False), (-8, False), (-7, True), (-5, False), (-4, False)]
    assert "chain-ingest" in chart.figures[0].empty, "blocks have no history here, and the figure says why"

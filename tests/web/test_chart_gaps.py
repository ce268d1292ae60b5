"""Blocks that nobody can give, and series that Redis lost: charts leave a gap and say why, never a low value."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import structlog

from shared import redis
from shared.events.backfill import BlocksUnavailable
from shared.networks import NETWORKS
from shared.series import BLOCKS, DAY, HOUR, HOURS, RETARGETS, Series
from support.chain_samples import collected, loaded, measured
from support.each import each
from support.history_building import KEYS, Built, spaced
from web.charts.chart import Chart, Line
from web.charts.data.reading import SeriesReader
from web.charts.serving.store import Charts
from web.http.answers import Unavailable
from web.state.reading import State
from web.state.snapshot import Snapshot

HEIGHT, GAP = 6_000, 5_950
BLOCKS_OF_CHAIN = spaced(HEIGHT, 600)
NOW = BLOCKS_OF_CHAIN[-1].time + 100


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(valkey: str) -> AsyncIterator[redis.Client]:
    connected = redis.connect(valkey)
    await connected.flushall()
    yield connected
    await connected.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(client: redis.Client) -> Built:
    """The whole chain as chain-history folds it, but for one block that no node can give; tests leave it whole."""
    it = Built(client)
    it.apply(loaded(BLOCKS_OF_CHAIN[:GAP], GAP - 500), *BLOCKS_OF_CHAIN[GAP:])
    while first := it.fold.store.spine.first:
        it.apply(collected(BLOCKS_OF_CHAIN, max(0, first - 2_000), first - 1))
    it.apply(BlocksUnavailable(first=GAP, last=GAP, reason="node main cannot read it"))
    it.apply(measured(BLOCKS_OF_CHAIN, list(range(GAP))))
    await it.commit()
    return it


async def draw(client: redis.Client, metric: str, **query: str) -> Chart:
    network = NETWORKS[KEYS.network]
    state = State(Snapshot(network), KEYS, client, structlog.get_logger())
    await state.refresh()
    charts = Charts(state, SeriesReader(client, KEYS, network), lambda: NOW)
    try:
        return await charts.asked(metric, query)
    finally:
        await charts.close()


def line(chart: Chart, name: str) -> Line:
    return next(line for figure in chart.figures for line in figure.lines if line.name == name)


@pytest.mark.parametrize(("metric", "name"), [("tx-volume", "block_volume"), ("tx-fees", "fees")])
@pytest.mark.parametrize("span", ["1d", "1m", "1y", "all"])
async def test_a_block_that_nobody_can_give_is_a_gap(
    client: redis.Client, built: Built, metric: str, name: str, span: str
) -> None:
    chart = await draw(client, metric, range=span)
    assert chart.notice == "Your nodes have not given 1 block, pruned or not readable: there is a gap until one does."
    figure = next(figure for figure in chart.figures if any(line.name == name for line in figure.lines))
    step = {"each block": 1, "each hour": HOUR, "each day": DAY}[figure.resolution]
    gap = BLOCKS_OF_CHAIN[GAP - 1].time // step * step
    points = dict(line(chart, name).points)
    assert [time for time, value in points.items() if value is None] == [gap]


async def test_a_gap_before_the_span_is_not_spoken_of(client: redis.Client, built: Built) -> None:
    start = BLOCKS_OF_CHAIN[GAP + 4].time
    chart = await draw(client, "tx-fees", **{"from": str(start), "to": str(NOW)})
    assert chart.notice == ""
    assert each(value is not None for _, value in line(chart, "fees").points)


@pytest.mark.parametrize(
    ("metric", "series", "span"),
    [("tx-volume", HOURS, "1m"), ("difficulty", RETARGETS, "all"), ("tx-amount", BLOCKS, "1d")],
)
async def test_a_lost_series_is_not_an_empty_chart(
    client: redis.Client, built: Built, metric: str, series: Series[Any], span: str
) -> None:
    assert (await draw(client, metric, range=span)).metric == metric
    lost = [KEYS.series("chain", series.name, segment) for segment in built.fold.store.writers[series.name].known]
    kept = {key: await client.dump(key) for key in lost}
    for key in lost:
        assert await client.delete(key) == 1
    with pytest.raises(Unavailable, match=rf"“{series.name}” was lost in Redis\. chain-history is"):
        await draw(client, metric, range=span)
    for key, whole in kept.items():
        await client.restore(key, 0, whole)
    assert (await draw(client, metric, range=span)).metric == metric

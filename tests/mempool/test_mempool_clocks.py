"""Clocks that are wrong, or step: the service's own, the node's, and that of whoever compares. Nothing kept is lost."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from local_run.valkey import EmbeddedValkey
from shared import clock, redis
from shared.clock import Moment
from shared.events.mempool import MempoolReset, MempoolSynced, TxAdded
from shared.fold import Changes
from shared.records import Congestion, Flow
from shared.series import CONGESTION_MINUTES, FLOW_10S, FLOW_HOURS, FLOW_MINUTES, MINUTE
from shared.series_writer import SeriesWriter
from support.folding import Committer
from support.mempool_feed import KEYS, Feed, Process, added, records, serving, total, view
from support.stack import until

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
YEAR = 366 * 86_400
KEPT_DAYS = 8


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Stepping:
    """The clocks of the service under test: the wall is off by `off_ms`, the steady one is right."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.off_ms = 0
        real = clock.now

        def stepped() -> Moment:
            moment = real()
            return Moment(moment.wall_ms + self.off_ms, moment.steady_ms)

        monkeypatch.setattr(clock, "now", stepped)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Stepping:
    return Stepping(monkeypatch)


@pytest.fixture
async def feed(client: redis.Client) -> Feed:
    return Feed(client)


async def keep_eight_days(client: redis.Client) -> dict[int, Congestion]:
    """Every minute of the days that are kept, as looks of before would have left them."""
    writer = SeriesWriter(CONGESTION_MINUTES, KEYS, mirrored=True)
    newest = now_ms() // 1000 // MINUTE
    bands = tuple(range(len(Congestion._fields) * 10)) + (0,) * 100
    width = CONGESTION_MINUTES.layout
    for index in range(newest - KEPT_DAYS * 1_440, newest):
        record = Congestion(60, index, index, 1.0, bands[: (width.width - 40) // 8])
        writer.put(index, record)
    changes = Changes()
    writer.flush(changes.commands)
    await Committer(client, "{regtest:mempool}:test-checkpoint").commit(changes)
    return await records(client, CONGESTION_MINUTES)


async def shown_anew(client: redis.Client, feed: Feed, numbers: itertools.count[int]) -> None:
    """Something new is told, and shown soon."""
    told = added(next(numbers), now_ms() // 1000)
    await feed.tell(told)

    async def there() -> bool:
        found = await view(client)
        return found is not None and found[0].count == feed.sums[0]

    await until(there, 8, "what was told is shown")


async def samples(client: redis.Client, first: int, last: int) -> int:
    """Looks recorded between two moments."""
    return sum(one.samples for one in (await records(client, CONGESTION_MINUTES, first, last)).values())


async def test_a_wall_clock_that_steps_changes_nothing(
    valkey: EmbeddedValkey, client: redis.Client, feed: Feed, own: Stepping
) -> None:
    kept = await keep_eight_days(client)
    numbers = itertools.count()
    began = now_ms() // 1000
    async with serving(valkey.url):
        await feed.tell(MempoolReset(cause="test", node="main"), feed.synced(now_ms()))
        await shown_anew(client, feed, numbers)
        before = await samples(client, began - MINUTE, began + YEAR // 2)
        for off in (YEAR * 1_000, -3_600_000, 0, -YEAR * 1_000):
            own.off_ms = off
            await shown_anew(client, feed, numbers)
            await feed.sync(now_ms())
            await shown_anew(client, feed, numbers)
            found = await view(client)
            assert found is not None
            assert abs(found[0].as_of_ms - now_ms()) < 5_000
            assert found[0].exact
        assert await samples(client, began - MINUTE, began + 10 * MINUTE) >= before + 8
    after = await records(client, CONGESTION_MINUTES)
    assert {start: after.get(start) for start in kept} == kept
    assert max(after) <= now_ms() // 1000


async def test_one_comparison_of_another_year_moves_nothing_and_two_delete_nothing(
    valkey: EmbeddedValkey, client: redis.Client, feed: Feed
) -> None:
    kept = await keep_eight_days(client)
    numbers = itertools.count()
    async with serving(valkey.url):
        await feed.tell(MempoolReset(cause="test", node="main"), feed.synced(now_ms()))
        await shown_anew(client, feed, numbers)
        for year in (YEAR, -YEAR):
            wrong = now_ms() // 1000 + year
            said = feed.synced(wrong * 1_000)
            await feed.tell(said)
            await feed.folded()
            await feed.tell(said)  # as when it is read a second time: nobody else says so
            await shown_anew(client, feed, numbers)  # by our own clock, which is not sure of anything
            assert await samples(client, wrong - 3_600, wrong + 3_600) == 0
            await feed.sync(now_ms())
            around = now_ms() // 1000 - 3_600, now_ms() // 1000 + 3_600
            before = await samples(client, *around)
            await shown_anew(client, feed, numbers)
            assert await samples(client, *around) > before
        for year in (YEAR, -YEAR):  # who insists is believed, and that costs nothing either
            for _ in range(2):
                await feed.sync(now_ms() + year * 1_000)
                await shown_anew(client, feed, numbers)
        assert await samples(client, now_ms() // 1000 + YEAR - 3_600, now_ms() // 1000 + YEAR + 3_600) > 0
        for _ in range(2):
            await feed.sync(now_ms())
            await shown_anew(client, feed, numbers)
        await feed.folded()
    after = await records(client, CONGESTION_MINUTES)
    assert {start: after.get(start) for start in kept} == kept


@pytest.mark.parametrize("minutes", [-120, -10, 0, 10, 120])
async def test_inflow_is_whole_whatever_the_nodes_clock_says(
    valkey: EmbeddedValkey, client: redis.Client, feed: Feed, minutes: int
) -> None:
    off = minutes * 60

    def synced() -> MempoolSynced:
        return feed.synced(now_ms(), node_time_ms=now_ms() + off * 1_000)

    def accepted(numbers: range) -> list[TxAdded]:
        return [added(number, now_ms() // 1000 + off) for number in numbers]

    began = now_ms() // 1000
    there_before = accepted(range(20))
    await feed.tell(MempoolReset(cause="test", node="main"), *there_before)
    await feed.tell(synced())
    entered = []
    async with serving(valkey.url):
        for number in range(4):
            new = accepted(range(100 + number * 10, 110 + number * 10))
            entered += new
            await feed.tell(*new)
            await feed.tell(synced())
        await feed.folded()
    async with serving(valkey.url):  # and after a restart
        new = accepted(range(200, 210))
        entered += new
        await feed.tell(*new, feed.synced(now_ms(), node_time_ms=now_ms() + off * 1_000))
        await feed.tell(MempoolReset(cause="test", node="main"), *there_before, *entered)  # told again: no inflow
        await feed.tell(synced())
        await feed.folded()
        ended = now_ms() // 1000
        for series in (FLOW_10S, FLOW_MINUTES, FLOW_HOURS):
            found = await records(client, series, began - series.step, ended + series.step)
            assert Flow._make(map(sum, zip(*found.values(), strict=True))) == Flow(*total(entered))
            assert await records(client, series) == found

        async def rate() -> float:
            shown = await view(client)
            return shown[0].txs_per_second if shown else 0.0

        async def whole() -> bool:
            return await rate() >= len(entered) / 60 - 0.01

        await until(whole, 8, "the rate of the last minute has all that came")


async def test_a_nodes_clock_that_steps_ahead_loses_nothing(
    valkey: EmbeddedValkey, client: redis.Client, feed: Feed
) -> None:
    began = now_ms() // 1000
    entered = []
    async with serving(valkey.url):
        await feed.tell(MempoolReset(cause="test", node="main"), feed.synced(now_ms(), node_time_ms=now_ms()))
        for number, off in enumerate([0, 3 * 3_600, 3 * 3_600, 30 * 86_400]):
            new = [added(10 * number + place, now_ms() // 1000 + off) for place in range(5)]
            entered += new
            await feed.tell(*new)  # before anybody measured the node's clock again
            await feed.folded()
            await feed.tell(feed.synced(now_ms(), node_time_ms=now_ms() + off * 1_000))
        await feed.folded()
    found = await records(client, FLOW_MINUTES)
    assert Flow._make(map(sum, zip(*found.values(), strict=True))) == Flow(*total(entered))
    assert began - MINUTE < min(found) <= max(found) <= now_ms() // 1000


@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime here")
async def test_a_process_whose_clock_steps(
    valkey: EmbeddedValkey, client: redis.Client, feed: Feed, tmp_path: Path
) -> None:
    kept = await keep_eight_days(client)
    numbers = itertools.count()
    offset = tmp_path / "offset"
    offset.write_text("+0")
    process = Process(
        valkey.url,
        tmp_path,
        LD_PRELOAD=str(FAKETIME),
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    began = now_ms() // 1000
    await process.start()
    try:
        await feed.tell(MempoolReset(cause="test", node="main"), feed.synced(now_ms()))
        await shown_anew(client, feed, numbers)
        for off in ("+366d", "-1h", "+0", "+10m"):
            offset.write_text(off)
            before = await samples(client, began - MINUTE, began + 10 * MINUTE)
            await feed.sync(now_ms())
            for _ in range(2):
                await shown_anew(client, feed, numbers)
            assert await samples(client, began - MINUTE, began + 10 * MINUTE) >= before + 2
        found = await view(client)
        assert found is not None
        assert abs(found[0].as_of_ms - now_ms()) < 5_000
    finally:
        await process.kill()
    after = await records(client, CONGESTION_MINUTES)
    assert {start: after.get(start) for start in kept} == kept
    assert max(after) <= now_ms() // 1000

"""What the code of before left is taken over whole and once, killed or not; what is newer is left alone."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import struct
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from local_run.valkey import EmbeddedValkey
from mempool.records import unpack
from shared import domains, layouts, records, redis
from shared.bands import FEERATE_BOUNDS, VALUE_BOUNDS
from shared.packing import Layout
from shared.records import Congestion, Flow
from shared.series import (
    CHAIN_SERIES,
    CONGESTION_HOURS,
    CONGESTION_MINUTES,
    FLOW_10S,
    FLOW_HOURS,
    FLOW_MINUTES,
    MEMPOOL_SERIES,
    Series,
    segments_of,
)
from support.mempool_feed import KEYS, RECORDED, Feed, Process, added, restore_recorded, serving, view
from support.mempool_feed import records as stored
from support.stack import until

OLD_BOUNDS = (
    0, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 125, 150, 175, 200,
    250, 300, 350, 400, 500, 600, 700, 800, 900, 1000, 1200, 1400, 1600, 1800, 2000,
)  # fmt: skip
OLD_FLOW = struct.Struct("<2I3Q")
OLD_CONGESTION = struct.Struct("<2I2Qd44Q")
FLOWS = (FLOW_10S, FLOW_MINUTES, FLOW_HOURS)
CONGESTIONS = (CONGESTION_MINUTES, CONGESTION_HOURS)
FIRST, LAST = 1_760_000_000 - 86_400, 1_760_000_000 + 86_400


def old(series: Series[Any], layout: struct.Struct) -> Iterator[tuple[int, tuple[float, ...]]]:
    """The records of a series as they lie in the recording, by the start of their span."""
    recorded = json.loads(gzip.decompress(RECORDED.read_bytes()))
    head = KEYS.series("mempool", series.name, 0)[:-1]
    for key, found in recorded.items():
        if key.startswith(head):
            raw = base64.b64decode(found["value"])
            assert len(raw) == series.segment * layout.size
            for place in range(series.segment):
                if (values := layout.unpack_from(raw, place * layout.size))[0]:
                    yield (int(key.removeprefix(head)) * series.segment + place) * series.step, values


async def holds_all_that_was_recorded(client: redis.Client) -> None:
    """Every figure of every record, and every transaction."""
    for series in FLOWS:
        expected = {start: Flow(int(count), *map(int, sums)) for start, (count, _, *sums) in old(series, OLD_FLOW)}
        assert len(expected) >= 2
        assert await stored(client, series, FIRST, LAST) == expected
    for waiting in CONGESTIONS:
        found = await stored(client, waiting, FIRST, LAST)
        before = dict(old(waiting, OLD_CONGESTION))
        assert found.keys() == before.keys()
        assert len(before) >= 2
        for start, (samples, _, count, fee, min_fee_rate, *bands) in before.items():
            record = found[start]
            assert record[:4] == (samples, count, fee, min_fee_rate)
            told = {bound: vsize for bound, vsize in zip(FEERATE_BOUNDS, record.bands, strict=True) if vsize}
            assert told == {bound: vsize for bound, vsize in zip(OLD_BOUNDS, bands, strict=True) if vsize}
    recorded = json.loads(gzip.decompress(RECORDED.read_bytes()))[KEYS.state(domains.MEMPOOL)]["value"]
    expected_state = {base64.b64decode(txid): base64.b64decode(raw) for txid, raw in recorded.items()}
    state = await client.hgetall(KEYS.state(domains.MEMPOOL))
    assert {txid: state.get(txid) for txid in expected_state} == expected_state


async def converted(client: redis.Client) -> bool:
    """Whether what is stored is of today, all of it or nothing of it."""
    there = await segments_of(client, KEYS, "mempool")
    each = [(name, segment) for name, segments in there.items() for segment in segments]
    pipeline = client.pipeline(transaction=True)  # one moment
    pipeline.hgetall(KEYS.series_layouts("mempool"))
    for name, segment in each:
        pipeline.strlen(KEYS.series("mempool", name, segment))
    said, *lengths = await pipeline.execute()
    sizes = {series.name: set[int]() for series in MEMPOOL_SERIES}
    for (name, _), length in zip(each, lengths, strict=True):
        sizes[name].add(length)
    was = {series.name: {series.segment * OLD_FLOW.size} for series in FLOWS}
    was |= {series.name: {series.segment * OLD_CONGESTION.size} for series in CONGESTIONS}
    if not said:
        assert sizes == was
        return False
    assert said == {series.name.encode(): b"2" for series in MEMPOOL_SERIES}
    assert sizes == {series.name: {series.segment * series.layout.width} for series in MEMPOOL_SERIES}
    return True


async def goes_on(client: redis.Client) -> None:
    """The service takes up what follows, in all of today's bands."""
    feed = Feed(client)
    for raw in (await client.hgetall(KEYS.state(domains.MEMPOOL))).values():
        tx, _ = unpack(raw)
        feed.sums = [feed.sums[0] + 1, feed.sums[1] + tx.vsize, feed.sums[2] + tx.fee]
    now = time.time_ns() // 1_000_000
    fine = added(1, now // 1000, rate=0.35, vsize=1_000)
    await feed.tell(feed.synced(now), fine)
    await feed.sync(now + 10)
    await feed.folded()

    async def looked() -> dict[int, Congestion]:
        found = await stored(client, CONGESTION_MINUTES, now // 1000 - 60, now // 1000 + 120)
        return {start: one for start, one in found.items() if one.bands[FEERATE_BOUNDS.index(0.3)] >= 1_000}

    assert await until(looked, 10, "the new transaction is in its band")
    shown = await view(client)
    assert shown is not None
    assert (shown[0].count, shown[0].vsize, shown[0].total_fee) == tuple(feed.sums)


async def test_what_was_recorded_is_read_by_todays_service(valkey: EmbeddedValkey, client: redis.Client) -> None:
    await restore_recorded(client)
    async with serving(valkey.url):
        await until(lambda: converted(client), 10, "the series are converted")
        await holds_all_that_was_recorded(client)
        await goes_on(client)
        await holds_all_that_was_recorded(client)
    async with serving(valkey.url):  # and once more, as by any restart
        await until(lambda: client.exists(KEYS.lease("mempool", "mempool")), 10, "it runs again")
    await holds_all_that_was_recorded(client)
    assert await client.hget(KEYS.checkpoint(domains.MEMPOOL), layouts.LAYOUT) == b"1"


async def test_killed_anywhere_on_the_way_it_goes_on(
    valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path
) -> None:
    await restore_recorded(client)
    process = Process(valkey.url, tmp_path)
    outcomes = []
    for number in range(8):
        await process.start()
        try:
            restored = process.log().count("fold_restored")
            if number % 2:

                async def begun(before: int = restored) -> bool:
                    return process.log().count("fold_restored") > before

                await until(begun, 20, "it has read what is stored")
            else:
                await asyncio.sleep(0.1 * number)
        finally:
            await process.kill()
        outcomes.append(await converted(client))
        if outcomes[-1]:
            await holds_all_that_was_recorded(client)
    assert outcomes == sorted(outcomes)  # what is converted stays so
    async with serving(valkey.url):
        await until(lambda: converted(client), 10, "the series are converted")
        await goes_on(client)
    await holds_all_that_was_recorded(client)


@pytest.mark.parametrize("what", ["series", "state"])
async def test_what_is_newer_is_neither_read_nor_changed(
    valkey: EmbeddedValkey, client: redis.Client, what: str
) -> None:
    await restore_recorded(client)
    if what == "series":
        await client.hset(KEYS.series_layouts("mempool"), CONGESTION_HOURS.name, "3")
    else:
        await client.hset(KEYS.checkpoint(domains.MEMPOOL), layouts.LAYOUT, "2")
    stands = [
        KEYS.lease("mempool", "mempool"),
        KEYS.fence("mempool", "mempool"),
        KEYS.stream(domains.TXS),
        KEYS.producer(domains.TXS),
    ]

    async def everything() -> dict[bytes, bytes]:
        keys = [key for key in await client.keys("*mempool}*") if key.decode() not in stands]
        return {key: await client.dump(key) for key in sorted(keys)}

    before = await everything()
    async with serving(valkey.url) as service:

        async def told() -> bool:
            return "layout" in service.health.reason

        await until(told, 10, "it says why it waits")
        assert service.health.state == "degraded"
        assert "is stored in layout" in service.health.reason
        assert "until the newer version runs again" in service.health.reason
        assert await client.exists(KEYS.lease("mempool", "mempool")) == 0  # which a newer replica may have
        assert await everything() == before
        if what == "series":  # the newer version was wrong about it, say: then all is well without a restart
            await client.hdel(KEYS.series_layouts("mempool"), CONGESTION_HOURS.name)
            await until(lambda: converted(client), 15, "it goes on")


PINNED = {
    "header.1": "ef44c1e8",
    "block.1": "f55f4c11",
    "bucket.1": "adab51b1",
    "flow.2": "908ff890",
    "congestion.2": "2137dfca",
}


RECORDS: dict[str, tuple[Layout[Any], tuple[str, ...], tuple[float, ...]]] = {
    "header": (records.HEADER, records.Header._fields, ()),
    "block": (records.BLOCK, records.Block._fields, VALUE_BOUNDS),
    "bucket": (records.BUCKET, records.Bucket._fields, VALUE_BOUNDS),
    "flow": (records.FLOW, Flow._fields, ()),
    "congestion": (records.CONGESTION, Congestion._fields, FEERATE_BOUNDS),
}


def fingerprints() -> dict[str, str]:
    """What the bytes of each record mean, by its layout and version."""
    return {
        f"{name}.{layout.version}": sha256(repr((fields, layout.width, bands)).encode()).hexdigest()[:8]
        for name, (layout, fields, bands) in RECORDS.items()
    }


def test_whoever_changes_a_record_gives_it_a_new_version() -> None:
    """Fields, widths or bands changed: raise the layout's version, give the old one as `before`, and pin it here."""
    assert fingerprints() == PINNED
    assert {series.layout.version for series in CHAIN_SERIES} == {1}

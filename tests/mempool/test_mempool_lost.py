"""The past in Redis loses a key, whichever: the service that runs writes it anew, and nothing of it is missing."""

from __future__ import annotations

import random
import time

import pytest

from local_run.valkey import EmbeddedValkey
from shared import redis, watch
from shared.errors import UnknownLayout
from shared.events.mempool import MempoolReset
from shared.series import MEMPOOL_SERIES
from support.mempool_feed import KEYS, Feed, added, records, serving
from support.stack import until


async def everything(client: redis.Client) -> dict[str, dict[int, object]]:
    return {series.name: await records(client, series) for series in MEMPOOL_SERIES}


async def test_any_key_of_the_series_that_is_lost_is_written_anew(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.1)
    monkeypatch.setattr(watch, "AT_ONCE", 2)  # each series has its turn
    chance = random.Random(4)
    feed = Feed(client)
    now = time.time_ns() // 1_000_000
    async with serving(valkey.url):
        await feed.tell(MempoolReset(cause="test", node="main"), feed.synced(now))
        await feed.tell(*(added(number, now // 1000) for number in range(50)))
        await feed.sync(now)
        await feed.folded()

        async def looked() -> bool:
            return all((await everything(client)).values())

        await until(looked, 8, "all series have records")
        keys = sorted(key for key in await client.keys("*mempool}:series*"))
        assert len(keys) == len(MEMPOOL_SERIES) + 2
        for key in keys:
            flows = {name: found for name, found in (await everything(client)).items() if name.startswith("flow")}
            if chance.random() < 0.3 and b":series:" in key:
                await client.set(key, b"short")
            else:
                await client.delete(key)
            await feed.tell(added(100 + keys.index(key), now // 1000 - 900))  # no inflow: too old
            await feed.sync(now)

            async def back(wanted: dict[str, dict[int, object]] = flows) -> bool:
                try:
                    found = await everything(client)
                except UnknownLayout:
                    return False
                return {name: found[name] for name in wanted} == wanted and all(found.values())

            await until(back, 8, f"{key.decode()} is whole again")
            await until(lambda: client.scard(KEYS.series_index("mempool")), 8, "the index names the segments")

        async def told() -> bool:
            kinds = [fields[b"type"] for _, fields in await client.xrange(KEYS.ops)]
            return kinds.count(b"gap.detected") == kinds.count(b"gap.repaired") > 0

        await until(told, 8, "operators are told")
    assert await client.scard(KEYS.series_index("mempool")) == len(MEMPOOL_SERIES)
    assert await client.hlen(KEYS.series_layouts("mempool")) == len(MEMPOOL_SERIES)


async def test_what_is_lost_is_there_again_before_long(valkey: EmbeddedValkey, client: redis.Client) -> None:
    """At the pace of operation: a restart that comes first would make it a loss for good."""
    feed = Feed(client)
    now = time.time_ns() // 1_000_000
    async with serving(valkey.url):
        await feed.tell(MempoolReset(cause="test", node="main"), feed.synced(now))
        await feed.tell(*(added(number, now // 1000) for number in range(50)))
        await feed.sync(now)
        await feed.folded()
        [key] = await until(lambda: client.keys("*mempool}:series:flow-hours:*"), 8, "there are records")
        before = await client.get(key)
        await client.delete(key)

        async def back() -> bool:
            return bool(await client.get(key) == before)

        await until(back, 6, "the segment is whole again")

"""Redis loses a key, whichever: the service that runs writes it anew; one that starts shows nothing that is not so."""

from __future__ import annotations

import random
import time

import pytest

from local_run.valkey import EmbeddedValkey
from shared import domains, redis, watch
from shared.errors import UnknownLayout
from shared.events.mempool import MempoolBlock, MempoolReset, TxRemoved
from shared.series import MEMPOOL_SERIES
from support.mempool_feed import KEYS, Feed, added, records, serving, view
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
            kinds = [fields[b"type"] for _, fields in await client.xrange(KEYS.stream(domains.OPS))]
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


async def filled(client: redis.Client) -> Feed:
    """A mempool of 50 transactions that is shown."""
    feed = Feed(client)
    now = time.time_ns() // 1_000_000
    await feed.tell(MempoolReset(cause="test", node="main"), *(added(number, now // 1000) for number in range(50)))
    await feed.sync(now)
    await feed.folded()
    await until(lambda: view(client), 8, "it is shown")
    return feed


@pytest.mark.parametrize("lost", [KEYS.state(domains.MEMPOOL), KEYS.views(domains.MEMPOOL), "part of the state"])
async def test_what_is_lost_of_the_mempool_is_written_anew(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.1)
    async with serving(valkey.url):
        await filled(client)
        before = await client.hgetall(KEYS.state(domains.MEMPOOL))
        synced = await client.hget(KEYS.checkpoint(domains.MEMPOOL), "synced")
        if lost.startswith("part"):
            assert await client.hdel(KEYS.state(domains.MEMPOOL), *list(before)[:3]) == 3
        else:
            assert await client.delete(lost) == 1

        async def back() -> bool:
            return await client.hgetall(KEYS.state(domains.MEMPOOL)) == before and await view(client) is not None

        await until(back, 8, f"{lost} is whole again")
        assert await client.hget(KEYS.checkpoint(domains.MEMPOOL), "synced") == synced
        assert not await client.exists(KEYS.resync(domains.TXS))
    assert len(before) == 50


async def test_what_was_expected_in_blocks_is_written_anew(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.1)
    async with serving(valkey.url):
        feed = await filled(client)
        first = added(3, 0).txid
        told = TxRemoved(txid=first, reason="block", block="ab" * 32)
        await feed.tell(MempoolBlock(block="ab" * 32, tx_count=2, waiting=1, unseen=[]), told)
        await feed.tell(MempoolBlock(block="cd" * 32, tx_count=3, waiting=2, unseen=[]))  # its removals are to come
        await feed.folded()
        before = await client.hgetall(KEYS.mempool_expected)
        assert before.keys() == {bytes.fromhex("ab" * 32), b"since", b"pending"}
        for lost in ("all", "a block"):
            if lost == "all":
                await client.delete(KEYS.mempool_expected)
            else:
                await client.hdel(KEYS.mempool_expected, bytes.fromhex("ab" * 32))

            async def back() -> bool:
                return bool(await client.hgetall(KEYS.mempool_expected) == before)

            await until(back, 8, f"{lost} is there again")


@pytest.mark.parametrize("left", [0, 47])
async def test_a_mempool_that_is_not_whole_is_not_shown_after_a_restart(
    valkey: EmbeddedValkey, client: redis.Client, left: int
) -> None:
    async with serving(valkey.url):
        feed = await filled(client)
    shown = await client.hgetall(KEYS.views(domains.MEMPOOL))
    txids = list(await client.hgetall(KEYS.state(domains.MEMPOOL)))
    assert await client.hdel(KEYS.state(domains.MEMPOOL), *txids[left:]) == 50 - left
    async with serving(valkey.url):
        await until(lambda: client.exists(KEYS.resync(domains.TXS)), 8, "the mempool is asked for anew")
        assert await client.hgetall(KEYS.views(domains.MEMPOOL)) == shown
    async with serving(valkey.url):  # killed before it was answered
        await until(lambda: client.exists(KEYS.resync(domains.TXS)), 8, "the request stands")
        now = time.time_ns() // 1_000_000
        await client.delete(KEYS.resync(domains.TXS))
        await feed.tell(MempoolReset(cause="test", node="main"), *(added(number, now // 1000) for number in range(60)))
        await feed.sync(now)
        await feed.folded()
        assert await client.hlen(KEYS.state(domains.MEMPOOL)) == 60

        async def told() -> bool:
            found = await view(client)
            assert found is not None
            assert found[0].count in {50, 60}
            return found[0].count == 60

        await until(told, 8, "all of it is shown")

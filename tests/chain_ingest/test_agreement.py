"""When the node confirms what is published: about every 2 s while that is true, and never otherwise."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chain_ingest import agreement
from chain_ingest.snapshots import Snapshots
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from support.feed import KEYS, feeding, mempool, tip
from support.spending import Built, build, chain, fan_out, mine, mined_coins, send
from support.stack import until


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path / "node") as it:
        yield it


async def test_while_nothing_happens_the_moment_goes_on(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    await mine(node, 3)
    async with feeding(node, valkey) as feed:
        for _ in range(3):
            await feed.agrees(limit=6)
        for domain, stream in (("chain", KEYS.stream(domains.BLOCKS)), ("mempool", KEYS.stream(domains.TXS))):
            seq, time_ms, incomplete = await feed.confirmed(domain)
            assert (seq, incomplete) == (len(await feed.entries(stream)), "")
            assert await feed.now_ms() - time_ms < 5_000
        assert feed.health.state == "ok"
        assert (await feed.kinds(KEYS.stream(domains.TXS))).count("mempool.synced") == 1  # nothing new was to be told


async def test_a_busy_mempool_is_confirmed_as_exactly(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """At no moment are both equal, yet the stream passes through what the node said."""
    coins = await fan_out(node, await mined_coins(node, 1), 400)
    transactions = [built for coin in coins for built in chain(coin, 20, [3, 20, 7])]
    ages: list[int] = []
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        sending = asyncio.create_task(send_evenly(node, transactions, 14))
        while not sending.done():
            ages.append(await feed.now_ms() - (await feed.confirmed("mempool"))[1])
            await asyncio.sleep(0.05)
        await sending
        assert max(ages) < 10_000
        await feed.agrees()
        entries = await feed.entries(KEYS.stream(domains.TXS))
        assert mempool(entries) == {built.txid for built in transactions}
        busy = [data["tx_count"] for _, kind, data in entries if kind == "mempool.synced"]
        assert any(0 < count < len(transactions) for count in busy), "one of them was told in the middle of it"
        assert feed.health.details["repairs"] == 0


async def send_evenly(node: RegtestNode, transactions: list[Built], seconds: float) -> None:
    """Two at a time, so that some are on their way always; the whole of it in so many seconds at least."""
    began, count = time.monotonic(), len(transactions)
    for start in range(0, count, 2):
        await send(node, transactions[start : start + 2])
        await asyncio.sleep(max(0.0, began + seconds * start / count - time.monotonic()))


async def test_nothing_is_confirmed_while_the_node_hangs(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    await mine(node)
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        os.kill(node.pid, signal.SIGSTOP)
        try:
            await feed.says("node main has not answered for", 10)
            before = [await feed.confirmed(domain) for domain in ("chain", "mempool")]
            said = feed.health.reason

            async def said_again() -> bool:
                return feed.health.reason != said and "has not answered for" in feed.health.reason

            await until(said_again, 15, "it is asked again, and said again")
            assert [await feed.confirmed(domain) for domain in ("chain", "mempool")] == before
        finally:
            os.kill(node.pid, signal.SIGCONT)
        await feed.agrees()
        assert feed.health.state == "ok"


async def test_silence_is_counted_from_what_came_last(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long snapshot is no silence: what was read at such pains is not thrown away for one answer that is late."""
    monkeypatch.setattr(agreement, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(agreement, "SILENT_SECONDS", 4.0)
    coins = await fan_out(node, await mined_coins(node, 1), 50)
    await send(node, [built for coin in coins for built in chain(coin, 20, [3, 20])])
    taken, hung = 0, asyncio.Event()
    take = Snapshots.take

    async def hang(seconds: float) -> None:
        os.kill(node.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(node.pid, signal.SIGCONT)

    async def slow(snapshots: Snapshots, *arguments: Any, **more: Any) -> None:
        nonlocal taken
        taken += 1
        await asyncio.gather(take(snapshots, *arguments, **more), hang(5.0) if taken == 1 else asyncio.sleep(0))
        os.kill(node.pid, signal.SIGSTOP)  # until it was said that an answer is late
        hung.set()

    monkeypatch.setattr(Snapshots, "take", slow)
    try:
        async with feeding(node, valkey) as feed:
            await asyncio.wait_for(hung.wait(), 20)
            await feed.says("node main has not answered for 1 s", 10)
            os.kill(node.pid, signal.SIGCONT)
            await feed.agrees()
            assert taken == 1
            assert await feed.kinds(KEYS.stream(domains.OPS)) == ["node.changed"]
    finally:
        os.kill(node.pid, signal.SIGCONT)


async def test_the_least_feerate_is_told_as_soon_as_it_rises(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """All figures of `mempool.synced` are of one moment, and that moment is seldom more than 2 s ago."""
    async with RegtestNode(tmp_path / "node", extra=["-maxmempool=5"]) as node:
        coins = await fan_out(node, await mined_coins(node, 5), 300)
        async with feeding(node, valkey) as feed:
            await feed.agrees()
            floor = float((await node.rpc("getmempoolinfo"))["mempoolminfee"])
            lagging: float | None = None
            size = build([coins[0]], [330] * 2_200).vsize
            for number, coin in enumerate(coins):
                await send(node, [build([coin], [(coin.value - size * (2 + number)) // 2_200] * 2_200)])
                info = await node.rpc("getmempoolinfo")
                if float(info["mempoolminfee"]) > floor:
                    lagging = float(info["mempoolminfee"])
                    break
            assert lagging is not None, "the mempool is full"
            rate = lagging * 100_000

            async def told() -> bool:
                synced = [
                    data for _, kind, data in await feed.entries(KEYS.stream(domains.TXS)) if kind == "mempool.synced"
                ]
                return bool(abs(synced[-1]["min_fee_rate"] - rate) < rate / 100)

            await until(told, 6, "the new least feerate is told")
            mempool(await feed.entries(KEYS.stream(domains.TXS)))


async def test_a_block_that_no_hint_tells_is_found(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """The look at the node finds it within two pulses; with ZMQ silent, within one."""
    await mine(node)
    async with feeding(node, valkey, MAIN_ZMQ_URLS="") as feed:
        await feed.agrees()
        [block_hash] = await mine(node)

        async def there() -> bool:
            return tip(await feed.entries(KEYS.stream(domains.BLOCKS))) == block_hash

        await until(there, 6, "the block is published")
        await feed.agrees()


async def test_without_zmq_a_difference_is_polling(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """Nothing was missed, so nothing is announced and nothing counted."""
    coins = await fan_out(node, await mined_coins(node, 1), 3)
    async with feeding(node, valkey, MAIN_ZMQ_URLS="") as feed:
        await feed.agrees()
        for coin in coins:
            [built] = chain(coin, 1, [5])
            await send(node, [built])

            async def there(txid: str = built.txid) -> bool:
                return txid in mempool(await feed.entries(KEYS.stream(domains.TXS)))

            await until(there, 10, "the transaction is published")
            await feed.agrees()
        assert "gap.detected" not in await feed.kinds(KEYS.stream(domains.OPS))
        assert feed.health.details["repairs"] == 0
        assert "MAIN_ZMQ_URLS is not set" in feed.health.reason

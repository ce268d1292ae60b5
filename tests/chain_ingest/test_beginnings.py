"""New beginnings: the chain's waits for no mempool, the mempool's is followed by all of it, each is told once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from chain_ingest import app
from chain_ingest.answers import MempoolInfo
from chain_ingest.node import Node
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.bus import Producer
from shared.domains import FOLDS
from shared.tasks import end
from support.feed import KEYS, Feed, feeding, mempool
from support.spending import chain, fan_out, mine, mined_coins, send
from support.stack import until


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain_ingest.follow.COMPARE_SECONDS", 0.2)


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[RegtestNode]:
    """30 transactions wait."""
    async with RegtestNode(tmp_path / "node") as it:
        coins = await fan_out(it, await mined_coins(it, 1), 6)
        await send(it, [built for coin in coins for built in chain(coin, 5, [3, 20])])
        yield it


@contextlib.asynccontextmanager
async def again_and_again(what: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    async def forever() -> None:
        while True:
            await what()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        await end(task)


async def told(feed: Feed, words: str) -> int:
    """How often an operator was told of a gap with these words."""
    found = await feed.redis.xrange(KEYS.stream(domains.OPS))
    gaps = [msgspec.json.decode(f[b"data"])["detail"] for _, f in found if f[b"type"] == b"gap.detected"]
    return sum(words in detail for detail in gaps)


async def test_a_mempool_that_begins_anew_waits_for_nothing(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A difference that stays is read anew ever more seldom; readers that have nothing cannot wait so long."""
    truly = Node.mempool_info

    async def odd(self: Node) -> MempoolInfo:
        info = await truly(self)
        info.bytes += 1
        return info

    async with feeding(node, valkey) as feed:
        await feed.agrees()
        monkeypatch.setattr(Node, "mempool_info", odd)

        async def repeated() -> bool:
            return feed.health.details["repeats"] == 3

        await until(repeated, 40, "it was read anew four times, so that the next time is 8 s away")
        before = len(await feed.entries(KEYS.stream(domains.TXS)))
        await client.set(KEYS.resync(domains.TXS), "a test asks")

        async def begun() -> bool:
            return "mempool.reset" in await feed.kinds(KEYS.stream(domains.TXS), before)

        await until(begun, 5, "the mempool begins anew")
        began = time.monotonic()

        async def whole() -> bool:
            return len(mempool(await feed.entries(KEYS.stream(domains.TXS)))) == 30

        await until(whole, 20, "all of it is published again")
        assert time.monotonic() - began < 3


async def test_a_loss_that_comes_again_and_again_is_told_once(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """As of a server that evicts: the stream begins anew ever more seldom, and is nothing new meanwhile."""
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        async with again_and_again(lambda: client.delete(KEYS.published(domains.BLOCKS))):

            async def three_times() -> bool:
                return (await feed.kinds(KEYS.stream(domains.BLOCKS))).count("headers.loaded") == 4

            await until(three_times, 30, "the chain began anew three times")
        await feed.agrees(limit=40)
        assert await told(feed, f"{KEYS.published(domains.BLOCKS)} holds 0 blocks") == 1


async def test_entries_that_are_cut_unread_are_told_once(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "TRIM_SECONDS", 0.1)
    monkeypatch.setattr(app, "STREAM_CAP", 2)
    await client.xgroup_create(
        KEYS.stream(domains.BLOCKS), min(FOLDS), "0", mkstream=True
    )  # a fold that is not running
    trims = 0
    cut = Producer.trim

    async def counted(producer: Producer, keep: int, cap: int) -> int:
        nonlocal trims
        lost = await cut(producer, keep, cap)
        trims += lost > 0
        return lost

    monkeypatch.setattr(Producer, "trim", counted)
    async with feeding(node, valkey) as feed:

        async def often() -> bool:
            return trims >= 5

        for _ in range(5):
            await mine(node)
            await feed.agrees()
        await until(often, 10, "unread entries were cut several times")
        assert await told(feed, "cut that a group had not read") == 1

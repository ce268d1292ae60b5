"""Self-healing pauses: what does not agree, however often it is mended, is told once and mended ever more seldom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chain_ingest.answers import MempoolInfo
from chain_ingest.block import AppliedBlock
from chain_ingest.hints import Hint, Hints
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.bus import Producer
from shared.errors import RpcUnreachable
from shared.keys import Keys
from shared.lease import Lease
from shared.rpc import RpcClient
from shared.tasks import end
from support.feed import KEYS, feeding
from support.spending import build, fan_out, mine, mined_coins, send
from support.stack import until


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path / "node") as it:
        await mine(it, 2)
        yield it


async def test_a_mismatch_that_stays_is_announced_once(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a node whose own totals do not add up."""
    told = Node.mempool_info

    async def odd(self: Node) -> MempoolInfo:
        info = await told(self)
        info.bytes += 1
        return info

    async with feeding(node, valkey) as feed:
        await feed.agrees()
        monkeypatch.setattr(Node, "mempool_info", odd)
        await feed.says("the mempool differs")
        began = time.monotonic()

        async def repeated() -> bool:
            return feed.health.details["repeats"] == 3

        await until(repeated, 40, "it was read anew four times")
        assert time.monotonic() - began > 6  # after 1, 2 and 4 s
        assert feed.health.details["repairs"] == 4
        assert (await feed.kinds(KEYS.stream(domains.OPS))).count("gap.detected") == 1
        was = await feed.confirmed("mempool")
        await feed.agrees("chain")
        assert await feed.confirmed("mempool") == was
        await feed.says("to be read anew in")
        monkeypatch.setattr(Node, "mempool_info", told)
        await feed.agrees(limit=40)


async def test_a_request_again_and_again_is_served_at_growing_intervals(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain_ingest.follow.COMPARE_SECONDS", 0.1)  # how often the request is looked at
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        asking = asyncio.create_task(ask(client))
        try:

            async def begun() -> bool:
                kinds = await feed.kinds(KEYS.stream(domains.BLOCKS)) + await feed.kinds(KEYS.stream(domains.TXS))
                return kinds.count("headers.loaded") >= 4 and kinds.count("mempool.reset") >= 4

            began = time.monotonic()
            await until(begun, 30, "three beginnings were asked for and made")
            assert time.monotonic() - began > 5  # the first at once, then after 2 and 4 s
            await until(lambda: client.exists(KEYS.resync(domains.BLOCKS)), 5, "a request stands until it is served")
        finally:
            await end(asking)


async def ask(client: redis.Client) -> None:
    while True:
        await client.set(KEYS.resync(domains.BLOCKS), "a test asks")
        await client.set(KEYS.resync(domains.TXS), "a test asks")
        await asyncio.sleep(0.05)


async def test_what_was_half_built_when_the_node_failed_is_not_published(
    node: RegtestNode, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next node need not have it; the block that it does have is told meanwhile."""
    keys = Keys("regtest")
    coins = await fan_out(node, await mined_coins(node, 1), 3)
    known, fresh, later = (build([coin], [coin.value - 500]) for coin in coins)
    await send(node, [known])
    lease = Lease(client, keys.lease("mempool", "chain-ingest"), keys.fence("mempool", "chain-ingest"))
    assert await lease.try_acquire()
    producer = Producer(client, lease, keys.stream(domains.TXS), keys.producer(domains.TXS), keys.confirmed("mempool"))
    follower = MempoolFollower(client, keys, producer)

    async def beside(done: int, total: int) -> None:
        assert done <= total

    async def fails(self: Node) -> MempoolInfo:
        raise RpcUnreachable("the node is gone just now")

    async with RpcClient(node.settings()) as rpc:
        reader = Node(rpc)
        await follower.load()
        contents = await reader.mempool()
        await follower.snapshot(reader, contents, beside)
        await send(node, [fresh, later])
        next_one = contents.mempool_sequence
        batch = [
            Hint("A", fresh.txid, next_one),
            Hint("R", known.txid, next_one + 1),
            Hint("A", later.txid, next_one + 2),  # makes it look whether the mempool is full
        ]
        hints = Hints(())
        with monkeypatch.context() as patch:
            patch.setattr(Node, "mempool_info", fails)
            with pytest.raises(RpcUnreachable):
                await follower.handle(reader, hints, batch)
        hints.close()
        await follower.apply_block(reader, AppliedBlock("00" * 32, ["11" * 32], {}))
    kinds = [fields[b"type"].decode() for _, fields in await client.xrange(keys.stream(domains.TXS))]
    assert kinds == ["mempool.reset", "tx.added"]

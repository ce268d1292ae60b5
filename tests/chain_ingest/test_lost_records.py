"""Any one key of chain-ingest may go, at any time: it is noticed, told, and made again without a person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.keys import Keys
from support.feed import KEYS, Feed, feeding, mempool, tip
from support.spending import Built, chain, fan_out, mine, mined_coins, send
from support.stack import until


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path / "node") as it:
        yield it


async def sends(node: RegtestNode) -> list[Built]:
    coins = await fan_out(node, await mined_coins(node, 1), 6)
    return [built for coin in coins for built in chain(coin, 5, [3, 20])]


async def add_up(feed: Feed) -> bool:
    """Both streams, from their last beginnings on, add up to what the node has."""
    try:
        transactions, blocks = (
            mempool(await feed.entries(KEYS.stream(domains.TXS))),
            tip(await feed.entries(KEYS.stream(domains.BLOCKS))),
        )
    except (AssertionError, KeyError, ValueError):
        return False
    if transactions != set(await feed.node.rpc("getrawmempool")):
        return False
    return bool(blocks == await feed.node.rpc("getbestblockhash"))


LOSSES: dict[str, Callable[[Keys], str]] = {
    "blocks": lambda keys: keys.stream(domains.BLOCKS),
    "chain-producer": lambda keys: keys.producer(domains.BLOCKS),
    "chain-published": lambda keys: keys.published(domains.BLOCKS),
    "chain-confirmed": lambda keys: keys.confirmed("chain"),
    "chain-lease": lambda keys: keys.lease("chain", "chain-ingest"),
    "txs": lambda keys: keys.stream(domains.TXS),
    "mempool-producer": lambda keys: keys.producer(domains.TXS),
    "mempool-published": lambda keys: keys.published(domains.TXS),
    "mempool-confirmed": lambda keys: keys.confirmed("mempool"),
    "mempool-lease": lambda keys: keys.lease("mempool", "chain-ingest"),
}


@pytest.mark.parametrize("lost", LOSSES)
async def test_a_key_goes_while_we_run(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr("chain_ingest.follow.COMPARE_SECONDS", 1.0)
    transactions = await sends(node)
    await send(node, transactions[:10])
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        assert await add_up(feed)
        await client.delete(LOSSES[lost](KEYS))
        await send(node, transactions[10:20])
        if lost not in {"chain-confirmed", "chain-lease", "mempool-confirmed", "mempool-lease"}:

            async def told() -> bool:  # with no block or transaction that would need the record
                back = await client.exists(LOSSES[lost](KEYS))
                return bool(back) and "gap.detected" in await feed.kinds(KEYS.stream(domains.OPS))

            await until(told, 20, "it is told that something is gone")
        await mine(node)
        await send(node, transactions[20:])
        await until(lambda: add_up(feed), 30, "the streams add up to what the node has")
        await feed.agrees(limit=30)


@pytest.mark.parametrize("lost", LOSSES)
async def test_a_key_goes_while_we_are_away(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, lost: str
) -> None:
    transactions = await sends(node)
    await send(node, transactions[:10])
    async with feeding(node, valkey) as feed:
        await feed.agrees()
    await client.delete(LOSSES[lost](KEYS))
    await send(node, transactions[10:])
    async with feeding(node, valkey) as feed:
        await until(lambda: add_up(feed), 30, "the streams add up to what the node has")
        await feed.agrees(limit=30)


async def test_single_transactions_go_from_the_record(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a hand: the key is there, and holds less than it should."""
    monkeypatch.setattr("chain_ingest.follow.COMPARE_SECONDS", 1.0)
    transactions = await sends(node)
    await send(node, transactions)
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        await client.hdel(KEYS.published(domains.TXS), bytes.fromhex(transactions[3].txid))

        async def begun_anew() -> bool:
            return (await feed.kinds(KEYS.stream(domains.TXS))).count("mempool.reset") == 2

        await until(begun_anew, 20, "the mempool begins anew")
        await until(lambda: add_up(feed), 20, "the stream adds up to what the node has")
        assert await client.hlen(KEYS.published(domains.TXS)) == len(transactions)


@pytest.mark.parametrize("layout", ["2", "none of ours"])
async def test_records_of_another_version_are_not_misread(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, layout: str
) -> None:
    """After a newer version was here: what it stored is left behind, and the mempool begins anew."""
    transactions = await sends(node)
    await send(node, transactions[:10])
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        before = len(await feed.entries(KEYS.stream(domains.TXS)))
    await client.hset(KEYS.producer(domains.TXS), "layout", layout)
    for txid in await client.hkeys(KEYS.published(domains.TXS)):
        await client.hset(KEYS.published(domains.TXS), txid, b"\x02")
    await send(node, transactions[10:])
    async with feeding(node, valkey) as feed:
        await until(lambda: add_up(feed), 30, "the streams add up to what the node has")
        await feed.agrees(limit=30)
        assert (await feed.kinds(KEYS.stream(domains.TXS), before)).count("mempool.reset") == 1
    assert await client.hget(KEYS.producer(domains.TXS), "layout") == b"1"


async def test_records_of_the_time_before_layouts_are_read_on(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    await send(node, await sends(node))
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        before = len(await feed.entries(KEYS.stream(domains.TXS)))
    await client.hdel(KEYS.producer(domains.TXS), "layout")
    async with feeding(node, valkey) as feed:
        await feed.agrees()
        assert set(await feed.kinds(KEYS.stream(domains.TXS), before)) <= {"mempool.synced"}

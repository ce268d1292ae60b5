"""chain-ingest and the backfill while Redis refuses: they live, say what is wrong, and lose and double nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from chain_ingest.app import run as ingest
from chain_ingest.backfill.app import run as backfill
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis, trouble
from shared.keys import Keys
from shared.service import Service
from support import spending
from support.ledger import running, sequence
from support.stack import until
from support.standin_history import StandInHistory

KEYS = Keys("regtest")
HEIGHT = 160
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node")) as it:
        await spending.mine(it, HEIGHT)
        yield it


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "LONGEST_SECONDS", 0.5)


def says(it: Service, text: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return it.health.state == "degraded" and text in it.health.reason

    return look


def well(it: Service) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return it.health.state == "ok"

    return look


def published(client: redis.Client, height: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return bool(await client.hexists(KEYS.published(domains.BLOCKS), height))

    return look


async def test_chain_ingest_publishes_each_block_once_around_a_refusal(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    height = await node.rpc("getblockcount")
    async with running(server.url, ingest, "chain-ingest", **node.env()) as it:
        await until(published(connected, height), 20, "the chain is published")
        await connected.config_set("min-replicas-to-write", "1")
        try:
            await spending.mine(node, 1)
            await until(says(it, "min-replicas-to-write"), 20, "it is said")
        finally:
            await connected.config_set("min-replicas-to-write", "0")
        await until(published(connected, height + 1), 20, "the block is published")
        await until(well(it), 20, "all is well again")
        numbers = await sequence(connected, KEYS.stream(domains.BLOCKS))
        assert numbers == list(range(1, len(numbers) + 1))
        heights = await connected.hlen(KEYS.published(domains.BLOCKS))
        assert int(await connected.hget(KEYS.producer(domains.BLOCKS), "cursor")) == len(numbers)
        assert heights <= height + 2


@pytest.mark.parametrize(
    "key", [KEYS.stream(domains.BLOCKS), KEYS.published(domains.BLOCKS), KEYS.producer(domains.BLOCKS)]
)
async def test_chain_ingest_names_a_key_of_another_type(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, key: str
) -> None:
    height = await node.rpc("getblockcount")
    async with running(server.url, ingest, "chain-ingest", **node.env()) as it:
        await until(published(connected, height), 20, "the chain is published")
        async with connected.pipeline(transaction=True) as pipe:
            pipe.rename(key, "{regtest:chain}:aside")
            pipe.zadd(key, {"something else": 1})
            await pipe.execute()
        await spending.mine(node, 1)
        await until(says(it, key), 20, "the key is named")
        async with connected.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.rename("{regtest:chain}:aside", key)
            await pipe.execute()
        await until(published(connected, height + 1), 20, "the block is published")
        await until(well(it), 20, "all is well again")
        numbers = await sequence(connected, KEYS.stream(domains.BLOCKS))
        assert numbers == list(range(1, len(numbers) + 1))


async def test_the_backfill_waits_a_refusal_out(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    history = StandInHistory(connected, node, KEYS)
    await history.begin(first_header=100)
    await connected.config_set("min-replicas-to-write", "1")
    try:
        async with running(server.url, backfill, "backfill", **{**node.env(), "BACKFILL_LOAD": "100"}) as it:
            await until(says(it, "min-replicas-to-write"), 20, "it is said")
            await connected.config_set("min-replicas-to-write", "0")
            await history.finish()
            await until(well(it), 20, "all is well again")
    finally:
        await connected.config_set("min-replicas-to-write", "0")

"""Which of several nodes is followed: one that is not ready is held only where no other can be used."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chain_ingest import app, follow
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from support.feed import KEYS, Feed, feeding, tip
from support.spending import give, mine
from support.stack import until

DAY = 86_400


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "COMPARE_SECONDS", 0.5)
    monkeypatch.setattr(app, "RETRY_SECONDS", 0.1)


@pytest_asyncio.fixture
async def whole(tmp_path: Path) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path / "whole", mocktime=int(time.time()) - 90 * DAY) as it:
        await mine(it, 20)
        yield it


@pytest_asyncio.fixture
async def downloading(tmp_path: Path, whole: RegtestNode) -> AsyncIterator[RegtestNode]:
    """It has the headers of the whole one, and none of its blocks."""
    async with RegtestNode(tmp_path / "downloading") as it:
        for block_hash in await hashes(whole):
            await it.rpc("submitheader", await whole.rpc("getblockheader", block_hash, False))
        yield it


async def hashes(node: RegtestNode) -> list[str]:
    return [await node.rpc("getblockhash", height) for height in range(1, 21)]


def both(main: RegtestNode, spare: RegtestNode) -> dict[str, str]:
    return {**main.env("MAIN"), **spare.env("SPARE"), "NODES": "main,spare"}


async def uses(feed: Feed, name: str) -> None:
    async def so() -> bool:
        return feed.health.details.get("node") == name

    await until(so, 15, f"node {name} is used")


async def test_a_preferred_node_is_used_although_the_present_one_is_held(
    whole: RegtestNode, downloading: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """It was down at the first start, and what was begun with instead has days of download before it."""
    await whole.stop()
    async with feeding(downloading, valkey, **both(whole, downloading)) as feed:
        await feed.says("node spare is downloading the chain: 0 of 20 blocks")
        await whole.start()
        await uses(feed, "main")
        await feed.agrees()
        assert tip(await feed.entries(KEYS.stream(domains.BLOCKS))) == await whole.rpc("getbestblockhash")


async def test_a_node_that_is_not_ready_is_left_for_one_that_is(
    whole: RegtestNode, downloading: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with feeding(downloading, valkey, **both(downloading, whole)) as feed:
        await uses(feed, "spare")
        await feed.agrees()
        assert tip(await feed.entries(KEYS.stream(domains.BLOCKS))) == await whole.rpc("getbestblockhash")
        passed_over = str(feed.health.details["passed_over"])
        assert "node main is downloading the chain: 0 of 20 blocks" in passed_over or "behind" in passed_over
        await give(await hashes(whole), whole, downloading)
        await uses(feed, "main")
        await feed.agrees()
        assert "block.disconnected" not in await feed.kinds(KEYS.stream(domains.BLOCKS))


async def test_one_that_is_not_ready_is_held_where_no_other_is(
    whole: RegtestNode, downloading: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    await whole.stop()
    async with feeding(downloading, valkey, **both(downloading, whole)) as feed:
        await feed.says("node main is downloading the chain: 0 of 20 blocks")
        await whole.start()
        await uses(feed, "spare")
        await feed.agrees()

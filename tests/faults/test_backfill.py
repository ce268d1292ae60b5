"""The past is fetched while parts die and the chain changes: afterwards every series is the one of a fresh build."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local_run.node import RegtestNode
from shared import domains, redis
from shared.views import HistoryView
from support import check
from support.spending import OTHER_SCRIPT, chain, fan_out, mine, mined_coins, send
from support.stack import Stack, until

WORKERS = ("backfill", "backfill-2")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, full: bool) -> Path:
    """The folder of a stopped node with a chain, to copy."""
    folder = tmp_path_factory.mktemp("past") / "node"

    async def build() -> None:
        async with RegtestNode(folder) as node:
            coins = await fan_out(node, await mined_coins(node, 1), 60)
            for coin in coins[:30]:
                await send(node, chain(coin, 3, [10, 4, 25]))
                await mine(node)
            await mine(node, 3_000 if full else 500)
            for coin in coins[30:]:
                await send(node, chain(coin, 2, [7, 70]))
                await mine(node, 4)

    asyncio.run(build())
    return folder


@pytest.fixture
async def stack(past: Path, tmp_path: Path) -> AsyncIterator[Stack]:
    shutil.copytree(past, tmp_path / "node")
    async with Stack(tmp_path) as started:
        yield started


async def far_enough(stack: Stack, count: int) -> None:
    """Wait until so many blocks are measured."""

    async def enough() -> bool:
        try:
            view = await stack.view(HistoryView)
        except redis.LOST:
            return False
        return view is not None and view.measured >= count

    await until(enough, 60, f"{count} blocks are measured")


@pytest.mark.parametrize("victim", ["backfill", "chain-history", "redis", "node"])
async def test_a_kill_in_the_middle_leaves_no_trace(stack: Stack, tmp_path: Path, victim: str, full: bool) -> None:
    await stack.start(*check.LIVE)
    await stack.synced()
    for worker in WORKERS:
        await stack.start(worker, BACKFILL_LOAD="20", INSTANCE=worker)
    total = await stack.node.rpc("getblockcount")
    for part in (1, 2, 3) if full else (2,):
        await far_enough(stack, 150 + part * (total - 150) // 5)
        await check.kill(stack, victim, BACKFILL_LOAD="20", INSTANCE=victim)
    await check.equals_fresh_build(stack, tmp_path / "fresh")


@pytest.mark.parametrize("depth", [3, pytest.param(200, marks=pytest.mark.full)])
async def test_a_reorganisation_in_the_middle_leaves_no_trace(stack: Stack, tmp_path: Path, depth: int) -> None:
    """Deeper than what a first start publishes in full, too: then blocks that the backfill measured are taken back."""
    node = stack.node
    await stack.start(*check.LIVE)
    await stack.synced()
    await stack.start("backfill", BACKFILL_LOAD="30")
    total = await node.rpc("getblockcount")
    await far_enough(stack, total // 2)
    await node.rpc("invalidateblock", await node.rpc("getblockhash", total - depth + 1))
    await mine(node, depth + 2, script=OTHER_SCRIPT)
    await check.equals_fresh_build(stack, tmp_path / "fresh")


async def test_a_reorganisation_after_it_leaves_no_trace(stack: Stack, tmp_path: Path) -> None:
    node = stack.node
    await stack.start(*check.LIVE, "backfill", BACKFILL_LOAD="100")
    await check.history_complete(stack)
    total = await node.rpc("getblockcount")
    await node.rpc("invalidateblock", await node.rpc("getblockhash", total - 29))
    await mine(node, 30, script=OTHER_SCRIPT)
    await check.equals_fresh_build(stack, tmp_path / "fresh")


async def test_nothing_is_fetched_twice_after_a_restart_of_all(stack: Stack) -> None:
    """Stopped and started: what was measured stays, and nothing is asked of the node again."""
    await stack.start(*check.LIVE, "backfill", BACKFILL_LOAD="100")
    await check.history_complete(stack)
    names = [*check.LIVE, "backfill"]
    assert await asyncio.gather(*(stack.stop(name) for name in names)) == [0] * len(names)
    before = await stack.redis.xinfo_stream(stack.keys.stream(domains.BACKFILL))
    await mine(stack.node, 2)
    await stack.start(*names)
    await stack.synced()
    await check.history_complete(stack)
    after = await stack.redis.xinfo_stream(stack.keys.stream(domains.BACKFILL))
    assert after["entries-added"] == before["entries-added"]

"""From the last release to today's code and one version back, service by service, while transactions flow.

What the release left was recorded (support.release); its code comes out of the history. No event is lost or told twice,
and what is shown is what new services make of the node.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from local_run.node import RegtestNode
from shared import domains
from shared.tasks import end
from support import check
from support.release import FOREVER, SERVICES, Release, code_of, fill, load, restore
from support.spending import chain, fan_out, mine, mined_coins
from support.stack import Stack, until

UPGRADED = tuple(name for name in SERVICES if name != "web")
"""In an order that nobody promises: each works beside any version of the others."""


@pytest.fixture(scope="module")
def release() -> Release:
    return load()


@pytest.fixture
async def stack(tmp_path: Path, release: Release) -> AsyncIterator[Stack]:
    async with Stack(tmp_path, node=RegtestNode(tmp_path / "node", extra=FOREVER)) as started:
        await fill(started.node, release)
        await restore(started.redis, release)
        yield started


async def test_todays_code_goes_on_from_what_the_release_left(stack: Stack, tmp_path: Path, release: Release) -> None:
    before = len(await stack.entries(stack.keys.stream(domains.BLOCKS)))
    txs = len(await stack.entries(stack.keys.stream(domains.TXS)))
    await stack.start(*SERVICES, BACKFILL_LOAD="100")
    await check.equals_node(stack, 60)
    assert len(await stack.entries(stack.keys.stream(domains.BLOCKS))) == before, "nothing has happened meanwhile"
    again = [(kind, data) for _, _, kind, data in (await stack.entries(stack.keys.stream(domains.TXS)))[txs:]]
    assert {kind for kind, _ in again} <= {"mempool.synced"}, "nothing has happened meanwhile"
    await mine(stack.node)
    await check.equals_node(stack)
    await check.equals_fresh_build(stack, tmp_path / "fresh")


async def test_service_by_service_and_back(stack: Stack, tmp_path: Path, release: Release) -> None:
    old = code_of(release.commit, tmp_path / "release")
    if old is None:
        pytest.skip(f"the history of this checkout lacks the release, {release.commit[:12]}")
    node = stack.node
    coins = await fan_out(node, await mined_coins(node, 1), 300)
    await stack.start(*UPGRADED, BACKFILL_LOAD="100", PYTHONPATH=old)
    await stack.synced(60)

    async def flow() -> None:
        for place, coin in enumerate(coins):
            for built in chain(coin, 3, [3, 20]):
                await node.rpc("sendrawtransaction", built.raw, 0)
            if place % 10 == 9:
                await mine(node)
            await asyncio.sleep(0.3)

    flowing = asyncio.create_task(flow())
    try:
        newer = {name: f"{name}-2" for name in UPGRADED}
        await replace(stack, newer)
        await replace(stack, {newer[name]: name for name in reversed(UPGRADED)}, PYTHONPATH=old)
    finally:
        await end(flowing)
    await check.equals_node(stack, 60)
    await check.equals_fresh_build(stack, tmp_path / "fresh")


async def replace(stack: Stack, by: dict[str, str], **env: str) -> None:
    """Start replicas beside those that run, then stop those one by one: each time another takes over."""
    await stack.start(*by.values(), BACKFILL_LOAD="100", **env)
    for name in by.values():
        await until(partial(beats, stack, stack.pid(name)), 30, f"{name} stands by")
    for name in by:
        assert await stack.stop(name) == 0
        await stack.synced(60)


async def beats(stack: Stack, pid: int) -> bool:
    """Whether this process says that it is there."""
    return any(health.pid == pid and health.state in ("ok", "standby") for health in await stack.heartbeats())

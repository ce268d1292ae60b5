"""All services on a Redis of several servers: a primary is killed under load, and afterwards nothing is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from shared import domains, redis
from shared.tasks import end
from shared.views import MempoolView
from support import check
from support.spending import chain, fan_out, mine, mined_coins
from support.stack import CHAIN, Stack, until
from support.topologies import Cluster, Sentinel, Topology

SERVICES = (*CHAIN, "explorer")
"""All but those that ask outside; a second replica stands by for each fold."""

FOLDS = ("chain-ingest", "chain-metrics", "chain-history", "mempool")

BRIDGED = 30.0
"""Seconds within which everything is as the node says again, failover included."""


def topology(kind: str, folder: Path) -> Topology:
    """Six servers of a cluster; or one primary, two replicas and three Sentinels."""
    return Cluster(folder, replicas=1) if kind == "cluster" else Sentinel(folder, replicas=2, watchers=3)


@pytest.fixture(params=["cluster", "sentinel"])
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stack]:
    async with Stack(tmp_path, valkey=topology(request.param, tmp_path / "redis")) as started:
        yield started


async def test_a_primary_is_killed_under_load(stack: Stack, tmp_path: Path, full: bool) -> None:
    node, keys = stack.node, stack.keys
    assert isinstance(stack.servers, Topology)
    kills = [keys.stream(domains.BLOCKS), keys.stream(domains.TXS), keys.stream(domains.BLOCKS)]
    coins = await fan_out(node, await mined_coins(node, 3), 600 if full else 200)
    await stack.start(*SERVICES, *(f"{name}-2" for name in FOLDS))
    await stack.synced(60)
    await stack.serves()

    async def load() -> None:
        for place, coin in enumerate(coins):
            for built in chain(coin, 5, [3, 20, 1.5, 60]):
                await node.rpc("sendrawtransaction", built.raw, 0)
            await asyncio.sleep(0.02)
            if place % 40 == 39:
                await mine(node)

    loading = asyncio.create_task(load())
    try:
        for key in kills if full else kills[:1]:
            began = time.monotonic()
            took = await stack.servers.fail_over(key)
            since_ms = time.time() * 1000
            await until(partial(confirmed, stack, since_ms), BRIDGED, "figures are confirmed again")
            print(f"failover of {key}: {took:.1f} s, figures of afterwards after {time.monotonic() - began:.1f} s")
    finally:
        await end(loading)
    await check.equals_node(stack, 60)
    await check.equals_fresh_build(stack, tmp_path / "fresh")


async def confirmed(stack: Stack, since_ms: float) -> bool:
    """Whether blocks and mempool were compared with the node since that moment, and are shown so."""
    try:
        said = [await stack.redis.hget(stack.keys.confirmed(slot), "time_ms") for slot in ("chain", "mempool")]
        mempool = await stack.view(MempoolView)
    except redis.LOST:
        return False
    return mempool is not None and min(mempool.as_of_ms, *(int(one or 0) for one in said)) > since_ms

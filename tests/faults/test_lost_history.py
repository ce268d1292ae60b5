"""Redis loses any one key of the chain's history: it is noticed, told, and made again, to the byte."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared import domains, redis
from support import check
from support.spending import chain, fan_out, mine, mined_coins, send
from support.stack import Stack, until

LIMIT = 60.0
"""Seconds until all is there again: the longest is a beginning with nothing, after the record itself was lost."""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with Stack(tmp_path) as started:
        coins = await fan_out(started.node, await mined_coins(started.node, 1), 30)
        for coin in coins:
            await send(started.node, chain(coin, 3, [10, 4, 25]))
            await mine(started.node, 9)
        await started.start(*check.LIVE, "backfill", BACKFILL_LOAD="100")
        await check.history_complete(started)
        yield started


async def keys(stack: Stack) -> list[str]:
    """Every key that chain-history owns."""
    names = stack.keys
    history = domains.HISTORY
    owned = [
        names.checkpoint(history), names.state(history), names.history_recent, names.history_largest,
        names.history_pools, names.views(history), names.series_index("chain"), names.series_layouts("chain"),
        names.stream(history.announces),
    ]  # fmt: skip
    found = [key.decode() async for key in stack.redis.scan_iter(match="*:chain}:series:*", count=1_000)]
    return [key for key in [*owned, *sorted(found)] if await stack.redis.exists(key)]


async def everything(stack: Stack) -> dict[str, Any] | None:
    """All that chain-history keeps; None while a part of it is not there."""
    try:
        found = await check.history(stack)
        found["layouts"] = await stack.redis.hgetall(stack.keys.series_layouts("chain"))
        found["index"] = await stack.redis.smembers(stack.keys.series_index("chain"))
    except (KeyError, *redis.LOST):
        return None
    return found


async def makes_again(stack: Stack, lost: str, expected: dict[str, Any]) -> None:
    began = time.monotonic()

    async def same() -> bool:
        # a stream that is announced on is not of the chain: it goes on from where it is
        of_the_chain = lost == stack.keys.stream(domains.SERIES) or await stack.redis.exists(lost)
        return bool(of_the_chain) and await everything(stack) == expected

    await until(same, LIMIT, f"{lost} is made again")
    print(f"{lost}: whole again after {time.monotonic() - began:.1f} s")


async def test_any_lost_key_is_made_again(stack: Stack, tmp_path: Path) -> None:
    await check.equals_fresh_build(stack, tmp_path / "fresh")
    settled: list[dict[str, Any]] = []

    async def stands_still() -> bool:
        found = await everything(stack)
        settled.append(found or {})
        return found is not None and settled[-2:-1] == [found]

    await until(stands_still, 10, "everything is written")
    expected = settled[-1]
    lost = await keys(stack)
    assert len(lost) > 15
    random.Random(7).shuffle(lost)
    for key in lost:
        await stack.redis.delete(key)
        await makes_again(stack, key, expected)
    told = [
        data["detail"]
        for _, _, kind, data in await stack.entries(stack.keys.stream(domains.OPS))
        if kind == "gap.detected"
    ]
    assert any(detail.startswith("Redis has lost ") for detail in told), told
    await check.history_complete(stack)


async def test_what_is_lost_while_it_is_down_is_made_again_at_the_start(stack: Stack) -> None:
    expected = await everything(stack)
    assert expected is not None
    for key in random.Random(8).sample(await keys(stack), 6):
        await stack.stop("chain-history")
        await stack.redis.delete(key)
        await stack.start("chain-history")
        await makes_again(stack, key, expected)

"""Flow on real parts: kill -9, a reorganisation and a Redis that lost everything, and each transaction counts once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest

from shared.series import CONGESTION_HOURS, FLOW_10S, FLOW_HOURS, FLOW_MINUTES, Series, read
from support import check
from support.each import each
from support.spending import Built, chain, fan_out, mine, mined_coins, send
from support.stack import Stack, until

R = TypeVar("R")


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with Stack(tmp_path) as started:
        yield started


async def newest(stack: Stack, series: Series[R]) -> list[R]:
    """Records of the last hours."""
    now = int(time.time())
    found = await read(stack.redis, stack.keys, series, series.index(now - 10_000), series.index(now) + 1)
    return [record for _, record in found]


async def flow(stack: Stack) -> tuple[int, int, int]:
    """Count, vsize and value of all flow, which every resolution must agree on."""
    sums = []
    for series in (FLOW_10S, FLOW_MINUTES, FLOW_HOURS):
        records = await newest(stack, series)
        sums.append(tuple(sum(record[place] for record in records) for place in range(3)))
    assert sums[0] == sums[1] == sums[2]
    count, vsize, value = sums[0]
    return count, vsize, value


def total(transactions: list[Built]) -> tuple[int, int, int]:
    value = sum(coin.value for built in transactions for coin in built.outputs)
    return len(transactions), sum(built.vsize for built in transactions), value


async def next_second(stack: Stack) -> None:
    """What is told again counts from the second after the newest that was counted."""
    now = int(time.time())

    async def passed() -> bool:
        return int(time.time()) > now

    await until(passed, 3, "the next second")


async def test_each_transaction_counts_once_whatever_happens(stack: Stack) -> None:
    node = stack.node
    coins = await fan_out(node, await mined_coins(node, 1), 60)
    sets = [[built for coin in coins[at : at + 10] for built in chain(coin, 3, [5, 30, 2])] for at in range(0, 50, 10)]
    there_before, first, second, third, fourth = sets
    await send(node, there_before)
    await stack.start(*check.LIVE)
    await stack.synced()
    assert await flow(stack) == (0, 0, 0)

    await send(node, first)
    await stack.kill("mempool")
    await send(node, second)
    await stack.start("mempool")
    await stack.synced()
    assert await flow(stack) == total(first + second)

    await mine(node)
    await stack.synced()
    await stack.kill("mempool")
    await stack.start("mempool")
    await node.rpc("invalidateblock", await node.rpc("getbestblockhash"))
    await check.equals_node(stack)
    assert len(await node.rpc("getrawmempool")) == len(there_before + first + second)
    assert await flow(stack) == total(first + second)

    await next_second(stack)
    await stack.redis.flushall()
    await send(node, third)
    await check.equals_node(stack)
    assert await flow(stack) == total(first + second + third)

    await stack.kill("mempool")
    await stack.start("mempool")
    await send(node, fourth)
    await stack.synced()
    assert await flow(stack) == total(first + second + third + fourth)
    looks = await newest(stack, CONGESTION_HOURS)
    assert each(0 < look.tx_count <= look.samples * sum(map(len, sets)) for look in looks)
    assert looks

"""Blocks of a real node held against what was expected: recorded by the services, told by the explorer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from explorer.core.blocks import Blocks
from explorer.core.node import Node
from shared import expected
from shared.events.lookups import BlockWanted
from shared.lookups.block import Expected, Found, NotExpected
from shared.networks import NETWORKS
from shared.pool_tags import Pools
from shared.rpc import RpcClient
from support.spending import Built, build, fan_out, mined_coins, send
from support.stack import Stack, until

PARTS = ("chain-ingest", "chain-metrics", "mempool")
OUTPUTS = 2_300
"""Of a transaction that is nearly as large as a node passes on."""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with Stack(tmp_path) as started:
        yield started


async def block_of(stack: Stack, txs: Sequence[Built], unseen: Sequence[Built] = ()) -> str:
    """Mine exactly these."""
    info = await stack.node.rpc("getdescriptorinfo", "raw(51)")
    parts = [*(one.txid for one in txs), *(one.raw for one in unseen)]
    found = await stack.node.rpc("generateblock", info["descriptor"], parts)
    block_hash: str = found["hash"]
    return block_hash


async def looked_up(stack: Stack, block_hash: str) -> Found:
    """What the explorer says of a block, once it was recorded."""

    async def recorded() -> bool:
        return (await expected.read(stack.redis, stack.keys, block_hash)).recorded is not None

    await until(recorded, 15, f"{block_hash} is recorded")
    blocks = Blocks(NETWORKS["regtest"], lambda: 1, Pools(), partial(expected.read, stack.redis, stack.keys))
    async with RpcClient(stack.node.settings()) as rpc:
        found = await blocks.look_up(Node(rpc), BlockWanted(hash=block_hash))
    assert isinstance(found, Found)
    return found


async def held(stack: Stack, block_hash: str) -> Expected:
    found = (await looked_up(stack, block_hash)).expected
    assert found is not None
    return found


async def transactions(stack: Stack) -> tuple[list[Built], list[Built], Built]:
    """Small ones, large ones of which more wait than fit into a block, and one that pays most."""
    coins = await fan_out(stack.node, await mined_coins(stack.node, 3), 20)
    rates = (70, 60, 50, 2, 1, 80)
    paid = [build([coin], [coin.value - 96 * rate]) for coin, rate in zip(coins, rates, strict=False)]
    large = []
    for place, coin in enumerate(coins[6:17]):
        each = (coin.value - 100_000 * (30 - place)) // OUTPUTS
        large.append(build([coin], [each] * OUTPUTS))
    return paid, large, build([coins[17]], [coins[17].value - 96 * 90])


async def not_expected(stack: Stack, wanted: BlockWanted) -> NotExpected:
    """Why nothing was recorded."""
    blocks = Blocks(NETWORKS["regtest"], lambda: 1, Pools(), partial(expected.read, stack.redis, stack.keys))
    async with RpcClient(stack.node.settings()) as rpc:
        found = await blocks.look_up(Node(rpc), wanted)
    assert isinstance(found, Found)
    assert found.expected is None
    assert found.not_expected is not None
    return found.not_expected


async def test_a_block_is_held_against_what_was_expected(stack: Stack) -> None:
    node = stack.node
    paid, large, new = await transactions(stack)
    expected_ones, (low, lowest, unseen) = paid[:3], paid[3:]
    await node.rpc("setmocktime", int(time.time()) - 600)  # they have waited for ten minutes
    for one in (*expected_ones, low, lowest, *large):
        await send(node, [one])
    await node.rpc("setmocktime", 0)
    await stack.start(*PARTS)
    await stack.synced()
    await send(node, [new])
    await stack.synced()
    fitting = large[:10]
    first = await block_of(stack, [expected_ones[0], expected_ones[2], *fitting[1:], low], [unseen])
    found = await looked_up(stack, first)
    assert found.expected is not None
    told = found.expected
    assert (told.matched, told.missing_count, told.fresh_count) == (11, 2, 1)
    assert (told.added_count, told.unseen_count) == (1, 1)
    assert told.missing == [expected_ones[1].txid, fitting[0].txid]
    assert (told.fresh, told.added, told.unseen) == ([new.txid], [low.txid], [unseen.txid])
    assert told.share == 11 / 13
    assert abs(told.at_ms / 1000 - time.time()) < 30
    marks = {row.txid: row.unlike for row in found.transactions if row.unlike}
    assert marks == {low.txid: "added", unseen.txid: "unseen"}

    # it leaves the chain and comes back: what was recorded first stays
    await node.rpc("invalidateblock", first)
    await stack.synced()
    await node.rpc("reconsiderblock", first)
    await stack.synced()
    assert await held(stack, first) == told

    # killed before a block comes: its entries are folded afterwards, each with its own moment
    await stack.kill("mempool")
    second = await block_of(stack, [])
    third = await block_of(stack, [new, expected_ones[1]])
    await stack.start("mempool")
    await stack.synced()
    empty, after = await held(stack, second), await held(stack, third)
    assert (empty.matched, empty.share, empty.added_count) == (0, 0.0, 0)
    assert empty.missing_count + empty.fresh_count == 5  # two of them are large
    assert (after.matched, after.unseen_count) == (2, 0)
    assert after.at_ms >= empty.at_ms >= told.at_ms

    # nobody followed the mempool: no figure, and before the record began none either
    await stack.stop("chain-ingest")
    fourth = await block_of(stack, [lowest])
    await stack.start("chain-ingest")
    await stack.synced()
    assert (await not_expected(stack, BlockWanted(hash=fourth))).why == "not-whole"
    old = await not_expected(stack, BlockWanted(height=1))
    assert (old.why, old.since_ms is None) == ("before", False)

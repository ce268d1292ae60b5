"""Projected blocks beside the node's own block template: the same when all fits, nearly so when it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chain_ingest.node import Node
from local_run.node import RegtestNode
from mempool.fold import MempoolFold
from mempool.projection import COINBASE_VSIZE
from shared.events.mempool import MempoolSynced, TxAdded
from shared.keys import Keys
from shared.rpc import RpcClient
from shared.views import FeesView, MempoolView
from support import oracle, spending
from support.spending import Built, build

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node")) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def coins(node: RegtestNode) -> AsyncIterator[list[spending.Coin]]:
    """Coins to spend; what a test leaves in the mempool is mined."""
    yield await spending.fan_out(node, await spending.mined_coins(node, 2), 60)
    while await node.rpc("getrawmempool"):
        await spending.mine(node)


async def views(node: RegtestNode) -> tuple[MempoolView, FeesView]:
    """What the fold makes of the node's mempool, told as chain-ingest tells it."""
    fold = MempoolFold(Keys("regtest"))
    async with RpcClient(node.settings()) as rpc:
        reader = Node(rpc)
        txids = (await reader.mempool()).txids
        details, transactions = await reader.details(txids)
        for txid in txids:
            entry, transaction = details[txid], transactions[txid]
            added = TxAdded(
                txid=txid, vsize=entry.vsize, weight=entry.weight, size=transaction.size, fee=entry.fee,
                value=transaction.value, time=entry.time, parents=entry.depends, children=entry.spentby,
                ancestor_fee=entry.ancestor_fee, ancestor_vsize=entry.ancestorsize, replaceable=True,
            )  # fmt: skip
            fold.apply(added)
        info = await reader.mempool_info()
    count, vsize, fee = info.totals
    synced = MempoolSynced(
        mempool_sequence=1, tx_count=count, vsize=vsize, total_fee=fee, min_fee_rate=info.min_fee_rate,
        usage=info.usage, max_usage=info.maxmempool, time_ms=0,
    )  # fmt: skip
    fold.apply(synced)  # raises where the sum is not the node's
    summary, fees, _ = fold._picture.views(synced, 1)
    return summary, fees


async def template(node: RegtestNode) -> dict[str, Any]:
    await node.rpc("setmocktime", (await node.rpc("getblockchaininfo"))["time"] + 3_600)  # no template from before
    answer: dict[str, Any] = await node.rpc("getblocktemplate", {"rules": ["segwit"]})
    await node.rpc("setmocktime", 0)
    return answer


async def test_when_all_fits_the_first_block_is_the_template(node: RegtestNode, coins: list[spending.Coin]) -> None:
    sent: list[Built] = []
    for number, coin in enumerate(coins[:80]):
        parent = build([coin], [coin.value // 2, coin.value - coin.value // 2 - 300 - 13 * number])
        sent.append(parent)
        if number % 3 == 0:  # a child that pays for it
            out = parent.outputs[0]
            sent.append(build([out], [out.value - 5_000 - 11 * number]))
        if number % 5 == 0:  # and one that does not
            out = parent.outputs[1]
            sent.append(build([out], [out.value - 150]))
    await spending.send(node, sent)
    summary, fees = await views(node)
    [block] = fees.projected_blocks
    told = await template(node)
    assert block.tx_count == len(told["transactions"]) == len(sent)
    assert block.total_fees == sum(one["fee"] for one in told["transactions"])
    assert block.weight == sum(one["weight"] for one in told["transactions"])
    assert (summary.count, summary.total_fee) == (len(sent), block.total_fees)


async def test_when_it_does_not_fit_the_first_block_is_nearly_the_template(
    node: RegtestNode, coins: list[spending.Coin]
) -> None:
    sent: list[Built] = []
    for number, coin in enumerate(coins[:40]):  # 40 of 30 kvB and more
        outputs = 600 + 17 * number
        size = build([coin], [1_000] * outputs).vsize
        half = coin.value // 2  # the first output: enough for a child that pays a lot
        each = (half - size * (300 + number % 11 * 100 + number) // 100) // outputs  # no two feerates alike
        parent = build([coin], [half, *[each] * (outputs - 1)])
        sent.append(parent)
        if number % 4 == 0:  # children that lift cheap parents
            sent.append(build([parent.outputs[0]], [parent.outputs[0].value - 20 * size]))
    for built in sent:  # together they are more than one request should hold
        await spending.send(node, [built])
    _, fees = await views(node)
    first, *others = fees.projected_blocks
    assert others
    told = await template(node)
    theirs = sum(one["fee"] for one in told["transactions"])
    weight = sum(one["weight"] for one in told["transactions"])
    # the node tries up to 1,000 smaller ones for what is left of the block, we open the next one
    assert first.total_fees == pytest.approx(theirs, rel=0.05)
    assert first.weight == pytest.approx(weight, rel=0.05)
    assert first.vsize <= 1_000_000 - COINBASE_VSIZE
    assert sum(block.tx_count for block in fees.projected_blocks) == len(sent)


async def test_a_child_pays_for_its_parent(node: RegtestNode, coins: list[spending.Coin]) -> None:
    coin = coins[0]
    parent = build([coin], [coin.value - 100])
    await spending.send(node, [parent])
    _, alone = await views(node)
    child = build([parent.outputs[0]], [parent.outputs[0].value - 9_900])
    await spending.send(node, [child])
    _, together = await views(node)
    expected = 10_000 / (parent.vsize + child.vsize)
    [band] = [band for band in together.histogram if band.count]
    assert (band.count, band.vsize, band.fee) == (2, parent.vsize + child.vsize, 10_000)
    assert band.to_rate is not None
    assert band.from_rate <= expected < band.to_rate
    assert together.projected_blocks[0].median_fee_rate == pytest.approx(expected)
    [before] = [band for band in alone.histogram if band.count]
    assert before.from_rate < band.from_rate


async def test_every_feerate_is_the_one_worked_out_otherwise(node: RegtestNode, coins: list[spending.Coin]) -> None:
    sent: list[Built] = []
    for number, coin in enumerate(coins[:12]):
        tail = coin
        for step in range(1 + number):
            built = build([tail], [tail.value - (100 + (number * 7919 + step * 104_729) % 6_000)])
            sent.append(built)
            tail = built.outputs[0]
    await spending.send(node, sent)
    _, fees = await views(node)
    rates = await oracle.effective_rates(node)
    assert [(b.count, b.vsize, b.fee) for b in fees.histogram] == oracle.histogram(
        rates, [band.from_rate for band in fees.histogram]
    )

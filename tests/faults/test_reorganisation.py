"""After a reorganisation every derived value is the one of a fresh build."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import domains
from support import check
from support.spending import OTHER_SCRIPT, build, chain, fan_out, mine, mined_coins, send
from support.stack import Stack


@pytest.mark.parametrize(
    ("depth", "same_height"),
    [
        (1, True),
        (30, False),
        *(pytest.param(*more, marks=pytest.mark.full) for more in ((1, False), (3, False), (3, True), (30, True))),
    ],
)
async def test_every_view_equals_a_fresh_build(stack: Stack, tmp_path: Path, depth: int, same_height: bool) -> None:
    node = stack.node
    coins = await fan_out(node, await mined_coins(node, 1), 90)
    await stack.start(*check.LIVE)
    await stack.synced()
    # transactions in each of the blocks that will be undone, with children that stay in the mempool
    confirmed = []
    for place in range(depth):
        mined = chain(coins[place], 3, [10, 4, 25])
        await send(node, mined)
        if place == depth - 1:
            await stack.synced()
        await mine(node)
        confirmed += mined
    await send(node, [child for built in confirmed[2::3] for child in chain(built.outputs[0], 2, [2, 40])])
    await stack.synced()

    undone = await node.rpc("getblockhash", await node.rpc("getblockcount") - depth + 1)
    await node.rpc("invalidateblock", undone)
    await check.equals_node(stack)  # with the children of what came back tied to it again
    # one of the transactions that came back is replaced before the other branch is mined; of the newest block, since
    # the node takes back those of the last ten only
    victim, coin = confirmed[-3], coins[depth - 1]
    replacement = build([coin], [coin.value - 100_000])
    await node.rpc("sendrawtransaction", replacement.raw, 0)
    await stack.synced()
    await mine(node, depth if same_height else depth + 1, script=OTHER_SCRIPT)
    await send(node, chain(coins[80], 2, [7, 70]))

    await check.equals_node(stack)
    await check.equals_fresh_build(stack, tmp_path / "fresh")
    events = await stack.entries(stack.keys.stream(domains.BLOCKS))
    assert sum(kind == "block.disconnected" for _, _, kind, _ in events) >= depth
    removed = [data for _, _, kind, data in await stack.entries(stack.keys.stream(domains.TXS)) if kind == "tx.removed"]
    assert {"replaced", "block"} <= {data["reason"] for data in removed}
    assert any(data["txid"] == victim.txid and data["replaced_by"] == replacement.txid for data in removed)


async def test_the_node_comes_back_with_another_chain(stack: Stack, tmp_path: Path) -> None:
    """A node whose data was lost: no ancestor in common but the genesis block."""
    await mine(stack.node, 5)
    await stack.start(*check.LIVE)
    await stack.synced()
    genesis = await stack.node.rpc("getblockhash", 1)
    await stack.node.rpc("invalidateblock", genesis)
    await mine(stack.node, 3, script=OTHER_SCRIPT)
    await check.equals_node(stack)
    await check.equals_fresh_build(stack, tmp_path / "fresh")

"""What the explorer answers about blocks, held against what the node itself says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from explorer.core.blocks import Blocks
from explorer.core.node import Node
from shared.events.lookups import BlockWanted
from shared.expected import Record
from shared.lookups.block import PAGE, Found, Row
from shared.lookups.parts import Missing
from shared.networks import NETWORKS
from shared.pool_tags import Pools
from shared.rpc import RpcClient
from support.explored import WALLET, Chain

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = 2 * PAGE + 3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node(chain: Chain) -> AsyncIterator[Node]:
    async with RpcClient(chain.node.settings()) as rpc:
        yield Node(rpc)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def full(chain: Chain) -> str:
    """A block of ROWS transactions with different fees and values."""
    addresses = await chain.node.batch([("getnewaddress", ())] * ROWS, wallet=WALLET, kind=str)
    await chain.pay([{address: 0.02} for address in addresses])
    await chain.mine()
    for at, address in enumerate(addresses[1:]):
        await chain.pay([{address: 0.001 * (1 + at % 7)}], fee_rate=2 + at % 5)
    [block] = await chain.mine()
    return block


@pytest.fixture
def blocks() -> Blocks:
    async def recorded(_: str) -> Record:
        return Record(None, None)

    return Blocks(NETWORKS["regtest"], lambda: 1, Pools(), recorded)


async def looked_up(blocks: Blocks, node: Node, wanted: BlockWanted) -> Found:
    found = await blocks.look_up(node, wanted)
    assert isinstance(found, Found), found
    return found


async def test_everything_is_what_the_node_says(chain: Chain, node: Node, full: str, blocks: Blocks) -> None:
    found = await looked_up(blocks, node, BlockWanted(hash=full))
    raw, stats = await chain.node.rpc("getblock", full, 1), await chain.node.rpc("getblockstats", full)
    for ours, its in {
        "height": "height", "version": "version", "merkle_root": "merkleroot", "time": "time", "size": "size",
        "median_time": "mediantime", "bits": "bits", "nonce": "nonce", "stripped_size": "strippedsize",
        "weight": "weight", "tx_count": "nTx", "chainwork": "chainwork", "prev_hash": "previousblockhash",
    }.items():  # fmt: skip
        assert getattr(found, ours) == raw[its], ours
    assert (found.fees, found.subsidy, found.output_value) == (stats["totalfee"], stats["subsidy"], stats["total_out"])
    assert [int(rate) for rate in found.rates or ()] == stats["feerate_percentiles"]
    assert (found.next_hash, found.best, found.instead) == (None, True, None)
    assert found.coinbase_addresses == [chain.mining]
    assert (await looked_up(blocks, node, BlockWanted(height=found.height))).hash == full


async def test_transactions_come_page_by_page_in_every_order(
    chain: Chain, node: Node, full: str, blocks: Blocks
) -> None:
    txids = (await chain.node.rpc("getblock", full, 1))["tx"]
    assert len(txids) == ROWS
    measures: dict[str, Callable[[Row], float]] = {
        "position": lambda row: row.position, "fee": lambda row: row.fee or 0, "value": lambda row: row.value,
        "weight": lambda row: row.weight, "rate": lambda row: (row.fee or 0) / row.vsize,
    }  # fmt: skip
    for name, measure in measures.items():
        for order in (name, f"-{name}"):
            rows: list[Row] = []
            for page in range(4):
                found = await looked_up(blocks, node, BlockWanted(hash=full, page=page, order=order))  # type: ignore[arg-type]  # made above
                assert len(found.transactions) == max(0, min(PAGE, ROWS - page * PAGE))
                rows += found.transactions
            assert sorted(row.txid for row in rows) == sorted(txids)
            known = [measure(row) for row in rows if row.fee is not None or name in ("position", "value", "weight")]
            assert known == sorted(known, reverse=order.startswith("-")), order
            if name in ("fee", "rate"):
                assert rows[-1].txid == txids[0], "what is unknown stands at the end"


async def test_a_block_that_left_the_chain_is_said_to_have(chain: Chain, node: Node, blocks: Blocks) -> None:
    [old] = await chain.mine()
    before = await looked_up(blocks, node, BlockWanted(hash=old))
    await chain.node.rpc("invalidateblock", old)
    [new] = await chain.node.rpc("generatetoaddress", 1, await chain.wallet("getnewaddress"))
    found = await looked_up(blocks, node, BlockWanted(hash=old))
    assert (found.best, found.instead, found.height) == (False, new, before.height)
    assert (await looked_up(blocks, node, BlockWanted(height=before.height))).hash == new


async def test_what_is_not_there_is_missing(node: Node, blocks: Blocks) -> None:
    for wanted, why in ((BlockWanted(height=1_000_000), "not-yet"), (BlockWanted(hash="ab" * 32), "unknown")):
        found = await blocks.look_up(node, wanted)
        assert isinstance(found, Missing)
        assert found.why == why


async def test_the_genesis_block_has_none_before_it(chain: Chain, node: Node, blocks: Blocks) -> None:
    found = await looked_up(blocks, node, BlockWanted(height=0))
    assert (found.prev_hash, found.height, found.tx_count) == (None, 0, 1)
    assert found.hash == NETWORKS["regtest"].genesis_hash

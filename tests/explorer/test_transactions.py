"""What the explorer answers about transactions, held against what the node itself says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from explorer.core import transactions
from explorer.core.cluster import Member, mining_rate
from explorer.core.node import Node
from shared.events.lookups import TxWanted
from shared.lookups.parts import Missing
from shared.lookups.transaction import Found
from shared.rpc import RpcClient
from support import scripts
from support.explored import WALLET, Chain

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node(chain: Chain) -> AsyncIterator[Node]:
    async with RpcClient(chain.node.settings()) as rpc:
        yield Node(rpc)


async def looked_up(node: Node, txid: str, **more: Any) -> Found:
    found = await transactions.look_up(node, TxWanted(txid=txid, **more), lambda: 1)
    assert isinstance(found, Found), found
    return found


def satoshi(amount: Decimal | float) -> int:
    return round(Decimal(str(amount)) * 10**8)


async def equal(chain: Chain, found: Found, block: str | None = None) -> dict[str, Any]:
    """Everything that the node says of a transaction is what was found of it."""
    raw = await chain.node.rpc("getrawtransaction", found.txid, 2, *([block] if block else []))
    for ours, its in {"wtxid": "hash", "version": "version", "locktime": "locktime", "size": "size", "vsize": "vsize",
                      "weight": "weight"}.items():  # fmt: skip
        assert getattr(found, ours) == raw[its], ours
    assert found.input_count == len(raw["vin"])
    assert found.output_count == len(raw["vout"])
    for mine, its in zip(found.outputs, raw["vout"], strict=True):
        script = its["scriptPubKey"]
        assert (mine.value, mine.script, mine.address) == (satoshi(its["value"]), script["hex"], script.get("address"))
    for one, its in zip(found.inputs, raw["vin"], strict=True):
        assert (one.txid, one.vout, one.sequence) == (its.get("txid"), its.get("vout"), its["sequence"])
        assert one.witness == its.get("txinwitness", [])
    return dict(raw)


async def test_one_that_waits_is_found_with_what_it_spends(chain: Chain, node: Node) -> None:
    txid = await chain.pay()
    found = await looked_up(node, txid)
    await equal(chain, found)
    entry = await chain.node.rpc("getmempoolentry", txid)
    assert found.fee == satoshi(entry["fees"]["base"])
    assert found.place is None
    assert found.waiting is not None
    assert found.waiting.rate == pytest.approx(found.fee / found.vsize)
    assert found.input_value == found.output_value + found.fee
    assert {one.kind for one in found.outputs} >= {"p2pkh", "p2sh", "v0_p2wpkh", "v1_p2tr"}
    assert [one.spent for one in found.outputs] == [False] * found.output_count
    assert found.sources == {"transaction": "node", "waiting": "mempool"}


async def test_one_in_a_block_is_found_without_an_index(chain: Chain, node: Node) -> None:
    txid = await chain.pay()
    before = await looked_up(node, txid)
    [block] = await chain.mine()
    found = await looked_up(node, txid)
    raw = await equal(chain, found, block)
    assert found.fee == before.fee == satoshi(raw["fee"])
    assert found.waiting is None
    assert found.place is not None
    assert (found.place.hash, found.place.best) == (block, True)
    txids = (await chain.node.rpc("getblock", block, 1))["tx"]
    assert txids[found.place.position or 0] == txid
    assert found.tip.hash == block
    assert [one.coin for one in found.inputs] == [one.coin for one in before.inputs]


async def test_one_of_which_nothing_is_unspent_needs_a_hint_or_an_index(chain: Chain, node: Node) -> None:
    address = await chain.wallet("getnewaddress")
    txid = await chain.pay([{address: 1}], subtract_fee_from_outputs=[0])
    [block] = await chain.mine()
    coins = (await chain.node.rpc("getrawtransaction", txid, 1, block))["vout"]
    inputs = [{"txid": txid, "vout": one["n"]} for one in coins]
    sent = await chain.wallet("sendall", [await chain.wallet("getnewaddress")], None, None, 3, {"inputs": inputs})
    assert sent["complete"]
    spent = await looked_up(node, txid)
    assert [(one.spent, one.spender and one.spender.txid) for one in spent.outputs] == [(True, sent["txid"])] * len(
        coins
    )
    await chain.mine()
    lost = await transactions.look_up(node, TxWanted(txid=txid), lambda: 1)
    assert isinstance(lost, Missing)
    assert (lost.why, lost.hint) == ("no-index", "txindex")
    found = await looked_up(node, txid, block=block)
    await equal(chain, found, block)
    assert [(one.spent, one.spender) for one in found.outputs] == [(True, None)] * len(coins)

    async def known(asked: str) -> str | None:
        return block if asked == txid else None

    hinted = await transactions.look_up(node, TxWanted(txid=txid), lambda: 1, [known])
    assert hinted == msgspec.structs.replace(found, as_of_ms=1)


async def test_two_children_lift_their_parent_together() -> None:
    """The one that pays less would be worth more by itself, and has to wait for both of the others all the same."""
    alone = frozenset[str]()
    members = {
        "parent": Member(1_000, 1_000, alone),
        "child": Member(100, 10_000, frozenset({"parent"})),
        "other": Member(100, 15_000, frozenset({"parent", "mined"})),
        "poor": Member(500, 600, frozenset({"other"})),
        "stranger": Member(200, 9_000, alone),
    }
    rates = {txid: mining_rate(txid, members) for txid in members}
    together = 26_000 / 1_200
    assert rates == {"parent": together, "child": together, "other": together, "poor": 1.2, "stranger": 45.0}


async def test_a_child_lifts_its_parent(chain: Chain, node: Node) -> None:
    parent = await chain.pay([{await chain.wallet("getnewaddress"): 0.5}], fee_rate=1)
    raw = await chain.node.rpc("getrawtransaction", parent, 1)
    inputs = [{"txid": parent, "vout": one["n"]} for one in raw["vout"]]
    child = (await chain.wallet("sendall", [chain.mining], None, None, 50, {"inputs": inputs}))["txid"]
    found, over = await looked_up(node, parent), await looked_up(node, child)
    assert found.fee is not None
    assert over.fee is not None
    assert found.waiting is not None
    assert over.waiting is not None
    together = (found.fee + over.fee) / (found.vsize + over.vsize)
    assert [found.waiting.rate, over.waiting.rate] == pytest.approx([together, together])
    assert [one.txid for one in found.waiting.descendants] == [child]
    assert [one.txid for one in over.waiting.ancestors] == [parent]
    assert together > found.fee / found.vsize
    await chain.mine()


async def test_a_block_that_left_the_chain_takes_its_transactions_along(chain: Chain, node: Node) -> None:
    txid = await chain.pay()
    [block] = await chain.mine()
    await chain.node.rpc("invalidateblock", block)
    found = await looked_up(node, txid, block=block)
    assert found.place is None or not found.place.best
    back = await looked_up(node, txid)
    assert back.waiting is not None
    assert back.place is None
    await chain.node.rpc("reconsiderblock", block)
    assert (await looked_up(node, txid)).place is not None


async def test_a_coinbase_has_no_fee_and_spends_nothing(chain: Chain, node: Node) -> None:
    [block] = await chain.mine()
    txid = (await chain.node.rpc("getblock", block, 1))["tx"][0]
    found = await looked_up(node, txid)
    await equal(chain, found, block)
    assert (found.coinbase, found.fee, found.input_value) == (True, None, None)
    assert found.inputs[0].coin is None
    assert found.inputs[0].script_sig
    assert [one.kind for one in found.outputs].count("op_return") == len(found.outputs) - 1 == 1
    assert [one.spent for one in found.outputs if one.kind == "op_return"] == [None]


async def test_many_outputs_come_page_by_page(chain: Chain, node: Node) -> None:
    addresses = await chain.node.batch([("getnewaddress", ())] * 230, wallet=WALLET, kind=str)
    outputs: list[dict[str, Any]] = [{address: 0.001} for address in addresses]
    txid = await chain.pay(outputs)
    pages = [await looked_up(node, txid, page=page) for page in range(4)]
    assert [len(page.outputs) for page in pages] == [100, 100, 31, 0]
    assert {page.output_count for page in pages} == {231}
    raw = await chain.node.rpc("getrawtransaction", txid, 1)
    assert [one.value for page in pages for one in page.outputs] == [satoshi(one["value"]) for one in raw["vout"]]
    await chain.mine()


async def test_what_nobody_has_is_missing(chain: Chain, node: Node) -> None:
    missing = await transactions.look_up(node, TxWanted(txid="ab" * 32, block="cd" * 32), lambda: 1)
    assert isinstance(missing, Missing)
    assert missing.tip is not None
    assert missing.tip.hash == await chain.node.rpc("getbestblockhash")


async def test_the_first_coinbase_is_there(chain: Chain, node: Node) -> None:
    """No node tells it but with its block, and nobody can spend it."""
    genesis = await chain.node.rpc("getblock", await chain.node.rpc("getblockhash", 0), 2)
    raw = genesis["tx"][0]
    found = await looked_up(node, raw["txid"])
    assert found.place is not None
    assert (found.place.height, found.place.hash, found.place.position) == (0, genesis["hash"], 0)
    assert (found.coinbase, found.size, found.output_value) == (True, raw["size"], 50 * 10**8)
    [out] = found.outputs
    assert (out.kind, out.spent, out.spender) == ("p2pk", None, None)
    assert out.script == raw["vout"][0]["scriptPubKey"]["hex"] == scripts.GENESIS_SCRIPT.hex()

"""What the explorer remembers between two look-ups, and that it forgets what is not so any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from explorer.address import flows
from explorer.address.flows import Flows
from explorer.core.answers import Header
from explorer.core.chain import BestChain
from explorer.core.node import Node
from explorer.core.times import headers_of
from local_run.node import RegtestNode
from shared.rpc import RpcClient

pytestmark = pytest.mark.asyncio(loop_scope="module")
MINING = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
OTHER = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def regtest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    folder: Path = tmp_path_factory.mktemp("node")
    async with RegtestNode(folder) as node:
        yield node


class Counting(RpcClient):
    """Counts what goes to the node."""

    calls = 0

    async def _post(self, body: bytes, methods: Sequence[str]) -> bytes:
        self.calls += 1
        return await super()._post(body, methods)


@pytest_asyncio.fixture(loop_scope="module")
async def rpc(regtest: RegtestNode) -> AsyncIterator[Counting]:
    async with Counting(regtest.settings()) as client:
        yield client


async def told(node: Node, regtest: RegtestNode, heights: Sequence[int]) -> int:
    """The headers are those that the node has there now; how often it was asked for them."""
    tip = await node.tip()
    assert isinstance(node.rpc, Counting)
    before = node.rpc.calls
    found = await headers_of(node, [None, *heights, tip.height + 1], tip)
    asked = node.rpc.calls - before
    assert {height: header.hash for height, header in found.items()} == {
        height: await regtest.rpc("getblockhash", height) for height in heights
    }
    return asked


async def test_headers_are_asked_for_once_while_the_chain_grows(regtest: RegtestNode, rpc: Counting) -> None:
    await regtest.rpc("generatetoaddress", 6, MINING)
    node = Node(rpc)
    top = await regtest.rpc("getblockcount")
    assert await told(node, regtest, [top - 4, top]) == 2
    assert await told(node, regtest, [top - 4, top]) == 0
    assert await told(node, regtest, [top - 4, top - 1]) == 2, "one of them is another"
    await regtest.rpc("generatetoaddress", 1, MINING)
    assert await told(node, regtest, [top - 4, top]) == 0, "what lies below a block more is the same"


async def test_another_branch_is_another_header(regtest: RegtestNode, rpc: Counting) -> None:
    await regtest.rpc("generatetoaddress", 3, MINING)
    node = Node(rpc)
    top = await regtest.rpc("getblockcount")
    was = await regtest.rpc("getblockhash", top - 1)
    await told(node, regtest, [top - 2, top - 1, top])
    await regtest.rpc("invalidateblock", was)
    await regtest.rpc("generatetoaddress", 3, OTHER)
    assert await regtest.rpc("getblockhash", top - 1) != was
    assert await told(node, regtest, [top - 2, top - 1, top]) == 2
    await regtest.rpc("reconsiderblock", was)


async def test_what_is_read_while_the_chain_changes_is_not_kept(regtest: RegtestNode, rpc: Counting) -> None:
    await regtest.rpc("generatetoaddress", 3, MINING)
    node = Node(rpc)
    tip = await node.tip()
    await regtest.rpc("invalidateblock", tip.hash)
    await regtest.rpc("generatetoaddress", 1, OTHER)
    assert await headers_of(node, [tip.height], tip), "it is told, of whatever chain it is"
    assert node.chain.get(tip.height, tip.hash) is None
    await regtest.rpc("reconsiderblock", tip.hash)


def header(height: int, name: str, before: str) -> Header:
    return Header(
        hash=name, height=height, version=1, merkleroot="", time=height, mediantime=0, nonce=0, bits="", difficulty=1.0,
        chainwork="", nTx=1, confirmations=1, previousblockhash=before,
    )  # fmt: skip


async def test_headers_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.core.chain.KEPT", 3)
    chain = BestChain()
    chain.moved(header(9, "tip", "before"))
    chain.put({height: header(height, f"{height}", "") for height in range(5)}, "tip")
    assert [height for height in range(5) if chain.get(height, "tip")] == [2, 3, 4]
    chain.put({7: header(7, "7", "")}, "another")
    assert chain.get(7, "tip") is None
    chain.moved(header(10, "next", "tip"))
    assert (chain.get(4, "next") is not None, chain.get(4, "tip")) == (True, None)
    chain.moved(header(12, "later", "between"))
    assert chain.get(4, "later") is None, "nobody saw the block between"


class Server:
    """Has every transaction; its first input says which it is."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def transaction(self, txid: str) -> bytes:
        self.asked.append(txid)
        spends = b"\1" + bytes.fromhex(txid)[::-1] + bytes(4) + b"\0" + b"\xff" * 4
        return bytes(4) + spends + b"\1" + (5).to_bytes(8, "little") + b"\1\x51" + bytes(4)


async def test_a_transaction_of_several_histories_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "KEPT", 6)  # three of one input and one output
    server: Any = Server()
    ours = Flows(server)
    one, two, three, four = (f"{number:064x}" for number in range(1, 5))
    found = await ours.of([two, one, two])
    assert [flow.spends[0][0] for flow in found] == [two, one, two]
    assert server.asked == [two, one]
    await ours.of([one, three])
    await ours.of([one, four])
    assert server.asked == [two, one, three, four]
    await ours.of([one, three, four])
    assert server.asked == [two, one, three, four], "what was asked for last is still here"
    await ours.of([two])
    assert server.asked == [two, one, three, four, two], "and the oldest is not"

"""What a block's transactions paid, worked out from bytes, against what the node says of it; and nodes without them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import structlog

from chain_ingest import source as source_module
from chain_ingest.block import Block
from chain_ingest.fees import fees_paid
from chain_ingest.node import Node
from chain_ingest.source import Source
from chain_ingest.statistics import Statistics
from local_run.node import RegtestNode
from shared.events.blocks import BlockConnected
from shared.pool_tags import Pools
from shared.rpc import RpcClient
from support import spending
from support.each import each
from support.recorded_node import spent_txouts

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPTS = ("legacy", "p2sh-segwit", "bech32", "bech32m")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    """A chain whose blocks pay to and spend from every type of script, at many feerates."""
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=["-datacarriersize=200"]) as it:
        await it.rpc("createwallet", "w")

        async def address(kind: str) -> str:
            made: str = await it.rpc("getnewaddress", "", kind, wallet="w")
            return made

        await it.rpc("generatetoaddress", 120, await address("bech32"))
        paid = [await address(kind) for kind in SCRIPTS * 5]
        for round_ in range(4):
            for place in range(8):
                to = paid[place : place + 1 + 6 * (place % 3)]
                many = {one: round(0.01 + n / 1_000, 3) for n, one in enumerate(to)}
                await it.rpc("sendmany", "", many, 0, "", [], False, None, "unset", 1 + 7 * place + round_, wallet="w")
            sent = [{"data": "00" * 75}, {await address("bech32"): 0.001}]
            raw = await it.rpc("createrawtransaction", [], sent)
            funded = await it.rpc("fundrawtransaction", raw, {"fee_rate": 3}, wallet="w")
            signed = await it.rpc("signrawtransactionwithwallet", funded["hex"], wallet="w")
            await it.rpc("sendrawtransaction", signed["hex"], 0)
            await it.rpc("generatetoaddress", 1, await address(SCRIPTS[round_]))
        coins = await it.rpc("listunspent", wallet="w")
        some = {"inputs": [{"txid": coin["txid"], "vout": coin["vout"]} for coin in coins[:100]]}
        swept = await it.rpc("sendall", [await address("bech32m")], None, "unset", 5, some, wallet="w")
        assert swept["complete"]
        await it.rpc("generatetoaddress", 1, await address("legacy"))
        free = await spending.fan_out(it, await spending.mined_coins(it, 1), 300)
        await spending.send(it, [spending.build([coin], [coin.value - 200 - 37 * n]) for n, coin in enumerate(free)])
        await spending.mine(it)
        await spending.mine(it)  # nothing but a coinbase
        yield it


async def newest(node: RegtestNode, count: int) -> list[str]:
    tip = await node.rpc("getblockcount")
    return await node.batch([("getblockhash", (height,)) for height in range(tip - count + 1, tip + 1)], kind=str)


async def stats_of(node: RegtestNode, block_hash: str) -> dict[str, Any]:
    found: dict[str, Any] = await node.rpc("getblockstats", block_hash)
    return found


async def spent_by(node: RegtestNode, block_hash: str) -> bytes:
    """As the node's REST has it, made of what `getblock HASH 3` says."""
    block = await node.rpc("getblock", block_hash, 3)
    spent = []
    for transaction in block["tx"]:
        coins = [one["prevout"] for one in transaction["vin"] if "prevout" in one]
        spent.append([(round(one["value"] * 1e8), bytes.fromhex(one["scriptPubKey"]["hex"])) for one in coins])
    return spent_txouts(spent)


async def test_fees_and_percentiles_are_the_nodes_own(node: RegtestNode) -> None:
    seen = set()
    for block_hash in await newest(node, 112):
        block = Block(bytes.fromhex(await node.rpc("getblock", block_hash, 0)))
        found, stats = fees_paid(block, await spent_by(node, block_hash)), await stats_of(node, block_hash)
        assert found == (stats["totalfee"], stats["feerate_percentiles"], stats["avgfeerate"]), block_hash
        seen.add(len(block.txs))
    assert {1, 2, 10, 301} <= seen


async def test_what_the_node_gives_is_of_this_form(node: RegtestNode) -> None:
    """Where it gives it: Bitcoin Core from 30 on, Knots from 29."""
    for block_hash in await newest(node, 8):
        given = await (await node._client(None)).rest(f"spenttxouts/{block_hash}.bin")
        if given is None:
            pytest.skip(f"this node has no /rest/spenttxouts: {(await node.rpc('getnetworkinfo'))['subversion']}")
        assert given == await spent_by(node, block_hash)


class Spy(Node):
    """Counts what is asked over RPC, and spoils what comes over REST as told."""

    def __init__(self, rpc: RpcClient, spoil: dict[str, bytes | None]) -> None:
        super().__init__(rpc)
        self.asked: list[str] = []
        rest = rpc.rest

        async def spoilt(path: str) -> bytes | None:
            self.asked.append(kind := path.split("/", maxsplit=1)[0])
            return spoil[kind] if kind in spoil else await rest(path)

        rpc.rest = spoilt  # type: ignore[method-assign]  # one client of one test

    async def raw_block(self, block_hash: str) -> bytes:
        self.asked.append("getblock")
        return await super().raw_block(block_hash)

    async def stats(self, block_hash: str) -> Any:
        self.asked.append("getblockstats")
        return await super().stats(block_hash)


SPOILT: dict[str, dict[str, bytes | None]] = {
    "a node without them": {"spenttxouts": None},
    "a node without REST": {"spenttxouts": None, "block": None},
    "something else for outputs": {"spenttxouts": b"<html>welcome</html>"},
    "nothing for outputs": {"spenttxouts": b""},
    "outputs of another block": {"spenttxouts": spent_txouts([[], [(5, b"\x51")]])},
    "something else for blocks": {"spenttxouts": None, "block": b"<html>welcome</html>"},
}


@pytest.mark.parametrize("paced", [False, True])
@pytest.mark.parametrize("how", SPOILT)
async def test_each_way_says_the_same(node: RegtestNode, how: str, paced: bool) -> None:
    hashes = await newest(node, 3)
    async with RpcClient(node.settings()) as plain, RpcClient(node.settings()) as rpc:
        pace = asyncio.Lock() if paced else None
        direct = Source(Node(plain), Pools(), structlog.get_logger())
        spy = Spy(rpc, SPOILT[how])
        other = Source(spy, Pools(), structlog.get_logger(), pace)
        for block_hash in hashes:
            found, expected = [(await one.read(block_hash, BlockConnected)).fields for one in (other, direct)]
            assert found == expected
            assert list(found) == list(expected)
        assert "getblockstats" in spy.asked
        # what failed where another way did not is not tried again at once
        rest = {kind: spy.asked.count(kind) for kind in SPOILT[how]}
        assert each(count <= 2 for count in rest.values()), rest


async def test_a_way_is_tried_again_after_a_while(node: RegtestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node may have been restarted with REST, or be a newer one."""
    [_, full, _] = await newest(node, 3)
    async with RpcClient(node.settings()) as rpc:
        spoil: dict[str, bytes | None] = {"block": None}
        spy = Spy(rpc, spoil)
        source = Source(spy, Pools(), structlog.get_logger())
        monkeypatch.setattr(source_module, "WITHOUT_SECONDS", 0.0)
        await source.read(full, BlockConnected)
        assert spy.asked.count("getblock") == 1
        spoil.clear()
        await source.read(full, BlockConnected)
        assert spy.asked.count("getblock") == 1


async def test_nothing_is_parsed_on_the_event_loop(node: RegtestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    where: dict[str, str] = {}

    def noting(name: str, of: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            where[name] = threading.current_thread().name
            return of(*arguments)

        return noted

    monkeypatch.setattr(source_module, "Block", noting("block", Block))
    monkeypatch.setattr(source_module, "fees_paid", noting("fees", fees_paid))
    monkeypatch.setattr(Statistics, "of", noting("statistics", Statistics.of))
    [_, full, _] = await newest(node, 3)
    async with RpcClient(node.settings()) as rpc:
        await Source(Spy(rpc, {}), Pools(), structlog.get_logger()).read(full, BlockConnected)
    assert where.keys() >= {"block", "statistics"}
    assert threading.main_thread().name not in where.values()

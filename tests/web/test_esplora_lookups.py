"""Esplora's interface on a real node and a real ElectrumX: shapes, units, pages, and words where something is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from explorer.app import run
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.events.lookups import AddressWanted
from support.each import each
from support.electrumx import served
from support.explored import answer
from support.ledger import running
from support.stack import until
from support.web_harness import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPES = {
    "legacy": "p2pkh",
    "p2sh-segwit": "p2sh",
    "bech32": "v0_p2wpkh",
    "bech32m": "v1_p2tr",
}


class World(NamedTuple):
    node: RegtestNode
    valkey: EmbeddedValkey
    session: aiohttp.ClientSession
    busy: str  # an address with 60 transactions in blocks, and 3 that wait
    wide: str  # a transaction with one output of each type and 150 more

    async def wallet(self, method: str, *params: Any) -> Any:
        return await self.node.rpc(method, *params, wallet="w")

    async def get(self, path: str, status: int = 200) -> Any:
        async def there() -> Any:
            async with self.session.get(path) as response:
                said = await response.read()
                if response.status == 503 and status != 503 and response.headers.get("Retry-After") == "2":
                    return None  # it is being looked up
                assert response.status == status, (path, response.status, said[:300])
                assert response.headers["Access-Control-Allow-Origin"] == "*"
                if response.content_type == "application/json":
                    return [await response.json()]
                return [said.decode()]

        return (await until(there, 20, path))[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("world")
    async with (
        served(folder) as (node, server),
        EmbeddedValkey(folder / "valkey") as valkey,
        running(valkey.url, run, "explorer", **node.env(), MAIN_ELECTRUM_URL=server.url()),
        serving(valkey.url, network="regtest") as site,
        aiohttp.ClientSession(site.url, timeout=aiohttp.ClientTimeout(total=30)) as session,
    ):

        async def wallet(method: str, *params: Any) -> Any:
            return await node.rpc(method, *params, wallet="w")

        mining = await wallet("getnewaddress")
        await node.rpc("generatetoaddress", 40, mining)
        await node.rpc("createwallet", "other")
        busy = await node.rpc("getnewaddress", "", "bech32", wallet="other")
        for number in range(60):
            await wallet("sendtoaddress", busy, round(0.001 + number / 10**6, 6))
            if number % 6 == 5:
                await node.rpc("generatetoaddress", 1, mining)
        outputs = {await wallet("getnewaddress", "", kind): 0.001 for kind in TYPES}
        outputs |= {await wallet("getnewaddress"): 0.0001 for _ in range(150)}
        wide = (await wallet("send", [*({one: value} for one, value in outputs.items()), {"data": "00ff"}]))["txid"]
        await node.rpc("generatetoaddress", 1, mining)
        [coin, *_] = await node.rpc("listunspent", 1, 9_999, [busy], wallet="other")
        spent = {"inputs": [{"txid": coin["txid"], "vout": coin["vout"]}]}
        await node.rpc("sendall", [mining], None, None, 2, spent, wallet="other")
        for _ in range(2):
            await wallet("sendtoaddress", busy, 0.002)
        client = redis.connect(valkey.url)
        script = (await node.rpc("validateaddress", busy))["scriptPubKey"]

        async def read() -> bool:
            name = f"warm:{await client.incr('n')}"
            said = await answer(client, name, AddressWanted(script=script), 30)
            return b'"waiting_count":3' in bytes(said.data)

        await until(read, 30, "the server has read all of it")
        await client.aclose()
        yield World(node, valkey, session, busy, wide)


def satoshi(amount: Any) -> int:
    return round(Decimal(str(amount)) * 10**8)


async def test_a_transaction_has_all_inputs_and_outputs(world: World) -> None:
    found = await world.get(f"/api/tx/{world.wide}")
    raw = await world.node.rpc("getrawtransaction", world.wide, 2)
    block = await world.node.rpc("getblockheader", raw["blockhash"])
    assert list(found) == ["txid", "version", "locktime", "vin", "vout", "size", "weight", "fee", "status"]
    assert {name: found[name] for name in ("txid", "version", "locktime", "size", "weight")} == {
        name: raw[name] for name in ("txid", "version", "locktime", "size", "weight")
    }
    assert found["fee"] == satoshi(raw["fee"])
    assert found["status"] == {
        "confirmed": True, "block_height": block["height"], "block_hash": block["hash"], "block_time": block["time"]
    }  # fmt: skip
    assert len(found["vout"]) == len(raw["vout"]) == 156
    for ours, theirs in zip(found["vout"], raw["vout"], strict=True):
        script = theirs["scriptPubKey"]
        assert ours["scriptpubkey"] == script["hex"]
        assert ours.get("scriptpubkey_address") == script.get("address")
        assert ours["value"] == satoshi(theirs["value"])
        assert type(ours["value"]) is int
    assert {one["scriptpubkey_type"] for one in found["vout"]} == {*TYPES.values(), "op_return"}
    [data] = [one for one in found["vout"] if one["scriptpubkey_type"] == "op_return"]
    assert data == {
        "scriptpubkey": "6a0200ff", "scriptpubkey_asm": "OP_RETURN OP_PUSHBYTES_2 00ff",
        "scriptpubkey_type": "op_return", "value": 0,
    }  # fmt: skip
    [hashed, *_] = [one for one in found["vout"] if one["scriptpubkey_type"] == "p2pkh"]
    inner = hashed["scriptpubkey"][6:46]
    assert hashed["scriptpubkey_asm"] == f"OP_DUP OP_HASH160 OP_PUSHBYTES_20 {inner} OP_EQUALVERIFY OP_CHECKSIG"
    for ours, theirs in zip(found["vin"], raw["vin"], strict=True):
        assert (ours["txid"], ours["vout"], ours["sequence"]) == (theirs["txid"], theirs["vout"], theirs["sequence"])
        assert ours["is_coinbase"] is False
        assert ours["scriptsig"] == theirs["scriptSig"]["hex"]
        assert bool(ours["scriptsig_asm"]) == bool(ours["scriptsig"])
        assert ours.get("witness") == theirs.get("txinwitness")
        assert ours["prevout"]["value"] == satoshi(theirs["prevout"]["value"])
        assert ours["prevout"]["scriptpubkey"] == theirs["prevout"]["scriptPubKey"]["hex"]
    assert found["fee"] == sum(one["prevout"]["value"] for one in found["vin"]) - sum(
        one["value"] for one in found["vout"]
    )
    assert await world.get(f"/api/tx/{world.wide}/status") == found["status"]


async def test_a_script_hash_shows_what_stood_behind_it(world: World) -> None:
    wrapped = next(
        one["scriptpubkey_address"]
        for one in (await world.get(f"/api/tx/{world.wide}"))["vout"]
        if one["scriptpubkey_type"] == "p2sh"
    )
    [coin] = await world.wallet("listunspent", 1, 9_999, [wrapped])
    inputs = {"inputs": [{"txid": coin["txid"], "vout": coin["vout"]}]}
    sent = await world.wallet("sendall", [await world.wallet("getnewaddress")], None, None, 2, inputs)
    [one] = (await world.get(f"/api/tx/{sent['txid']}"))["vin"]
    redeem = one["scriptsig"][2:]
    assert one["scriptsig_asm"] == f"OP_PUSHBYTES_22 {redeem}"
    assert one["inner_redeemscript_asm"] == f"OP_0 OP_PUSHBYTES_20 {redeem[4:]}"
    assert "inner_witnessscript_asm" not in one
    assert one["prevout"]["scriptpubkey_type"] == "p2sh"


async def test_a_coinbase_and_one_that_waits(world: World) -> None:
    raw = await world.node.rpc("getblock", await world.node.rpc("getbestblockhash"), 2)
    found = await world.get(f"/api/tx/{raw['tx'][0]['txid']}")
    [one] = found["vin"]
    assert (one["txid"], one["vout"], one["prevout"]) == ("0" * 64, 0xFFFFFFFF, None)
    assert (one["is_coinbase"], one["scriptsig"]) == (True, raw["tx"][0]["vin"][0]["coinbase"])
    assert (one["witness"], found["fee"]) == (["0" * 64], 0)
    waits = (await world.node.rpc("getrawmempool"))[0]
    assert (await world.get(f"/api/tx/{waits}"))["status"] == {"confirmed": False}
    assert await world.get(f"/api/tx/{waits}/status") == {"confirmed": False}


async def test_an_address_and_its_history(world: World) -> None:
    mine = await world.node.rpc("listunspent", 0, 9_999, [world.busy], wallet="other")
    paid = sum(100_000 + 100 * number for number in range(60))
    found = await world.get(f"/api/address/{world.busy}")
    chain, mempool = found["chain_stats"], found["mempool_stats"]
    assert list(found) == ["address", "chain_stats", "mempool_stats"]
    assert found["address"] == world.busy
    fields = ["funded_txo_count", "funded_txo_sum", "spent_txo_count", "spent_txo_sum", "tx_count"]
    assert [*chain] == [*mempool] == fields
    entries = await world.node.rpc("listtransactions", "*", 9_999, wallet="other")
    assert chain["funded_txo_count"] == 60
    assert chain["funded_txo_sum"] == paid
    own = {one["txid"] for one in entries if one.get("address") == world.busy}
    assert (mempool["funded_txo_count"], mempool["funded_txo_sum"], mempool["tx_count"]) == (2, 400_000, 3)
    balance = sum(satoshi(one["amount"]) for one in mine)
    assert chain["funded_txo_sum"] - chain["spent_txo_sum"] + 400_000 - mempool["spent_txo_sum"] == balance
    first = await world.get(f"/api/address/{world.busy}/txs")
    assert [one["status"]["confirmed"] for one in first] == [False] * 3 + [True] * 25
    heights = [one["status"]["block_height"] for one in first[3:]]
    assert heights == sorted(heights, reverse=True)
    seen = [one["txid"] for one in first[3:]]
    assert await world.get(f"/api/address/{world.busy}/txs/chain") == first[3:]
    assert await world.get(f"/api/address/{world.busy}/txs/mempool") == first[:3]
    while page := await world.get(f"/api/address/{world.busy}/txs/chain/{seen[-1]}"):
        assert len(page) <= 25
        assert each(one["status"]["confirmed"] for one in page)
        seen += [one["txid"] for one in page]
    assert len(seen) == len(set(seen)) == chain["tx_count"] >= 60
    assert set(seen) >= own - {one["txid"] for one in first[:3]}
    assert first[5] == await world.get(f"/api/tx/{first[5]['txid']}")
    assert await world.get(f"/api/address/{world.busy}/txs/chain/{'0' * 64}") == []
    coins = await world.get(f"/api/address/{world.busy}/utxo")
    assert {(one["txid"], one["vout"], one["value"]) for one in coins} == {
        (one["txid"], one["vout"], satoshi(one["amount"])) for one in mine
    }
    assert len(coins) == len(mine) > 25
    for one in coins:
        assert one["status"] == (await world.get(f"/api/tx/{one['txid']}"))["status"]


async def test_an_address_that_was_never_used(world: World) -> None:
    fresh = await world.wallet("getnewaddress")
    nothing = dict.fromkeys(
        ("funded_txo_count", "funded_txo_sum", "spent_txo_count", "spent_txo_sum", "tx_count"), 0
    )  # fmt: skip
    assert await world.get(f"/api/address/{fresh}") == {
        "address": fresh, "chain_stats": nothing, "mempool_stats": nothing
    }  # fmt: skip
    assert await world.get(f"/api/address/{fresh}/txs") == []
    assert await world.get(f"/api/address/{fresh}/utxo") == []


async def test_a_block(world: World) -> None:
    best = await world.node.rpc("getblock", await world.node.rpc("getbestblockhash"))
    found = await world.get(f"/api/block/{best['hash'].upper()}")
    assert found == {
        "id": best["hash"],
        "height": best["height"],
        "version": best["version"],
        "timestamp": best["time"],
        "tx_count": best["nTx"],
        "size": best["size"],
        "weight": best["weight"],
        "merkle_root": best["merkleroot"],
        "previousblockhash": best["previousblockhash"],
        "mediantime": best["mediantime"],
        "nonce": best["nonce"],
        "bits": 0x207FFFFF,
        "difficulty": best["difficulty"],
    }
    assert await world.get(f"/api/block-height/{best['height']}") == best["hash"]
    genesis = await world.get("/api/block-height/0")
    assert (await world.get(f"/api/block/{genesis}"))["previousblockhash"] is None


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/tx/xyz", 400, "Invalid hex string"),
        ("/api/tx/" + "0" * 64, 404, "Transaction not found"),
        ("/api/block/xyz", 400, "Invalid hex string"),
        ("/api/block/" + "0" * 64, 404, "Block not found"),
        ("/api/block-height/-1", 400, "Invalid number"),
        ("/api/block-height/9999999999", 400, "Invalid number"),
        ("/api/block-height/499999999", 404, "Block not found"),
        ("/api/block-height/999999999", 404, "Block not found"),
        ("/api/address/xyz", 400, "Invalid Bitcoin address"),
        ("/api/address/1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", 400, "Address on invalid network"),
        ("/api/address/" + "a" * 5_000 + "/txs", 400, "Invalid Bitcoin address"),
    ],
)
async def test_what_is_wrong_is_said_in_its_words(world: World, path: str, status: int, words: str) -> None:
    assert await world.get(path, status) == words


async def test_one_that_is_nowhere_is_in_no_block(world: World) -> None:
    assert await world.get(f"/api/tx/{'0' * 64}/status") == {"confirmed": False}


async def test_what_nobody_can_tell_is_no_zero(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    async with (
        EmbeddedValkey(tmp_path_factory.mktemp("alone")) as valkey,
        running(valkey.url, run, "explorer", **world.node.env()),
        serving(valkey.url, network="regtest") as site,
        aiohttp.ClientSession(site.url, timeout=aiohttp.ClientTimeout(total=30)) as session,
    ):
        alone = world._replace(session=session, valkey=valkey)
        for path in ("", "/txs", "/txs/chain", "/txs/mempool", "/utxo"):
            words = await alone.get(f"/api/address/{world.busy}{path}", 503)
            assert "No Electrum server" in words or "being looked up" in words
        assert "No Electrum server" in await alone.get(f"/api/address/{world.busy}", 503)
        assert (await alone.get(f"/api/tx/{world.wide}"))["fee"] > 0

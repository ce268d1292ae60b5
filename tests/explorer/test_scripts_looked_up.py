"""What the explorer answers about scripts: at an Electrum server, and by scans of the node alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio

from explorer.app import run
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import CHANGES
from shared.events.lookups import AddressWanted
from shared.lookups import address
from shared.lookups.address import PAGE, Found
from shared.lookups.parts import Away
from support.electrumx import Followed
from support.explored import KEYS, answer
from support.ledger import running
from support.stack import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TYPES = ("legacy", "p2sh-segwit", "bech32", "bech32m")


class World(NamedTuple):
    node: RegtestNode
    electrum: str
    redis_url: str
    client: redis.Client
    scripts: dict[str, str]  # address -> script

    def env(self, *, electrum: bool) -> dict[str, str]:
        return {**self.node.env(), **({"MAIN_ELECTRUM_URL": self.electrum} if electrum else {})}


async def script_of(node: RegtestNode, text: str) -> str:
    found: str = (await node.rpc("validateaddress", text))["scriptPubKey"]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(followed: Followed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Four scripts, one of each type, with 40 payments in and 5 out; two more wait in the mempool."""
    node, server = followed
    async with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as valkey:
        own = [await node.rpc("getnewaddress", "", one, wallet="w") for one in TYPES]
        mining = await node.rpc("getnewaddress", wallet="w")
        await node.rpc("generatetoaddress", 20, mining)
        for round_ in range(10):
            for one in own:
                await node.rpc("sendtoaddress", one, round(0.01 + round_ / 1000, 3), wallet="w")
            await node.rpc("generatetoaddress", 1, mining)
        for one in own:
            coins = await node.rpc("listunspent", 1, 999, [one], wallet="w")
            inputs = [{"txid": coin["txid"], "vout": coin["vout"]} for coin in coins[:5]]
            await node.rpc("sendall", [mining], None, None, 2, {"inputs": inputs}, wallet="w")
        await node.rpc("generatetoaddress", 1, mining)
        for one in own:
            await node.rpc("sendtoaddress", one, 0.5, wallet="w")
        client = redis.connect(valkey.url)
        await until(lambda: caught_up(server, node), 30, "ElectrumX has read the mempool")
        yield World(node, server.url(), valkey.url, client, {one: await script_of(node, one) for one in own})
        await client.aclose()


async def caught_up(server: Any, node: RegtestNode) -> bool:
    del server
    return bool((await node.rpc("getmempoolinfo"))["size"] >= 4)


async def looked_up(world: World, script: str, page: int = 0, coins: int = 0) -> address.Answer:
    tip = await world.node.rpc("getbestblockhash")
    question = f"address:{script}:{page}:{coins}:{tip}"
    await world.client.delete(KEYS.answer(CHANGES.slot, question))
    found = await answer(world.client, question, AddressWanted(script=script, page=page, coins=coins, tip=tip), 60)
    assert found.status == "done", found.error
    said: address.Answer = msgspec.json.decode(bytes(found.data), type=address.Answer)
    return said


def satoshi(amount: float) -> int:
    return round(Decimal(str(amount)) * 10**8)


async def test_an_electrum_server_tells_all_of_it(world: World) -> None:
    async with running(world.redis_url, run, "explorer", **world.env(electrum=True)):
        for text, script in world.scripts.items():
            coins = await world.node.rpc("scantxoutset", "start", [f"raw({script})"])
            there = satoshi(coins["total_amount"])

            async def whole(wanted: str = script, confirmed: int = there) -> Found | None:
                said = await looked_up(world, wanted)
                whole = isinstance(said, Found) and said.waiting_count and said.confirmed == confirmed
                return said if whole and isinstance(said, Found) else None

            found = await until(whole, 30, "the server has read the last block and the mempool")
            assert isinstance(found, Found)
            assert found.address == text
            mine = await world.node.rpc("listunspent", 0, 9_999_999, [text], wallet="w")
            assert found.confirmed == satoshi(coins["total_amount"])
            assert found.confirmed + (found.unconfirmed or 0) == sum(satoshi(one["amount"]) for one in mine)
            assert found.coin_count == len(mine)
            assert found.received is not None
            assert found.sent is not None
            assert found.received - found.sent == found.confirmed
            assert {(one.txid, one.vout, one.value) for one in found.coins} == {
                (one["txid"], one["vout"], satoshi(one["amount"])) for one in mine
            }
            assert found.history is not None
            waiting = found.waiting_count or 0
            assert [one.height is None for one in found.history] == [True] * waiting + [False] * (found.tx_count or 0)
            assert found.history[0].balance == found.confirmed + (found.unconfirmed or 0)
            assert found.history[waiting].balance == found.confirmed
            assert found.points is not None
            assert found.points[-1].balance == found.confirmed
            changes = [one.change or 0 for one in found.history[::-1]]
            assert [sum(changes[: at + 1]) for at in range(len(changes))] == [
                one.balance for one in found.history[::-1]
            ]


@pytest.mark.parametrize("filters", [False, True])
async def test_without_one_the_node_is_scanned(world: World, tmp_path: Path, filters: bool) -> None:
    node = world.node
    async with RegtestNode(tmp_path / "scanned", extra=["-blockfilterindex=1"] if filters else []) as other:
        for height in range(1, await node.rpc("getblockcount") + 1):
            raw = await node.rpc("getblock", await node.rpc("getblockhash", height), 0)
            await other.rpc("submitblock", raw)
        if filters:

            async def indexed() -> bool:
                return bool((await other.rpc("getindexinfo"))["basic block filter index"]["synced"])

            await until(indexed, 30, "the filters are there")
        await world.client.flushall()
        async with running(world.redis_url, run, "explorer", **other.env()):
            text, script = next(iter(world.scripts.items()))
            found = await looked_up(world, script)
            assert isinstance(found, Found)
            coins = await other.rpc("scantxoutset", "start", [f"raw({script})"])
            assert (found.address, found.confirmed) == (text, satoshi(coins["total_amount"]))
            assert (found.unconfirmed, found.coin_count) == (None, len(coins["unspents"]))
            assert found.without == ("electrum" if filters else "blockfilterindex")
            if filters:
                assert found.history is not None
                assert found.tx_count == len(found.history) > 10
                assert found.history[0].balance == found.confirmed
                assert found.received is not None
                assert found.sent is not None
                assert found.received - found.sent == found.confirmed
            else:
                assert (found.history, found.tx_count, found.received) == (None, None, None)
            began = asyncio.get_running_loop().time()
            second = await looked_up(world, script, page=1, coins=1)
            assert isinstance(second, Found)
            assert (second.as_of_ms, second.coins) == (found.as_of_ms, [])
            assert asyncio.get_running_loop().time() - began < 5


async def test_a_server_that_is_away_is_said_to_be(world: World) -> None:
    await world.client.flushall()
    async with running(world.redis_url, run, "explorer", **world.node.env(), MAIN_ELECTRUM_URL="tcp://127.0.0.1:1"):
        said = await looked_up(world, next(iter(world.scripts.values())))
        assert isinstance(said, Away)
        assert said.who == "electrum"


async def test_pages_hold_so_many(world: World) -> None:
    await world.client.flushall()
    mining = await world.node.rpc("getblock", await world.node.rpc("getbestblockhash"), 2)
    script = mining["tx"][0]["vout"][0]["scriptPubKey"]["hex"]
    async with running(world.redis_url, run, "explorer", **world.env(electrum=True)):
        pages = [await looked_up(world, script, page=number) for number in range(3)]
        rows = [row.txid for page in pages if isinstance(page, Found) for row in page.history or ()]
        first = pages[0]
        assert isinstance(first, Found)
        total = (first.tx_count or 0) + (first.waiting_count or 0)
        assert total > PAGE
        assert len(set(rows)) == len(rows) == total

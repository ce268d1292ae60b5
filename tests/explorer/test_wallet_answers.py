"""Wallets on a real node and a real Electrum server: what the explorer says equals what the node's own wallet says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from explorer.app import run
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import CHANGES
from shared.lookups.wallet import Found, Refused
from support.each import each
from support.electrumx import Followed
from support.explored import KEYS
from support.ledger import running
from support.stack import until
from support.wallets import SECRET, Asking, descriptors

pytestmark = pytest.mark.asyncio(loop_scope="session")

MINE = "looked-at"


class World(NamedTuple):
    node: RegtestNode
    electrum: str
    redis_url: str
    client: redis.Client
    mining: str

    async def mine(self, blocks: int = 1) -> list[str]:
        hashes: list[str] = await self.node.rpc("generatetoaddress", blocks, self.mining)
        return hashes

    async def own(self, method: str, *params: Any) -> Any:
        return await self.node.rpc(method, *params, wallet=MINE)

    async def pay(self, amount: float, kind: str = "bech32") -> str:
        txid: str = await self.node.rpc("sendtoaddress", await self.own("getnewaddress", "", kind), amount, wallet="w")
        return txid


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(followed: Followed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A wallet with coins of all types, that has spent and been paid, and one that mines."""
    node, server = followed
    async with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as valkey:
        await node.rpc("createwallet", MINE)
        it = World(
            node, server.url(), valkey.url, redis.connect(valkey.url), await node.rpc("getnewaddress", wallet="w")
        )
        await it.mine(20)
        for kind in ("legacy", "p2sh-segwit", "bech32", "bech32m") * 3:
            await it.pay(0.1, kind)
        await it.mine()
        for _ in range(3):
            await it.own("sendtoaddress", it.mining, 0.07)
        await it.mine()
        yield it
        await it.client.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def explorer(world: World) -> AsyncIterator[None]:
    env = {**world.node.env(), "MAIN_ELECTRUM_URL": world.electrum, "WALLET_SECRET": SECRET}
    async with running(world.redis_url, run, "explorer", **env):
        yield


def satoshi(amount: float) -> int:
    return round(Decimal(str(amount)) * 10**8)


async def equals_the_node(world: World, asking: Asking) -> Found:
    """Once the server knows what the node does: balances, coins and history are those of the node's wallet."""
    seen = ""

    async def same() -> Found | None:
        nonlocal seen
        found = await asking.whole()
        balances = (await world.own("getbalances"))["mine"]
        theirs = satoshi(balances["trusted"]) + satoshi(balances["untrusted_pending"]) + satoshi(balances["immature"])
        coins = {(one["txid"], one["vout"], satoshi(one["amount"])) for one in await world.own("listunspent", 0)}
        waiting = set(await world.node.rpc("getrawmempool"))
        told: dict[str, int] = {}
        for one in await world.own("listtransactions", "*", 1_000):
            if one["confirmations"] < 1 and one["txid"] not in waiting:
                continue  # replaced
            change = satoshi(one["amount"]) + (satoshi(one["fee"]) if one["category"] == "send" else 0)
            told[one["txid"]] = told.get(one["txid"], 0) + change
        ours = {entry.txid: entry.change for entry in found.history or ()}
        seen = f"ours {found.confirmed} {found.unconfirmed} {ours}, theirs {theirs} {told}"
        waits = {entry.txid for entry in found.history or () if entry.height is None}
        if (found.confirmed or 0) + (found.unconfirmed or 0) != theirs or ours != told or waits != waiting & set(told):
            return None
        assert {(one.txid, one.vout, one.value) for one in found.coins} == coins
        return found

    try:
        found = await until(same, 20, "the explorer says what the node's wallet says")
    except AssertionError as error:
        raise AssertionError(f"{error}; {seen}") from None
    assert found is not None
    return found


async def test_it_says_what_the_nodes_wallet_says(world: World, explorer: None) -> None:
    asking = Asking(world.client, await descriptors(world.node, MINE))
    found = await equals_the_node(world, asking)
    assert found.unconfirmed == 0
    assert found.used_count >= 12
    assert found.received is not None
    assert found.sent is not None
    assert found.received - found.sent == found.confirmed
    assert found.points is not None
    assert found.points[-1].balance == found.confirmed
    history = found.history or []
    assert each(one.time for one in history)
    assert history[0].balance == found.confirmed


async def test_it_follows_what_happens(world: World, explorer: None) -> None:
    """Before and after confirmation, replaced, and with the chain reorganised."""
    asking = Asking(world.client, await descriptors(world.node, MINE))
    before = await equals_the_node(world, asking)
    incoming = await world.pay(0.25)
    outgoing = await world.own("sendtoaddress", world.mining, 0.03)
    waits = await equals_the_node(world, asking)
    assert waits.confirmed == before.confirmed
    assert {incoming, outgoing} <= {one.txid for one in waits.history or () if one.height is None}
    bumped = (await world.own("bumpfee", outgoing))["txid"]
    replaced = await equals_the_node(world, asking)
    assert bumped in {one.txid for one in replaced.history or ()}
    assert outgoing not in {one.txid for one in replaced.history or ()}
    [block] = await world.mine()
    mined = await equals_the_node(world, asking)
    assert mined.unconfirmed == 0
    await world.node.rpc("invalidateblock", block)
    for _ in range(2):  # an Electrum server sees another chain once it is longer
        await world.node.rpc("generateblock", world.mining, [])
    back = await equals_the_node(world, asking)
    assert {one.txid for one in back.history or () if one.height is None} >= {incoming, bumped}
    await world.mine(2)
    assert (await equals_the_node(world, asking)).unconfirmed == 0


async def test_who_looks_is_told(world: World, explorer: None) -> None:
    """Of a payment to an address that was not used before; the answer asked for then has it."""
    asking = Asking(world.client, await descriptors(world.node, MINE))
    await equals_the_node(world, asking)
    txid = await world.pay(0.01)

    async def told() -> bool:
        entries = await world.client.xrevrange(KEYS.stream(CHANGES), count=50)
        return any(
            fields[b"type"] == b"wallet.changed" and asking.sealed.name.encode() in fields[b"data"]
            for _, fields in entries
        )

    await until(told, 15, "the change is told")
    assert txid in {one.txid for one in (await asking.whole()).history or ()}
    await world.mine()


async def test_the_next_addresses(world: World, explorer: None) -> None:
    """Of one chain it is the first behind the last used one; with a smaller gap and a larger one."""
    listed = (await descriptors(world.node, MINE)).splitlines()
    pair = "\n".join(line for line in listed if line.startswith("wpkh("))
    found = await Asking(world.client, pair).whole(gap=5)
    assert found.next_receive is not None
    assert found.next_change is not None
    info = await world.own("getaddressinfo", found.next_receive.address)
    assert info["ismine"]
    assert not info["ischange"] or found.next_receive.tx_count == 0
    assert (await world.own("getaddressinfo", found.next_change.address))["ismine"]
    wider = await Asking(world.client, pair).whole(gap=60)
    assert wider.looked_at > found.looked_at


async def test_pages(world: World, explorer: None) -> None:
    asking = Asking(world.client, await descriptors(world.node, MINE))
    first = await asking.whole()
    assert (await asking.whole(page=1)).history == []
    assert (await asking.whole(coins=1)).coins == []
    assert first.coin_count == len(first.coins)


async def test_what_is_no_wallet_is_refused_in_its_answer(world: World, explorer: None) -> None:
    refused = await Asking(world.client, "wpkh(what/is/this)").found()
    assert isinstance(refused, Refused)
    assert await Asking(world.client, "nonsense").found() == Refused(why="not-recognised")


@contextlib.asynccontextmanager
async def alone(folder: Path, **env: str) -> AsyncIterator[redis.Client]:
    """An explorer with a Redis of its own."""
    async with EmbeddedValkey(folder) as valkey, running(valkey.url, run, "explorer", **env):
        client = redis.connect(valkey.url)
        yield client
        await client.aclose()


async def test_a_seal_of_another_secret_says_so(world: World, tmp_path: Path) -> None:
    env = {**world.node.env(), "MAIN_ELECTRUM_URL": world.electrum, "WALLET_SECRET": SECRET[::-1]}
    async with alone(tmp_path, **env) as client:
        with pytest.raises(AssertionError, match="WALLET_SECRET must be the same"):
            await Asking(client, "x").found()


async def test_without_a_server_balances_and_coins(world: World, tmp_path: Path) -> None:
    """And nothing is said that only histories tell: an empty address that was used must not be called the next one."""
    async with alone(tmp_path, **world.node.env(), WALLET_SECRET=SECRET) as client:
        found = await Asking(client, await descriptors(world.node, MINE)).whole()
    coins = {(one["txid"], one["vout"], satoshi(one["amount"])) for one in await world.own("listunspent", 1)}
    assert {(one.txid, one.vout, one.value) for one in found.coins} == coins
    assert found.confirmed == sum(value for _, _, value in coins)
    assert found.without == "electrum"
    unknown = (found.unconfirmed, found.history, found.points, found.tx_count, found.next_receive, found.next_change)
    assert unknown == (None,) * 6
    assert set(found.sources.values()) == {"scan"}


@pytest.mark.full
async def test_a_thousand_used_addresses_take_less_than_five_seconds(world: World, tmp_path: Path) -> None:
    """Cold: nothing is known of them but by the server."""
    await world.node.rpc("createwallet", "large")
    for _ in range(10):
        calls = [("getnewaddress", ("", "bech32"))] * 100
        addresses = await world.node.batch(calls, wallet="large", kind=str)
        await world.node.rpc("sendmany", "", dict.fromkeys(addresses, 0.001), wallet="w")
    await world.mine()
    text = "\n".join(line for line in (await descriptors(world.node, "large")).splitlines() if line.startswith("wpkh("))
    async with alone(tmp_path, **world.node.env(), MAIN_ELECTRUM_URL=world.electrum, WALLET_SECRET=SECRET) as client:

        async def caught_up() -> bool:
            return (await Asking(client, addresses[-1]).whole()).unconfirmed == 0

        await until(caught_up, 60, "the server has the block")
        asking, began = Asking(client, text), time.monotonic()
        found = await asking.whole()
        took = time.monotonic() - began
    assert (found.used_count, found.confirmed) == (1_000, 100_000_000)
    assert took < 5, f"{took:.1f} s"
    print(f"{took:.1f} s")

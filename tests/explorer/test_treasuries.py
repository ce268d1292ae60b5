"""Published addresses on a real node and a real ElectrumX: what lies there, each move told once, whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio

from explorer.app import run
from explorer.electrum.client import Electrum
from explorer.treasury import watch
from local_run.electrumx import ElectrumX
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import MARKETCAP, MOVES, TREASURIES
from shared.errors import ElectrumRefused
from shared.events.treasuries import TreasuriesSeen, TreasuryMoved
from shared.explorer_views import SeenAddress, SeenHolder, SeenTreasuriesView
from shared.networks import NETWORKS
from shared.scripts.address import read
from support.each import each
from support.electrumx import served
from support.explored import KEYS
from support.ledger import running
from support.replicas import Replicas, killed
from support.stack import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEASE = KEYS.lease(TREASURIES.slot, TREASURIES.owner.name)
MAINNET = "32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo"
COIN = 10**8


class World(NamedTuple):
    node: RegtestNode
    electrum: ElectrumX
    valkey: EmbeddedValkey
    client: redis.Client

    def env(self, *, electrum: bool = True) -> dict[str, str]:
        return {**self.node.env(), **({"MAIN_ELECTRUM_URL": self.electrum.url()} if electrum else {})}

    async def fresh(self) -> str:
        """An address of a wallet that pays nothing by itself."""
        text: str = await self.node.rpc("getnewaddress", wallet="holders")
        return text

    async def publish(self, **holders: Sequence[str]) -> None:
        """As marketcap materialises it: who published what."""
        rows = [
            {"name": name.title(), "key": f"company:{name}", "addresses": [{"address": one} for one in addresses]}
            for name, addresses in holders.items()
        ]
        raw = msgspec.json.encode({"rows": [*rows, {"name": "Silent", "key": "company:silent", "addresses": []}]})
        await self.client.hset(KEYS.views(MARKETCAP), "treasuries_companies", raw)

    async def pay(self, text: str, bitcoin: float = 0.01) -> str:
        txid: str = await self.node.rpc("sendtoaddress", text, bitcoin, wallet="w")
        return txid

    async def mine(self, *txids: str) -> str:
        """One block, of these transactions alone where any are named."""
        to = await self.fresh()
        if txids:
            return str((await self.node.rpc("generateblock", to, [*txids]))["hash"])
        return str((await self.node.rpc("generatetoaddress", 1, to))[0])

    async def height(self) -> int:
        found: int = await self.node.rpc("getblockcount")
        return found

    async def moves(self) -> list[TreasuryMoved]:
        return [one for one in await self.events() if isinstance(one, TreasuryMoved)]

    async def events(self) -> list[Any]:
        """Everything that was told; without a hole, and nothing twice."""
        entries = await self.client.xrange(KEYS.stream(MOVES))
        assert [int(fields[b"seq"]) for _, fields in entries] == list(range(1, len(entries) + 1))
        return [MOVES.family.decode(fields[b"type"], fields[b"data"]) for _, fields in entries]

    async def seen(self) -> dict[str, SeenHolder]:
        raw = await self.client.hget(KEYS.views(TREASURIES), "seen_treasuries")
        view = msgspec.json.decode(raw, type=SeenTreasuriesView) if raw else None
        return {one.key.removeprefix("company:"): one for one in (view.holders if view else [])}

    async def holds(self, name: str, confirmed: int, unconfirmed: int | None = 0, limit: float = 15) -> SeenHolder:
        """The holder, once so much is seen."""

        async def so_much() -> SeenHolder | None:
            found = (await self.seen()).get(name)
            same = found is not None and (found.confirmed, found.unconfirmed) == (confirmed, unconfirmed)
            return found if same else None

        try:
            found = await until(so_much, limit, f"{name} is seen to hold {confirmed} and {unconfirmed}")
        except AssertionError:
            print(f"it is {(await self.seen()).get(name)} at {await self.height()}")
            raise
        assert found is not None
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("treasuries")
    async with served(folder) as (node, server), EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as valkey:
        await node.rpc("createwallet", "holders")
        await node.rpc("generatetoaddress", 10, await node.rpc("getnewaddress", wallet="w"))
        client = redis.connect(valkey.url)
        yield World(node, server, valkey, client)
        await client.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def world(parts: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(watch, "LIST_SECONDS", 0.3)
    await parts.client.flushall()
    yield parts
    await parts.mine()  # what a test left waiting


def deltas(moves: Sequence[TreasuryMoved]) -> list[tuple[str, int, int | None]]:
    return [(one.holder.removeprefix("company:"), one.confirmed_delta, one.unconfirmed_delta) for one in moves]


def of(holder: SeenHolder, address: str) -> SeenAddress:
    [found] = [one for one in holder.addresses if one.address == address]
    return found


async def test_what_lies_there_is_seen_and_the_first_look_is_no_move(world: World) -> None:
    full, empty, both = [await world.fresh() for _ in range(3)]
    await world.pay(full, 0.5)
    await world.pay(both, 0.25)
    await world.mine()
    async with running(world.valkey.url, run, "explorer", **world.env()):
        await world.publish(one=[full, empty, both, MAINNET, "nonsense"], two=[both])
        one = await world.holds("one", 75 * COIN // 100)
        two = await world.holds("two", 25 * COIN // 100)
        assert (one.seen, two.seen, one.height) == (3, 1, await world.height())
        assert of(one, empty).confirmed == 0
        assert (of(one, MAINNET).why, of(one, MAINNET).confirmed) == ("network", None)
        assert (of(one, "nonsense").why, of(one, "nonsense").confirmed) == ("unreadable", None)
        assert one.since_ms is not None
        assert one.as_of_ms is not None
        assert one.since_ms <= one.as_of_ms
        assert one.moves == []
        before = one.height or 0
        await world.mine()

        async def again() -> bool:
            found = (await world.seen())["one"]
            return found.height == before + 1 and (found.as_of_ms or 0) > (one.as_of_ms or 0)

        await until(again, 15, "it is looked at again with the next block")
        assert await world.moves() == []
        await world.publish(two=[both])

        async def left() -> bool:
            return set(await world.seen()) == {"two"} and await world.client.hlen(KEYS.state(TREASURIES)) == 1

        await until(left, 5, "what is published no more is not followed")
        assert await world.moves() == []
        newest = (await world.events())[-1]
        assert isinstance(newest, TreasuriesSeen)
        assert (newest.holders, newest.addresses, newest.seen) == (1, 1, 1)


async def test_where_nobody_published_anything_nothing_is_followed_and_nothing_fails(world: World) -> None:
    async with running(world.valkey.url, run, "explorer", **world.env()) as it:
        await until(lambda: world.client.exists(LEASE), 5, "it is the active one")

        async def well() -> bool:
            return it.health.state == "ok"

        await until(well, 5, "it is well")
        assert await world.events() == []
        await world.publish()
        await until(world.events, 5, "a list without an address is known")
        assert await world.seen() == {}
        assert it.health.state == "ok"


async def test_each_move_is_told_as_it_waits_and_as_it_is_mined(world: World) -> None:
    text, shared, other = [await world.fresh() for _ in range(3)]
    async with running(world.valkey.url, run, "explorer", **world.env()):
        await world.publish(one=[text, shared], two=[shared, other])
        await world.holds("one", 0)
        await world.holds("two", 0)
        txid = await world.pay(text, 0.5)
        one = await world.holds("one", 0, COIN // 2)
        assert [(move.txid, move.address) for move in one.moves] == [(txid, text)]
        await world.mine()
        one = await world.holds("one", COIN // 2, 0)
        assert [move.txid for move in one.moves] == [txid, txid]
        assert one.moves[0].height == one.height == await world.height()
        await world.pay(shared, 0.25)
        await world.mine()
        await world.holds("one", 75 * COIN // 100)
        await world.holds("two", COIN // 4)
        spent = {"inputs": await coins(world, text)}
        await world.node.rpc("sendall", [await world.fresh()], None, None, 2, spent, wallet="holders")
        await world.holds("one", 75 * COIN // 100, -COIN // 2)
        await world.mine()
        await world.holds("one", COIN // 4)
        moves = await world.moves()
    told = deltas([one for one in moves if one.address == text])
    half = COIN // 2
    assert told == [("one", 0, half), ("one", half, -half), ("one", 0, -half), ("one", -half, half)]
    for holder, total in (("one", COIN // 4), ("two", COIN // 4)):
        of_both = [one for one in moves if one.address == shared and one.holder == f"company:{holder}"]
        assert of_both, "an address of two holders is told for each"
        assert sum(one.confirmed_delta for one in of_both) == total
        assert sum(one.unconfirmed_delta or 0 for one in of_both) == 0
    assert each(one.source == "electrum" and one.time_ms > 0 for one in moves)


async def coins(world: World, text: str) -> list[dict[str, Any]]:
    found = await world.node.rpc("listunspent", 0, 9_999_999, [text], wallet="holders")
    return [{"txid": one["txid"], "vout": one["vout"]} for one in found]


async def test_a_block_that_is_disconnected_takes_its_payment_back(world: World) -> None:
    text = await world.fresh()
    async with running(world.valkey.url, run, "explorer", **world.env()):
        await world.publish(one=[text])
        await world.holds("one", 0)
        await world.pay(text, 0.5)
        half = COIN // 2
        await world.holds("one", 0, half)
        block = await world.mine()
        await world.holds("one", half, 0)
        await world.node.rpc("invalidateblock", block)
        to = await world.fresh()
        for _ in range(2):  # a longer chain without the payment, which waits again
            await world.node.rpc("generateblock", to, [])
        one = await world.holds("one", 0, half, 30)
        assert one.height == await world.height()
        moves = deltas(await world.moves())
        assert moves == [("one", 0, half), ("one", half, -half), ("one", -half, half)]
        await world.mine()
        await world.holds("one", half, 0)
        assert deltas(await world.moves())[3:] == [("one", half, -half)]


@pytest.mark.parametrize("electrum", [True, False])
async def test_one_that_is_killed_is_replaced_and_each_move_is_told_once(
    world: World, tmp_path: Path, electrum: bool
) -> None:
    text = await world.fresh()
    await world.publish(one=[text])
    half, unconfirmed = COIN // 2, 0 if electrum else None
    env = world.env(electrum=electrum)
    async with Replicas("explorer", tmp_path, **env, REDIS_URL=world.valkey.url) as replicas:
        first = await replicas.active(world.client, LEASE)
        await world.holds("one", 0, unconfirmed)
        await asyncio.gather(moved(world, text), killed(first))
        [other] = [one for one in replicas.all if one is not first]

        async def replaced() -> bool:
            return await replicas.holder(world.client, LEASE) is other

        await until(replaced, 15, "the other is the active one")
        if not electrum:  # a scan is made once a minute at most, but that one may have been long ago
            await killed(other)
            await aged(world)
            await other.start()
        await world.holds("one", half, unconfirmed, 30)
        await killed(other)
        moves = await world.moves()
        assert sum(one.confirmed_delta for one in moves) == half
        assert sum(one.unconfirmed_delta or 0 for one in moves) == 0
        told = len(moves)
        await aged(world)
        await other.start()
        before = len(await world.events())
        await world.mine()

        async def looked() -> bool:
            return len(await world.events()) > before

        if electrum:
            await until(looked, 30, "it looks again")
        else:
            await until(lambda: world.client.exists(LEASE), 15, "it is the active one again")
        assert len(await world.moves()) == told, "what was told is not told again"


async def aged(world: World) -> None:
    """What is known is of two minutes ago."""
    for field, raw in (await world.client.hgetall(KEYS.state(TREASURIES))).items():
        known = msgspec.json.decode(raw)
        known["as_of_ms"] -= 120_000
        await world.client.hset(KEYS.state(TREASURIES), field, msgspec.json.encode(known))


async def moved(world: World, text: str) -> None:
    await world.pay(text, 0.5)
    await world.mine()


async def test_what_moved_while_nobody_watched_is_told_once_afterwards(world: World) -> None:
    text = await world.fresh()
    await world.publish(one=[text])
    async with running(world.valkey.url, run, "explorer", **world.env()):
        await world.holds("one", 0)
    await moved(world, text)
    await moved(world, text)
    for _ in range(2):
        async with running(world.valkey.url, run, "explorer", **world.env()):
            await world.holds("one", COIN)
            assert deltas(await world.moves()) == [("one", COIN, 0)]


async def test_without_a_server_the_node_is_scanned_for_all_of_them_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SCAN_SECONDS", 0.2)
    monkeypatch.setattr(watch, "SCAN_SHARE", 1)
    text, other = await world.fresh(), await world.fresh()
    async with running(world.valkey.url, run, "explorer", **world.env(electrum=False)):
        await world.publish(one=[text, MAINNET], two=[other])
        one = await world.holds("one", 0, None)
        assert (one.seen, one.height, of(one, MAINNET).why) == (1, await world.height(), "network")
        txid = await world.pay(text, 0.5)
        await world.mine()
        one = await world.holds("one", COIN // 2, None)
        assert [(move.txid, move.unconfirmed_delta) for move in one.moves] == [(txid, None)]
        tip = await world.node.rpc("getbestblockhash")
        await world.node.rpc("invalidateblock", tip)
        to = await world.fresh()
        for _ in range(2):
            await world.node.rpc("generateblock", to, [])
        await world.holds("one", 0, None)
        moves = await world.moves()
    assert deltas(moves) == [("one", COIN // 2, None), ("one", -COIN // 2, None)]
    assert {one.source for one in moves} == {"scan"}


async def test_after_a_scan_there_is_none_for_a_while(world: World) -> None:
    text = await world.fresh()
    async with running(world.valkey.url, run, "explorer", **world.env(electrum=False)):
        await world.publish(one=[text])
        one = await world.holds("one", 0, None)
        await moved(world, text)
        await asyncio.sleep(2 * watch.LOOK_SECONDS)  # nothing is to happen
        assert (await world.seen())["one"] == one
        other = await world.fresh()
        await world.publish(one=[text, other])  # one that was never looked at is
        one = await world.holds("one", COIN // 2, None)
        assert one.seen == 2


async def test_one_that_cannot_be_told_keeps_no_other_from_being_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await world.fresh(), await world.fresh()
    refused = read(bad, NETWORKS["regtest"]).scripthash
    asked = Electrum.balance

    async def balance(self: Electrum, script: Any) -> Any:
        if script.hash == refused:
            raise ElectrumRefused("balance", 1, "history too large")
        return await asked(self, script)

    monkeypatch.setattr(Electrum, "balance", balance)
    async with running(world.valkey.url, run, "explorer", **world.env()):
        await world.publish(one=[bad, good], two=[bad])
        await moved(world, good)
        one = await world.holds("one", COIN // 2)
        two = (await world.seen())["two"]
        assert (one.seen, of(one, bad).confirmed, of(one, bad).why) == (1, None, "refused")
        assert (two.seen, two.confirmed, two.unconfirmed, two.height) == (0, None, None, None)


async def test_while_nobody_answers_what_was_seen_stays_and_says_so(world: World) -> None:
    text = await world.fresh()
    await world.publish(one=[text])
    async with running(world.valkey.url, run, "explorer", **world.env()):
        await world.holds("one", 0)
        await world.electrum.stop()
        await moved(world, text)

        async def away() -> SeenAddress | None:
            found = of((await world.seen())["one"], text)
            return found if found.why else None

        found = await until(away, 30, "it is said that nobody answers")
        assert found is not None
        assert (found.why, found.confirmed) == ("away", 0)
        await world.electrum.start()
        one = await world.holds("one", COIN // 2, 0, 60)
        assert of(one, text).why == ""
        assert sum(move.confirmed_delta for move in await world.moves()) == COIN // 2

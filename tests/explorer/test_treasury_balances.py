"""Moves from looks, whatever is lost on the way; and a scan that nobody waits for, which gives way to people."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from explorer.address.scan import Scans
from explorer.electrum.script import Script
from explorer.treasury.balances import Balances, Failure, Look, Told
from explorer.treasury.published import Holder, Place
from shared.domains import TREASURIES
from shared.events.base import Event
from shared.events.lookups import AddressWanted
from shared.events.treasuries import TreasuryMoved
from shared.explorer_views import SeenTreasuriesView
from shared.fold import Changes
from shared.lookups.parts import Tip
from shared.networks import NETWORKS
from support.each import each
from support.explored import KEYS
from support.stack import until

SCRIPTS = [Script.of(f"0014{at:040x}") for at in range(4)]
A, B, C, D = (Place(f"address {at}", script) for at, script in enumerate(SCRIPTS))
FOREIGN = Place("foreign", None, "network")
HOLDERS = (Holder("one", "One", (A, B, FOREIGN)), Holder("two", "Two", (B, C)), Holder("three", "Three", (D,)))


class Redis:
    """What was committed: the state, the view and the events."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}
        self.view: SeenTreasuriesView | None = None
        self.events: list[Event] = []

    def commit(self, changes: Changes) -> None:
        keys, arguments = changes.commands.keys, list(changes.commands.arguments)
        while arguments:
            count = int(arguments[0])
            command, key, *rest = arguments[1 : count + 1]
            del arguments[: count + 1]
            name = keys[int(key) - 3]
            if name == KEYS.state(TREASURIES):
                field = str(rest[0]).encode()
                if command == "HDEL":
                    del self.state[field]
                else:
                    assert isinstance(rest[1], bytes)
                    self.state[field] = rest[1]
            else:
                assert isinstance(rest[1], bytes)
                self.view = msgspec.json.decode(rest[1], type=SeenTreasuriesView)
        self.events += changes.events

    @property
    def moves(self) -> list[TreasuryMoved]:
        return [one for one in self.events if isinstance(one, TreasuryMoved)]


def begun(redis: Redis) -> Balances:
    """As a replica begins that takes over."""
    balances = Balances(KEYS, "electrum")
    assert balances.restored(redis.state) == []
    balances.follow(HOLDERS)
    return balances


def adds_up(redis: Redis, first: dict[str, Told], truth: dict[str, Told]) -> None:
    """Moves are the difference between the first look and the last one, and the view shows that."""
    for holder in HOLDERS:
        for place in (one for one in holder.places if one.script is not None):
            moves = [one for one in redis.moves if (one.holder, one.address) == (holder.key, place.address)]
            name = place.script.hash if place.script else ""
            assert moves, "something moved"
            assert sum(one.confirmed_delta for one in moves) == truth[name].confirmed - first[name].confirmed
            assert each(one.confirmed_delta or one.unconfirmed_delta for one in moves)
    assert redis.view is not None
    for shown in redis.view.holders:
        for address in shown.addresses:
            place = next(one for one in (A, B, C, D, FOREIGN) if one.address == address.address)
            if place.script is None:
                assert (address.confirmed, address.why) == (None, "network")
            else:
                assert (address.confirmed, address.unconfirmed) == truth[place.script.hash][:2]
        assert len(shown.moves) <= 5
        assert [one.time_ms for one in shown.moves] == sorted((one.time_ms for one in shown.moves), reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_deltas_add_up_whatever_is_lost_on_the_way(seed: int) -> None:
    chance, redis = random.Random(seed), Redis()
    balances, first, truth = begun(redis), dict[str, Told](), dict[str, Told]()
    for step in range(200):
        told: dict[str, Told | Failure] = {}
        for script in SCRIPTS:
            if chance.random() < 0.5:
                amount = chance.choice([0, 5, 10**8])
                told[script.hash] = Told(amount, chance.choice([0, -amount, 7, None]))
            if chance.random() < 0.2:
                told[script.hash] = Failure("away", "gone")
        balances.take(Look(told, step, 1_000 + step))
        changes = balances.flush(1_000 + step)
        if chance.random() < 0.3:  # killed before the commit
            balances = begun(redis)
            continue
        redis.commit(changes)
        for name, one in told.items():
            if isinstance(one, Told):
                first.setdefault(name, one)
                truth[name] = one
        if chance.random() < 0.2:  # killed after it
            balances = begun(redis)
    adds_up(redis, first, truth)


def test_a_look_that_brings_nothing_new_is_committed_once() -> None:
    redis = Redis()
    balances = begun(redis)
    look = Look({script.hash: Told(5, 0) for script in SCRIPTS}, 7, 1_000)
    balances.take(look)
    redis.commit(balances.flush(1_000))
    assert [type(one).TYPE for one in redis.events] == ["treasuries.seen"]
    changes = balances.flush(1_001)
    assert not changes.events
    assert not changes.commands
    balances.silent("away", "nobody")
    redis.commit(balances.flush(1_002))
    balances.silent("away", "nobody")
    assert not balances.flush(1_003).events
    assert redis.view is not None
    assert [one.why for one in redis.view.holders[0].addresses] == ["away", "away", "network"]
    assert redis.view.holders[0].confirmed == 10, "what was known stays"


# --- a scan that nobody waits for ------------------------------------------------------------------------


class Slow:
    """A node whose scans go on until they are aborted, or told to end: on regtest none takes long."""

    def __init__(self) -> None:
        self.rpc = self
        self.began = 0
        self.aborted = 0
        self.over = asyncio.Event()

    async def call(self, method: str, action: str, *params: Any, kind: Any) -> Any:
        if action == "start" and method == "scantxoutset":
            self.began += 1
            self.over.clear()
            await self.over.wait()
            raw = {"success": True, "height": 7, "bestblock": "ab" * 32, "unspents": []}
            return msgspec.convert(raw, kind)
        if action == "start":
            return msgspec.convert({"relevant_blocks": []}, kind)
        if action == "abort":
            self.aborted += 1
            self.over.set()
            return True
        return msgspec.convert({"progress": 5}, kind)

    async def tip(self, wanted: str = "") -> Any:
        return Tip(height=7, hash="ab" * 32, time=1)

    async def header(self, block_hash: str) -> Any:
        return SimpleNamespace(hash=block_hash, height=7, time=1, confirmations=1)

    async def has(self, block_hash: str) -> bool:
        return bool(block_hash)


class Nothing:
    """A Redis that has nothing, and keeps nothing."""

    async def get(self, key: str) -> None:
        return None

    async def set(self, key: str, value: bytes, **more: Any) -> None:
        return None

    async def delete(self, key: str) -> None:
        return None


async def test_it_gives_way_to_a_look_up_of_somebody_and_is_aborted() -> None:
    node: Any = Slow()
    redis: Any = Nothing()
    scans = Scans(redis, KEYS, NETWORKS["regtest"], lambda: 0)
    raw = bytes.fromhex(SCRIPTS[0].script or "")
    aside = asyncio.ensure_future(scans.aside(node, [raw]))

    async def began(count: int) -> bool:
        return bool(node.began == count)

    await until(lambda: began(1), 5, "it is scanned")
    person = asyncio.ensure_future(scans.look_up(node, AddressWanted(script=raw.hex()), lambda: None))
    assert await asyncio.wait_for(aside, 5) is None
    assert node.aborted == 1
    await until(lambda: began(2), 5, "the look-up has its turn")
    assert await scans.aside(node, [raw]) is None, "it does not begin while somebody has the turn"
    node.over.set()
    await asyncio.wait_for(person, 5)
    alone = asyncio.ensure_future(scans.aside(node, [raw]))
    await until(lambda: began(3), 5, "it is scanned again")
    node.over.set()
    found = await asyncio.wait_for(alone, 5)
    assert found is not None
    assert (found.height, found.coins) == (7, {raw: []})
    assert node.aborted == 1


async def test_one_that_is_cancelled_is_aborted_at_the_node() -> None:
    node: Any = Slow()
    redis: Any = Nothing()
    scans = Scans(redis, KEYS, NETWORKS["regtest"], lambda: 0)
    aside = asyncio.ensure_future(scans.aside(node, [b"\x6a"]))

    async def began() -> bool:
        return bool(node.began)

    await until(began, 5, "it is scanned")
    aside.cancel()
    with pytest.raises(asyncio.CancelledError):
        await aside
    assert node.aborted == 1

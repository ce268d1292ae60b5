"""What a scan of the node's coins found is of a block of the chain, and whoever waits for one is told what for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio

from explorer.address.scan import Scans
from explorer.core.node import Node
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.errors import RpcMalformed
from shared.events.lookups import AddressWanted
from shared.keys import Keys
from shared.lookups.address import Working
from shared.networks import NETWORKS
from shared.rpc import RpcClient
from shared.scripts.hashes import scripthash
from support.stack import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = Keys("regtest")
MINING = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
OTHERS = itertools.count(1)  # so that no block is the one that was invalidated
SCRIPTS = [b"\x00\x14" + bytes((number,)) * 20 for number in range(1, 5)]


class Meddled(RpcClient):
    """Lets something happen before a scan of the coins begins, and after it ended."""

    before: Callable[[], Awaitable[Any]] | None = None
    after: Callable[[], Awaitable[Any]] | None = None
    scans = 0

    async def call(self, method: str, *params: Any, kind: Any = Any, **more: Any) -> Any:
        scan = (method, *params[:1]) == ("scantxoutset", "start")
        self.scans += scan
        if scan and self.before:
            await self.before()
        answer = await super().call(method, *params, kind=kind, **more)
        if scan and self.after:
            await self.after()
        return answer


class World(NamedTuple):
    regtest: RegtestNode
    rpc: Meddled
    node: Node
    client: redis.Client
    scans: Scans

    async def found(self, script: bytes = SCRIPTS[0]) -> Any:
        return await self.scans.look_up(self.node, AddressWanted(script=script.hex()), lambda: None)

    async def best(self) -> tuple[int, str]:
        best = await self.regtest.rpc("getbestblockhash")
        return (await self.regtest.rpc("getblockheader", best))["height"], best

    async def mine(self) -> None:
        await self.regtest.rpc("generatetoaddress", 1, MINING)

    async def replace_tip(self) -> None:
        """Another block stands where the newest one stood."""
        await self.regtest.rpc("invalidateblock", await self.regtest.rpc("getbestblockhash"))
        await self.regtest.rpc("generatetodescriptor", 1, f"raw(0014{next(OTHERS):040x})")

    async def working(self, script: bytes) -> Working | None:
        raw = await self.client.get(KEYS.progress(scripthash(script)))
        return None if raw is None else msgspec.json.decode(raw, type=Working)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[RegtestNode, str]]:
    folder = tmp_path_factory.mktemp("scans")
    async with RegtestNode(folder / "node") as regtest, EmbeddedValkey(folder / "valkey") as valkey:
        await regtest.rpc("generatetoaddress", 3, MINING)
        yield regtest, valkey.url


@pytest_asyncio.fixture(loop_scope="module")
async def world(made: tuple[RegtestNode, str]) -> AsyncIterator[World]:
    regtest, url = made
    client = redis.connect(url)
    await client.flushall()
    async with Meddled(regtest.settings()) as rpc:
        yield World(regtest, rpc, Node(rpc), client, Scans(client, KEYS, NETWORKS["regtest"], lambda: 7))
    await client.aclose()


async def test_the_block_is_that_of_the_scan(world: World) -> None:
    world.rpc.before = world.mine
    found = await world.found()
    assert (found.tip.height, found.tip.hash) == await world.best()
    tip, _ = await world.scans.coins(world.node, SCRIPTS, "w", lambda: None)
    assert (tip.height, tip.hash) == await world.best()


async def test_what_was_kept_of_a_block_that_left_is_found_again(world: World) -> None:
    first = await world.found()
    assert await world.found() == first
    assert world.rpc.scans == 1
    await world.replace_tip()
    again = await world.found()
    assert world.rpc.scans == 2
    assert (again.tip.height, again.tip.hash) == await world.best()
    assert again.tip.hash != first.tip.hash


async def test_a_block_that_leaves_during_the_scan_is_no_answer(world: World) -> None:
    times = iter([world.replace_tip])

    async def once() -> None:
        for replace in times:
            await replace()
            return

    world.rpc.after = once
    found = await world.found()
    assert world.rpc.scans == 2
    assert (found.tip.height, found.tip.hash) == await world.best()
    world.rpc.after = world.replace_tip
    with pytest.raises(RpcMalformed, match="3 times one after the other"):
        await world.found(SCRIPTS[1])


async def test_who_waits_is_told_how_many_come_before(world: World) -> None:
    going_on = asyncio.Event()
    world.rpc.before = going_on.wait
    looking = [asyncio.create_task(world.found(SCRIPTS[0]))]
    await until(lambda: _scanning(world), 10, "the first has its turn")
    looking += [asyncio.create_task(world.found(script)) for script in SCRIPTS[1:]]

    async def told() -> list[int] | None:
        said = [await world.working(script) for script in SCRIPTS[1:]]
        queued = [one.queued for one in said if one is not None and one.at == "turn"]
        return queued if sorted(queued) == [1, 2, 3] else None

    assert await until(told, 10, "how many come before is told")
    going_on.set()
    await asyncio.gather(*looking)
    assert [await world.working(script) for script in SCRIPTS] == [None] * len(SCRIPTS)


async def _scanning(world: World) -> bool:
    return world.rpc.scans == 1

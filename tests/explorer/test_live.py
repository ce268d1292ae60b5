"""The live watch of scripts on a real ElectrumX: told once, within a second, whoever of two replicas does it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from explorer.address.live import HOLDER
from explorer.app import run
from local_run.electrumx import ElectrumX
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import CHANGES
from shared.events.lookups import AddressChanged, AddressWanted
from shared.lookups import address
from shared.lookups.address import Found
from shared.networks import NETWORKS
from shared.scripts.address import read
from support.electrumx import Followed
from support.explored import KEYS, answer
from support.ledger import running
from support.replicas import Replicas, killed
from support.stack import until
from support.web_harness import serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEASE = KEYS.lease(CHANGES.slot, HOLDER)


class World(NamedTuple):
    node: RegtestNode
    electrum: ElectrumX
    valkey: EmbeddedValkey
    client: redis.Client

    @property
    def env(self) -> dict[str, str]:
        return {**self.node.env(), "MAIN_ELECTRUM_URL": self.electrum.url()}

    async def fresh(self) -> tuple[str, str, str]:
        """An address of the wallet that nothing was paid to, its script and its script hash."""
        text = await self.node.rpc("getnewaddress", wallet="w")
        found = read(text, NETWORKS["regtest"])
        return text, found.script.hex(), found.scripthash

    async def look_up(self, script: str, name: str = "") -> Found:
        question = f"address:{script[:20]}:{name}:{time.monotonic_ns()}"
        found = await answer(self.client, question, AddressWanted(script=script), 30)
        said = msgspec.json.decode(bytes(found.data), type=address.Answer)
        assert isinstance(said, Found), said
        return said

    async def watch(self, name: str, seconds: float = 60) -> None:
        now, micros = await self.client.time()
        await self.client.zadd(KEYS.watched, {name: int(now) * 1000 + micros // 1000 + int(seconds * 1000)})

    async def pay(self, text: str) -> str:
        txid: str = await self.node.rpc("sendtoaddress", text, 0.01, wallet="w")
        return txid

    async def mine(self) -> None:
        await self.node.rpc("generatetoaddress", 1, await self.node.rpc("getnewaddress", wallet="w"))

    async def told(self, name: str) -> list[str]:
        """The statuses that were told of a script."""
        entries = await self.client.xrange(KEYS.stream(CHANGES))
        found = [
            msgspec.json.decode(fields[b"data"], type=AddressChanged)
            for _, fields in entries
            if fields[b"type"] == AddressChanged.TYPE.encode()
        ]
        return [one.status for one in found if one.key == name]

    async def followed(self, name: str) -> bool:
        return bool(await self.client.exists(KEYS.status_told(name)))

    async def tells(self, name: str, count: int, limit: float = 5) -> list[str]:
        async def enough() -> list[str]:
            found = await self.told(name)
            return found if len(found) >= count else []

        return await until(enough, limit, f"{count} changes are told")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def parts(followed: Followed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as valkey:
        client = redis.connect(valkey.url)
        yield World(*followed, valkey, client)
        await client.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: World) -> World:
    await parts.client.flushall()
    return parts


async def test_each_change_is_told_once(world: World) -> None:
    text, script, name = await world.fresh()
    async with (
        running(world.valkey.url, run, "explorer", **world.env, INSTANCE="one"),
        running(world.valkey.url, run, "explorer", **world.env, INSTANCE="two"),
    ):
        await world.look_up(script)
        await world.watch(name)
        await world.watch("ab" * 32)  # a transaction
        await until(lambda: world.followed(name), 5, "it is followed")
        await world.pay(text)
        [first] = await world.tells(name, 1)
        await world.mine()
        statuses = await world.tells(name, 2)
        assert statuses[0] == first
        assert len(set(statuses)) == len(statuses) == 2
        said = await world.look_up(script)
        assert (said.tx_count, said.waiting_count) == (1, 0)
        assert await world.told("ab" * 32) == []
    assert len(await world.told(name)) == 2, "nothing was told again as they stopped"


async def test_what_came_between_an_answer_and_the_watch_is_told(world: World) -> None:
    text, script, name = await world.fresh()
    still_text, still_script, still = await world.fresh()
    await world.pay(still_text)
    async with running(world.valkey.url, run, "explorer", **world.env):
        await world.look_up(script)
        await until(lambda: waits(world, still_script), 10, "the server has read the mempool")
        await world.client.delete(KEYS.status_seen(still))
        await world.look_up(still_script)
        await world.pay(text)
        await until(lambda: waits(world, script), 10, "the server has read the mempool")
        await world.watch(still)
        await until(lambda: world.followed(still), 5, "it is followed")
        await world.watch(name)
        [status] = await world.tells(name, 1)
        assert status
        assert await world.told(still) == [], "the status that the server tells is that of the history"


async def waits(world: World, script: str) -> bool:
    return (await world.look_up(script)).waiting_count == 1


async def test_what_nobody_looks_at_any_more_is_left(world: World) -> None:
    text, script, name = await world.fresh()
    async with running(world.valkey.url, run, "explorer", **world.env):
        await world.look_up(script)
        await world.watch(name)
        await until(lambda: world.followed(name), 5, "it is followed")
        await world.watch(name, 0.5)

        async def left() -> bool:
            return not await world.client.exists(KEYS.watched) and not await world.followed(name)

        await until(left, 5, "it is left")
        await world.pay(text)
        await until(lambda: waits(world, script), 10, "the server has read the mempool")
        assert await world.told(name) == []


async def test_one_that_is_killed_is_replaced_and_nothing_is_missed(world: World, tmp_path: Path) -> None:
    text, script, name = await world.fresh()
    async with Replicas("explorer", tmp_path, **world.env, REDIS_URL=world.valkey.url) as replicas:
        first = await replicas.active(world.client, LEASE)
        await world.look_up(script)
        await world.watch(name)
        await until(lambda: world.followed(name), 5, "it is followed")
        await world.pay(text)
        await world.tells(name, 1)
        await killed(first)
        began = time.monotonic()
        await world.pay(text)
        [other] = [one for one in replicas.all if one is not first]

        async def replaced() -> bool:
            return await replicas.holder(world.client, LEASE) is other

        await until(lambda: waited(world, script, 2), 10, "the other answers")
        await world.tells(name, 2, 10)
        assert time.monotonic() - began < 10
        assert await replaced()
        await world.pay(text)
        statuses = await world.tells(name, 3)
        assert len(set(statuses)) == len(statuses) == 3


async def waited(world: World, script: str, count: int) -> bool:
    return (await world.look_up(script)).waiting_count == count


async def test_a_page_is_told_within_a_second_and_asks_anew(world: World) -> None:
    text, script, name = await world.fresh()
    async with (
        running(world.valkey.url, run, "explorer", **world.env),
        serving(world.valkey.url, network="regtest") as site,
        aiohttp.ClientSession(site.url) as visitor,
    ):
        lookups = site.site.lookups

        async def shown() -> int | None:
            held = await lookups.ask(f"address:{name}:0:0", AddressWanted(script=script), address.Answer, 20)
            assert isinstance(held.answer, Found)
            return held.answer.waiting_count

        assert await shown() == 0
        async with visitor.get("/live/lookup", params={"about": name}) as stream:
            changes: asyncio.Queue[float] = asyncio.Queue()

            async def listen() -> None:
                async for line in stream.content:
                    if line.startswith(b"event: changed"):
                        changes.put_nowait(time.monotonic())

            listening = asyncio.ensure_future(listen())
            try:
                await until(lambda: world.followed(name), 5, "it is followed")
                took: list[float] = []
                for act in (lambda: world.pay(text), world.mine):
                    while not changes.empty():
                        changes.get_nowait()
                    began = time.monotonic()
                    await act()
                    acted: Any = time.monotonic()
                    took.append(await asyncio.wait_for(changes.get(), 5) - acted)
                    print(f"told {took[-1]:.3f} s after, the call itself took {acted - began:.3f} s")
                    if len(took) == 1:
                        assert await shown() == 1, "what was materialised before is not served"
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
        assert await shown() == 0
        assert max(took) < 1.0
        async with visitor.get("/live/lookup", params={"about": name}) as stream:  # its page may be from before
            assert await asyncio.wait_for(stream.content.readline(), 5) == b"event: changed\n"
        assert not lookups.changed_lately("cd" * 32, 30)


async def test_one_that_ends_hands_over(world: World) -> None:
    text, script, name = await world.fresh()
    async with running(world.valkey.url, run, "explorer", **world.env, INSTANCE="two"):
        async with running(world.valkey.url, run, "explorer", **world.env, INSTANCE="one"):
            await world.look_up(script)
            await world.watch(name)
            await until(lambda: world.followed(name), 5, "it is followed")
        await world.pay(text)
        await world.tells(name, 1, 8)

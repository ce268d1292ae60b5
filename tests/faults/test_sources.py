"""market and marketcap, two replicas each, killed at random while Redis is flushed or restarted, and nothing is wrong.

No budget is exceeded, no event told twice, no price missing that a source could tell; another replica goes on within
ten seconds, and what is shown is what services make that begin from nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from local_run.valkey import EmbeddedValkey
from market.app import PROVIDERS
from market.past import FIRST_DAY
from marketcap.questions import ASKED
from shared import redis, series
from shared.asset_views import RANKINGS, TREASURIES, NodesView
from shared.domains import ASSETS, MARKET, MARKETCAP, PRICES
from shared.domains import RANKINGS as RANKED
from shared.price_views import PricesView
from shared.prices import DIRECT
from shared.series import DAY, PRICE_DAYS
from support.asset_sources import AssetSources
from support.each import each
from support.exchanges import Exchanges
from support.full_sources import prices
from support.ledger import KEYS
from support.replicas import Replicas, exceeded, killed
from support.stack import until

TAKEN_OVER_SECONDS = 10.0
LEASES = {
    "market": [KEYS.lease(MARKET.slot, "market")],
    "marketcap": [KEYS.lease(MARKETCAP.slot, "marketcap-sources"), KEYS.lease(MARKETCAP.slot, "marketcap")],
}
STREAMS = (PRICES, ASSETS, RANKED)
LISTS = ("coins", "companies", "commodities", "currencies")


class World:
    """The sources, a server, and two replicas of each service."""

    def __init__(self, folder: Path, valkey: EmbeddedValkey, exchanges: Exchanges, assets: AssetSources) -> None:
        self.valkey = valkey
        self.client = redis.connect(valkey.url)
        self.services = {
            name: Replicas(name, folder, REDIS_URL=valkey.url, OUTSIDE_URL=url, WEB_PORT="0")
            for name, url in (("market", exchanges.url), ("marketcap", assets.url))
        }
        self.read: dict[str, list[tuple[bytes, int]]] = {one.name: [] for one in STREAMS}

    async def began(self) -> None:
        """Prices of shares are there: to ask all of them takes six minutes."""
        await self.client.hset(KEYS.asset_answers, "shares", prices(int(time.time())))

    async def reconnect(self) -> None:
        """With connections of its own to a server that was restarted."""
        await self.client.aclose()
        self.client = redis.connect(self.valkey.url)

    async def close(self) -> None:
        await self.client.aclose()

    async def strike(self, chance: random.Random, name: str) -> None:
        """kill -9 of whoever holds one of a service's leases: the other works within ten seconds. Then it is back."""
        lease, service = chance.choice(LEASES[name]), self.services[name]
        victim = await service.active(self.client, lease)
        await killed(victim)
        at = int(time.time() * 1000)
        gone = victim.process
        victim.process = None
        try:
            began = time.monotonic()
            await service.active(self.client, lease, TAKEN_OVER_SECONDS)
            await until(lambda: self.confirmed(name, at), TAKEN_OVER_SECONDS + began - time.monotonic(), "it goes on")
        finally:
            victim.process = gone
            await victim.start()

    async def confirmed(self, name: str, since_ms: int) -> bool:
        """Whether a service has said since then that what it tells is what its sources told last."""
        return int(await self.client.hget(KEYS.confirmed(name), "time_ms") or 0) > since_ms

    async def follow(self) -> None:
        """Read on what was told: each stream counts on, and begins anew only where it was lost."""
        for stream in STREAMS:
            entries = await self.client.xrange(KEYS.stream(stream))
            found = [(entry, int(fields[b"seq"])) for entry, fields in entries]
            numbers = [seq for _, seq in found]
            assert numbers == [*range(numbers[0], numbers[0] + len(numbers))] if numbers else True, stream.name
            again = dict(found)
            assert [seq for entry, seq in self.read[stream.name] if again.get(entry, seq) != seq] == [], stream.name
            self.read[stream.name] = found

    async def flush(self) -> None:
        """Redis loses everything, while the services run."""
        await self.follow()
        await self.client.flushall()
        self.read = {one.name: [] for one in STREAMS}


async def view(client: redis.Client, domain: Any, name: str, kind: Any) -> Any:
    raw = await client.hget(KEYS.views(domain), name)
    return None if raw is None else msgspec.json.decode(raw, type=kind)


async def figures(client: redis.Client) -> dict[str, Any] | None:
    """What is shown and kept, without moments; None while a part of it is not there."""
    found: dict[str, Any] = {}
    for name in LISTS:
        ranking = await view(client, MARKETCAP, f"ranking_{name}", RANKINGS[name])
        rows = ranking.rows if ranking else []
        found[name] = {(row.id, row.price_usd, row.quantity, row.value_usd) for row in rows if row.kind != "bitcoin"}
    for name, kind in TREASURIES.items():
        held = await view(client, MARKETCAP, f"treasuries_{name}", kind)
        found[f"holders: {name}"] = {(row.name, row.satoshi) for row in held.rows} if held else set()
    nodes = await view(client, MARKETCAP, "nodes", NodesView)
    found["nodes"] = nodes.counts if nodes else None
    told = await view(client, MARKET, "prices", PricesView)
    found["currencies with a price"] = set(told.prices) if told else set()
    return found if all(found.values()) else None


async def missing_days(client: redis.Client) -> list[str]:
    """Days that a source could tell, and that are not there: none since the first that there are rates for."""
    yesterday = int(time.time()) // DAY - 1
    lacking = []
    for currency in DIRECT:
        there = {index for index, _ in await series.read(client, KEYS, PRICE_DAYS[currency], FIRST_DAY, yesterday)}
        gone = yesterday - FIRST_DAY + 1 - len(there)
        if gone:
            lacking.append(f"{currency}: {gone}")
    return lacking


async def settled(what: Callable[[], Awaitable[Any]], limit: float, message: str) -> None:
    """Wait, with pauses: looking at sixteen years in seven currencies costs more than waiting."""
    deadline = time.monotonic() + limit
    while not await what():
        assert time.monotonic() < deadline, message
        await asyncio.sleep(0.3)


async def test_kills_and_a_redis_that_forgets_leave_nothing_wrong(tmp_path: Path, full: bool) -> None:
    chance = random.Random(11)
    async with AsyncExitStack() as stack:
        valkey = await stack.enter_async_context(EmbeddedValkey(tmp_path / "valkey"))
        exchanges = await stack.enter_async_context(Exchanges())
        assets = await stack.enter_async_context(AssetSources())
        world = World(tmp_path, valkey, exchanges, assets)
        stack.push_async_callback(world.close)
        await world.began()
        for service in world.services.values():
            await stack.enter_async_context(service)

        async def whole() -> bool:
            try:
                return await figures(world.client) is not None and not await missing_days(world.client)
            except redis.LOST:  # while it restarts
                return False

        await settled(whole, 40, "everything is shown, and no day is missing")
        rounds = ["flush", "restart", "flush", "kill", "restart", "kill"] if full else ["flush"]
        for happens in rounds:
            exchanges.prices["USD"] += 10  # so that there is something to tell
            await asyncio.gather(*(world.strike(chance, name) for name in world.services))
            await world.follow()
            if happens == "flush":
                await world.flush()
            elif happens == "restart":
                await valkey.restart(kill=True)
                await world.reconnect()
            await settled(whole, 60 if full else 20, f"after a {happens} everything is there again")
            await world.follow()
        assert [said for one in PROVIDERS for said in exceeded(exchanges.asked, one)] == []
        assert [said for one in ASKED.values() for said in exceeded(assets.asked, one)] == []
        assert each("Traceback" not in one.log for service in world.services.values() for one in service.all)
        await _equals_fresh(stack, tmp_path, world, exchanges, assets, full=full)


async def _equals_fresh(
    stack: AsyncExitStack, folder: Path, world: World, exchanges: Exchanges, assets: AssetSources, *, full: bool
) -> None:
    """What is shown is what services show that begin from nothing; companies, told once a minute, in full alone."""
    (folder / "fresh").mkdir()
    valkey = await stack.enter_async_context(EmbeddedValkey(folder / "fresh" / "valkey"))
    fresh = World(folder / "fresh", valkey, exchanges, assets)
    stack.push_async_callback(fresh.close)
    await fresh.began()
    for service in fresh.services.values():
        await stack.enter_async_context(service)

    async def both() -> list[dict[str, Any]]:
        found = [await figures(one.client) or {} for one in (world, fresh)]
        for one in found if not full else ():
            one.pop("companies", None)
        return found

    async def same() -> bool:
        ours, theirs = await both()
        return bool(ours) and ours == theirs

    try:
        await until(same, 90 if full else 30, "both show the same")
    except AssertionError:
        ours, theirs = await both()
        assert ours == theirs
        raise

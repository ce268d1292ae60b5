"""Two replicas as processes of their own, killed at random: every budget holds, and the price goes on."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from local_run.valkey import EmbeddedValkey
from market.app import PROVIDERS
from shared import redis
from shared.domains import MARKET
from shared.events.prices import PRICES, PriceUpdated
from support.exchanges import Exchanges
from support.ledger import KEYS
from support.replicas import Replicas, exceeded, killed
from support.stack import until

MEMORY = 80_000_000
LEASE = KEYS.lease(MARKET.slot, "market")


async def published(client: redis.Client, beyond: int, limit: float) -> int:
    """Wait until a price with a higher sequence is published; returns the newest."""

    async def there() -> int:
        entries = await client.xrevrange(KEYS.stream(MARKET.announces), count=1)
        seq = int(entries[0][1][b"seq"]) if entries else 0
        return seq if seq > beyond else 0

    return await until(there, limit, f"a price is published after entry {beyond}")


async def kills(valkey: EmbeddedValkey, client: redis.Client, folder: Path, seconds: float, *, talks: bool) -> None:
    chance = random.Random(7)
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(Exchanges(talks=talks))
        replicas = await stack.enter_async_context(
            Replicas("market", folder, REDIS_URL=valkey.url, OUTSIDE_URL=world.url, WEB_PORT="0")
        )
        seq = await published(client, 0, 25)
        end, strikes = time.monotonic() + seconds, 0
        while time.monotonic() < end or strikes < 2:
            world.prices["USD"] += 1  # so that there is something to publish
            active = await replicas.active(client, LEASE)
            standby = next(one for one in replicas.all if one is not active)
            victim = active if chance.random() < 0.8 else standby
            await killed(victim)
            strikes += 1
            seq = await published(client, seq, 10)
            await victim.start()
            await asyncio.sleep(chance.uniform(0.0, 1.5))
        entries = await client.xrange(KEYS.stream(MARKET.announces))
        assert [int(fields[b"seq"]) for _, fields in entries] == [*range(1, len(entries) + 1)]
        times: dict[str, int] = {}
        for entry, fields in entries:
            told = PRICES.decode(fields[b"type"], fields[b"data"])
            assert isinstance(told, PriceUpdated)
            at = int(entry.partition(b"-")[0])
            assert at >= times.get(told.currency, 0)
            times[told.currency] = at
        assert [said for provider in PROVIDERS for said in exceeded(world.asked, provider)] == []
        assert min(world.requests(name) for name in ("kraken", "gemini", "ecb", "mempool.space")) > 0
        for one in replicas.all:
            assert "Traceback" not in one.log
        active = await replicas.active(client, LEASE)
        assert active.process is not None
        assert psutil.Process(active.process.pid).memory_info().rss < MEMORY


@pytest.mark.full
async def test_kills_exceed_no_budget_and_the_other_goes_on(
    valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path
) -> None:
    await kills(valkey, client, tmp_path, 8, talks=False)


@pytest.mark.full
@pytest.mark.parametrize("talks", [True, False])
async def test_many_kills(valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path, talks: bool) -> None:
    await kills(valkey, client, tmp_path, 90, talks=talks)

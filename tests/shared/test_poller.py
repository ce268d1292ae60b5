"""The producer that asks sources: one of two replicas does, nothing is published twice, and what fails is said."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local_run import child
from local_run.valkey import EmbeddedValkey
from shared import domains, outlet, redis, trouble
from shared import lease as leases
from shared.keys import FOLDED_SEQ
from shared.service import Service
from support.contained import AnyServer
from support.ledger import KEYS, running, sequence
from support.polling import Counting, poll
from support.proxy import LossyProxy
from support.stack import until
from support.topologies import Cluster

NAME = "counter"
LEASE = KEYS.lease("chain", NAME)
TESTS = Path(__file__).resolve().parents[1]


@contextlib.asynccontextmanager
async def process(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A replica of its own."""
    it = await child.start([sys.executable, "-m", "support.polling", url], env={**os.environ, "PYTHONPATH": str(TESTS)})
    try:
        yield it
    finally:
        await child.kill(it)


async def published(client: redis.Client, least: int, limit: float = 10) -> int:
    """Wait until so many are published; returns how many there are, each of them once."""

    async def there() -> bool:
        try:
            return int(await client.xlen(KEYS.stream(domains.BLOCKS))) >= least
        except redis.LOST:
            return False

    await until(there, limit, f"{least} are published")
    async with client.pipeline(transaction=True) as pipe:
        pipe.xrange(KEYS.stream(domains.BLOCKS))
        pipe.hmget(KEYS.views(domains.CHAIN), "sum", FOLDED_SEQ)
        pipe.hget(KEYS.state(domains.CHAIN), "number")
        entries, (total, seq), number = await pipe.execute()
    last = int(number)
    assert [fields[b"data"] for _, fields in entries] == [b'{"number":%d}' % n for n in range(1, last + 1)]
    assert [int(fields[b"seq"]) for _, fields in entries] == [*range(1, last + 1)]
    assert (int(total), int(seq)) == (last * (last + 1) // 2, last)
    return last


async def is_(it: Service, state: str) -> bool:
    return it.health.state == state


async def test_it_publishes_shows_and_confirms_in_its_pace(each_server: AnyServer, each_client: redis.Client) -> None:
    sources = Counting()
    began = time.monotonic()
    async with running(each_server.url, poll(sources, every=0.1), NAME) as it:
        await published(each_client, 8)
        assert time.monotonic() - began > 0.69  # never faster
        await until(lambda: is_(it, "ok"), 5, "it is well")
        confirmed = await each_client.hgetall(KEYS.confirmed("chain"))
        assert confirmed[b"node"] == b"a counter"
        assert int(confirmed[b"seq"]) >= 7
        assert abs(int(confirmed[b"time_ms"]) - time.time() * 1000) < 60_000
        sources.silent = True
        polls, before = sources.polls, await published(each_client, 8)

        async def asked() -> bool:
            return sources.polls > polls + 3

        await until(asked, 5, "it asks on")
        assert await published(each_client, 8) - before <= 1  # one was on its way
    assert await each_client.get(LEASE) is None
    assert sources.restores == 1


@pytest.mark.parametrize("host", ["the same host", "another host"])
async def test_a_killed_replica_is_replaced_and_nothing_is_published_twice(
    each_server: AnyServer, each_client: redis.Client, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(each_server.url) as first:
        await published(each_client, 5, 20)
        if host == "another host":
            monkeypatch.setattr(leases, "_here", lambda: "another-host/boot/pid:[1]")
        sources = Counting()
        async with running(each_server.url, poll(sources), NAME) as it:
            await until(lambda: is_(it, "standby"), 5, "it stands by")
            assert sources.polls == 0
            first.kill()
            await first.wait()
            killed = time.monotonic()
            before = await published(each_client, 5)
            await published(each_client, before + 20)
            assert time.monotonic() - killed < 10
            assert sources.restores == 1
    await published(each_client, before + 20)


async def test_replicas_that_take_the_lease_from_each_other_publish_each_number_once(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with running(valkey.url, poll(Counting()), NAME), running(valkey.url, poll(Counting()), NAME):
        last = 0
        for _ in range(6):
            last = await published(client, last + 5)
            await client.delete(LEASE)
        await published(client, last + 5)


async def test_lost_replies_and_a_restarted_redis_double_nothing(mortal: AnyServer) -> None:
    chance = random.Random(3)
    client = redis.connect(mortal.url)
    try:
        async with LossyProxy(mortal.port) as proxy:
            proxy.loses = lambda request: b"EVALSHA" in request and chance.random() < 0.2
            async with running(proxy.url, poll(Counting()), NAME) as it:
                before = await published(client, 30, 20)
                await mortal.restart(kill=True)
                await published(client, before + 30, 30)
                proxy.loses = lambda request: False
                await until(lambda: is_(it, "ok"), 10, "all is well again")
            assert proxy.lost > 2
    finally:
        await client.aclose()


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_sources_that_fail_are_named_and_asked_ever_more_rarely(
    valkey: EmbeddedValkey, client: redis.Client, how: str
) -> None:
    sources = Counting()
    async with running(valkey.url, poll(sources, every=0.05, limit=0.1), NAME) as it:
        await published(client, 3)
        sources.fails, sources.hangs = ("the exchange is closed", False) if how == "refused" else ("", True)
        await until(lambda: is_(it, "degraded"), 5, "it is said")
        assert it.health.reason == ("the exchange is closed" if how == "refused" else "no answer within 0.1 s")
        polls, began = sources.polls, time.monotonic()

        async def asked() -> bool:
            return sources.polls >= polls + 4

        await until(asked, 10, "it asks on")
        assert time.monotonic() - began > 0.05 + 0.1 + 0.2 + 0.4 - 0.05
        before = await published(client, 3)
        sources.fails, sources.hangs = "", False
        await until(lambda: is_(it, "ok"), 10, "all is well again")
        await published(client, before + 5)
        sources.amiss = "one exchange of three does not answer"
        await until(lambda: is_(it, "degraded"), 5, "it is said")
        assert it.health.reason == sources.amiss
        await published(client, before + 10)


async def test_the_stream_is_kept_short(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet, "TRIM_SECONDS", 0.1)
    async with running(valkey.url, poll(Counting(), every=0.001, keep=10), NAME):

        async def cut() -> bool:
            numbers = await sequence(client, KEYS.stream(domains.BLOCKS))
            return bool(numbers) and numbers[0] > 200 and len(numbers) < 400

        await until(cut, 20, "what is old is cut")


async def test_on_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "LONGEST_SECONDS", 0.2)
    async with Cluster(tmp_path) as cluster:
        client = redis.connect(cluster.url)
        try:
            await client.ping()
            async with running(cluster.url, poll(Counting()), NAME):

                async def there() -> bool:
                    return int(await client.xlen(KEYS.stream(domains.BLOCKS))) >= 20

                await until(there, 10, "20 are published")
            numbers = await sequence(client, KEYS.stream(domains.BLOCKS))
            assert numbers == [*range(1, len(numbers) + 1)]
        finally:
            await client.aclose()

"""Redis Cluster and Sentinel: the same producer and the same fold, with nothing changed but the address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local_run.errors import SetupError
from shared import domains, redis
from shared.bus import Announcer
from shared.clock import TIME, RedisClock
from shared.errors import Fenced
from shared.events.ops import GapDetected
from shared.keys import Keys
from shared.settings import load
from shared.tasks import end
from support.electrumx import certificate
from support.ledger import (
    KEYS,
    POISON,
    Begun,
    Ledger,
    counted,
    fold,
    folded,
    pending,
    producer,
    running,
    sequence,
    total,
)
from support.servers import binary
from support.stack import until
from support.topologies import Cluster, Sentinel, Tls


async def reaches(client: redis.Client, numbers: list[int], limit: float = 20) -> None:
    async def there() -> bool:
        try:
            return await folded(client) == numbers
        except redis.LOST:
            return False

    await until(there, limit, f"{len(numbers)} numbers are folded")
    assert await total(client) == sum(numbers)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True)
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "BLOCK_MS", 50)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(nodes: Cluster) -> Cluster:
    """Three primaries, empty."""
    client = redis.connect(nodes.url)
    await client.flushall(target_nodes="primaries")
    await client.aclose()
    return nodes


async def test_a_cluster_is_published_to_and_folded_from(cluster: Cluster) -> None:
    client = redis.connect(cluster.url)
    try:
        async with running(cluster.url, fold(Ledger())):
            writer = await producer(client)
            for number in range(0, 300, 10):
                await writer.publish(counted(range(number, number + 10)))
            await reaches(client, list(range(300)))
            assert await sequence(client, KEYS.stream(domains.BLOCKS)) == list(range(1, 301))
            assert await pending(client) == 0
            await writer.publish(counted([POISON, 300]))
            await reaches(client, list(range(301)))
            assert await client.xlen(KEYS.dead("chain")) == 1
            assert await writer.trim(10, 100_000) == 0
            await client.delete(KEYS.stream(domains.BLOCKS))
            await writer.publish([Begun(), *counted([1])])
            await reaches(client, [1])
        assert await Announcer(client, KEYS.stream(domains.OPS), "ledger", "ledger-0", RedisClock()).say(
            GapDetected, "x"
        )
    finally:
        await client.aclose()


async def test_what_services_do_beside_scripts_works_in_a_cluster(cluster: Cluster) -> None:
    """Domains lie on different shards: each command names keys of one of them."""
    client = redis.connect(cluster.url)
    keys = Keys("main")
    try:
        await client.ping()
        for key in (keys.state(domains.CHAIN), keys.state(domains.MEMPOOL), keys.health):
            await client.hset(key, mapping={b"\x00\xff": b"\x01", b"b": b"2"})
            assert await client.hgetall(key) == {b"\x00\xff": b"\x01", b"b": b"2"}
            assert sorted([pair async for pair in client.hscan_iter(key, count=1)]) == [
                (b"\x00\xff", b"\x01"),
                (b"b", b"2"),
            ]
        await client.set(keys.resync(domains.BLOCKS), "why")
        assert await client.get(keys.resync(domains.BLOCKS)) == b"why"
        async with running(cluster.url, fold(Ledger())) as it:
            beating = asyncio.create_task(it.heartbeat())
            try:
                await until(lambda: client.hget(it.keys.health, it.instance), 5, "the heartbeat is written")
                await until(lambda: client.xlen(it.keys.stream(domains.OPS)), 5, "the start is announced")
            finally:
                await end(beating)
    finally:
        await client.aclose()


async def test_a_cluster_is_asked_by_every_primary_and_its_clock_by_key(cluster: Cluster) -> None:
    client = redis.connect(cluster.url)
    plain = [redis.connect(node.url) for node in cluster.nodes]
    try:
        assert await redis.eviction(client) == ""
        for one in plain:
            await one.config_set("maxmemory-policy", "allkeys-lru")
            assert "maxmemory-policy is allkeys-lru" in await redis.eviction(client)
            await one.config_set("maxmemory-policy", "noeviction")
        assert await redis.eviction(client) == ""
        owner = client.get_node_from_key(KEYS.stream(domains.OPS)).port
        before = [(await one.info("commandstats")).get("cmdstat_time", {}).get("calls", 0) for one in plain]
        for _ in range(12):
            time = RedisClock()
            await time.ask(client, KEYS.stream(domains.OPS))
            assert abs(time.skew_ms) < 60_000
        after = [(await one.info("commandstats")).get("cmdstat_time", {}).get("calls", 0) for one in plain]
        asked = {node.port for node, was, now in zip(cluster.nodes, before, after, strict=True) if now - was >= 12}
        assert asked == {owner}
        pipeline = client.pipeline(transaction=False)  # as web asks
        pipeline.execute_command("EVAL", TIME, 1, KEYS.stream(domains.OPS))
        pipeline.hgetall(KEYS.views(domains.CHAIN))
        [(seconds, _), _] = await pipeline.execute()
        assert abs(int(seconds) - time.now_ms // 1000) < 60
    finally:
        for one in (client, *plain):
            await one.aclose()


async def test_a_shard_that_is_killed_and_comes_back_loses_nothing(cluster: Cluster) -> None:
    client = redis.connect(cluster.url)
    try:
        slot = await client.cluster_keyslot(KEYS.stream(domains.BLOCKS))
        owner = cluster.nodes[next(place for place, end in enumerate((5461, 10923, 16384)) if slot < end)]

        async def publish() -> None:
            writer = await producer(client)
            for number in range(0, 200, 2):
                await writer.publish(counted(range(number, number + 2)))
                await asyncio.sleep(0.005)

        async with running(cluster.url, fold(Ledger())):
            publishing = asyncio.create_task(publish())
            await until(lambda: client.xlen(KEYS.stream(domains.BLOCKS)), 10, "some are published")
            await owner.restart(kill=True)
            await asyncio.wait_for(publishing, 30)
            await reaches(client, list(range(200)), 30)
        assert await sequence(client, KEYS.stream(domains.BLOCKS)) == list(range(1, 201))
        assert await sequence(client, KEYS.stream(domains.METRICS)) == list(range(1, 201))
    finally:
        await client.aclose()


async def test_a_cluster_that_is_not_there_counts_as_lost() -> None:
    client = redis.connect("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    try:
        with pytest.raises(redis.LOST):
            await client.hget(KEYS.checkpoint(domains.CHAIN), "cursor")
    finally:
        await client.aclose()


async def test_sentinel_names_the_primary_also_after_a_failover(tmp_path: Path) -> None:
    async with Sentinel(tmp_path) as sentinel:
        one, two = sentinel.nodes
        replica, client = redis.connect(two.url), redis.connect(sentinel.url)
        try:
            async with running(sentinel.url, fold(Ledger())):
                writer = await producer(client)
                await writer.publish(counted(range(10)))
                await reaches(client, list(range(10)))
                await one.kill()
                await until(lambda: promoted(replica), 20, "the replica is the primary")
                # a failover may lose what was just acknowledged: the producer then begins where Redis stands
                for _ in range(3):
                    try:
                        await writer.publish(counted([99]))
                        break
                    except Fenced:
                        writer = await producer(client)
                stored = [number for number in [*range(10), 99] if number in {*await folded(replica), 99}]
                await reaches(client, stored)
                numbers = await sequence(client, KEYS.stream(domains.BLOCKS))
                assert numbers == list(range(1, len(numbers) + 1))
        finally:
            await client.aclose()
            await replica.aclose()


@pytest.mark.parametrize("kind", [Cluster, Sentinel])
async def test_they_are_reached_over_tls(kind: type[Cluster | Sentinel], tmp_path: Path) -> None:
    try:
        program = await binary("redis-7")  # the Valkey that comes as a package is built without TLS
    except SetupError as error:
        pytest.skip(str(error))
    assert program is not None
    files = certificate(tmp_path).files
    async with kind(tmp_path / "servers", 0, tls=Tls(program, files.certificate, files.key)) as servers:
        taken = load({"REDIS_URL": servers.url}, tmp_path).require_redis()
        async with running(taken, fold(Ledger())):
            client = redis.connect(taken)
            try:
                writer = await producer(client)
                await writer.publish(counted(range(10)))
                await reaches(client, list(range(10)))
            finally:
                await client.aclose()
        untrusted = redis.connect(taken.partition("?")[0])
        try:
            with pytest.raises(redis.LOST):
                await untrusted.ping()
        finally:
            await untrusted.aclose()


async def promoted(replica: redis.Client) -> bool:
    try:
        return bool((await replica.info("replication"))["role"] == "master")
    except redis.LOST:  # it cuts its connections as it changes sides
        return False

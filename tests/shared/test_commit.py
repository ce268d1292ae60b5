"""The guarded commit: once, or refused; nothing by halves. On Valkey, Redis 7 and Redis 8."""

from __future__ import annotations

import asyncio
import random

import pytest

from local_run.valkey import EmbeddedValkey
from shared import commit, domains, redis
from shared.bus import PUBLISH_AT_ONCE, Announcer, Producer
from shared.clock import RedisClock
from shared.commit import Argument, Commands, Cursor
from shared.errors import Fenced
from shared.events.ops import OPS, GapDetected
from shared.keys import OPS_KEEP
from shared.lease import Lease
from support.contained import AnyServer
from support.each import each
from support.ledger import KEYS, Counted, counted, producer, sequence
from support.proxy import LossyProxy

CURSOR, LEASE = "{t:chain}:cursor", "{t:chain}:lease"


async def cursor(client: redis.Client) -> Cursor:
    await client.set(LEASE, "me")
    made = Cursor(client, CURSOR)
    await made.load()
    return made


def increment(name: str = "n") -> Commands:
    commands = Commands()
    commands.add("HINCRBY", "{t:chain}:state", name, 1)
    return commands


async def test_commands_and_cursor_are_carried_out_together(each_client: redis.Client) -> None:
    it = await cursor(each_client)
    assert it.value == ""
    commands = increment()
    commands.add("XADD", "{t:chain}:stream", "MAXLEN", "~", 100, "*", "a", b"\xff\x00", "b", 1.5)
    commands.add("HSET", "{t:chain}:state", "text", "x")
    await it.commit(LEASE, "me", "1", commands)
    assert it.value == "1"
    assert await each_client.hgetall(CURSOR) == {b"cursor": b"1", b"commits": b"1"}
    assert await each_client.hgetall("{t:chain}:state") == {b"n": b"1", b"text": b"x"}
    [(_, fields)] = await each_client.xrange("{t:chain}:stream")
    assert fields == {b"a": b"\xff\x00", b"b": b"1.5"}
    assert await Cursor(each_client, CURSOR).load() == "1"


async def test_a_repeated_commit_does_nothing(each_client: redis.Client) -> None:
    it = await cursor(each_client)
    await it.commit(LEASE, "me", "1", increment())
    it.value, it._commits = "", 0  # as after a reply that was lost
    await it.commit(LEASE, "me", "1", increment())
    assert it.value == "1"
    assert await each_client.hgetall("{t:chain}:state") == {b"n": b"1"}


async def test_a_stale_cursor_is_refused_and_nothing_is_written(each_client: redis.Client) -> None:
    it, other = await cursor(each_client), await cursor(each_client)
    await other.commit(LEASE, "me", "1", increment())
    with pytest.raises(Fenced, match="stale"):
        await it.commit(LEASE, "me", "2", increment("m"))
    assert it.value == ""
    assert await each_client.hgetall("{t:chain}:state") == {b"n": b"1"}
    await it.load()
    await it.commit(LEASE, "me", "2", increment("m"))


@pytest.mark.parametrize("held", ["somebody else", None])
async def test_without_the_lease_nothing_is_written(each_client: redis.Client, held: str | None) -> None:
    it = await cursor(each_client)
    await (each_client.set(LEASE, held) if held else each_client.delete(LEASE))
    with pytest.raises(Fenced, match="fenced"):
        await it.commit(LEASE, "me", "1", increment())
    assert await each_client.exists(CURSOR, "{t:chain}:state") == 0


async def test_arguments_beyond_what_lua_unpacks_at_once_are_all_written(each_client: redis.Client) -> None:
    it = await cursor(each_client)
    commands = Commands()
    pairs: list[Argument] = [part for number in range(15_000) for part in (f"field{number}", number)]
    commands.spread("HSET", "{t:chain}:state", pairs)
    gone: list[Argument] = [f"field{number}" for number in range(0, 15_000, 2)]
    commands.spread("HDEL", "{t:chain}:state", gone)
    commands.spread("XACK", "{t:chain}:stream", [f"{number}-0" for number in range(5_000)], lead=("group",))
    await it.commit(LEASE, "me", "1", commands)
    left = await each_client.hgetall("{t:chain}:state")
    assert left == {f"field{number}".encode(): str(number).encode() for number in range(1, 15_000, 2)}


async def test_replies_that_are_lost_change_nothing(each_server: AnyServer, each_client: redis.Client) -> None:
    chance = random.Random(1)
    async with LossyProxy(each_server.port) as proxy:
        lossy = redis.connect(proxy.url)
        try:
            it = await cursor(lossy)
            proxy.loses = lambda request: b"EVALSHA" in request and chance.random() < 0.4
            for number in range(1, 9):
                await it.commit(LEASE, "me", str(number), increment())
        finally:
            await lossy.aclose()
        assert proxy.lost > 1
    assert await each_client.hgetall("{t:chain}:state") == {b"n": b"8"}
    assert await each_client.hget(CURSOR, "cursor") == b"8"


async def test_a_connection_that_stays_lost_is_given_up(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "RETRY_SECONDS", 0.3)
    async with LossyProxy(valkey.port) as proxy:
        lossy = redis.connect(proxy.url)
        try:
            it = await cursor(lossy)
            await it.commit(LEASE, "me", "1", increment())
            proxy.loses = lambda request: b"EVAL" in request
            with pytest.raises(redis.LOST):
                await it.commit(LEASE, "me", "2", increment())
        finally:
            await lossy.aclose()
    assert it.value == "1"
    assert await client.hgetall("{t:chain}:state") == {b"n": b"2"}  # it was carried out, once


async def test_a_server_without_memory_carries_out_nothing_by_halves(
    each_client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deletions need no memory: they must not happen while what belongs to them is refused."""
    it = await cursor(each_client)
    await it.commit(LEASE, "me", "1", increment())
    commands = Commands()
    commands.add("HDEL", "{t:chain}:state", "n")
    commands.add("HSET", "{t:chain}:state", "m", 2)
    monkeypatch.setattr(commit, "RETRY_SECONDS", 0.3)
    await each_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.LOST):
            await it.commit(LEASE, "me", "2", commands)
        assert await each_client.hgetall("{t:chain}:state") == {b"n": b"1"}
    finally:
        await each_client.config_set("maxmemory", 0)
    await it.commit(LEASE, "me", "2", commands)
    assert await each_client.hgetall("{t:chain}:state") == {b"m": b"2"}


async def test_a_server_that_became_a_replica_counts_as_lost(
    each_client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover behind the same address: what it refuses is tried again, and nobody crashes."""
    it = await cursor(each_client)
    monkeypatch.setattr(commit, "RETRY_SECONDS", 0.3)
    await each_client.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(redis.LOST):
            await it.commit(LEASE, "me", "1", increment())
    finally:
        await each_client.replicaof("NO", "ONE")
    await it.commit(LEASE, "me", "1", increment())
    assert await each_client.hgetall("{t:chain}:state") == {b"n": b"1"}


# --- the producer ------------------------------------------------------------------------------------------


async def test_entries_are_numbered_without_a_hole_across_restarts(each_client: redis.Client) -> None:
    for start in (0, 10, 20):
        writer = await producer(each_client)
        assert writer.seq == start
        await writer.publish(counted(range(start, start + 9)))
        await writer.publish([Counted(number=start + 9)])
        await writer._lease.release()
    assert await sequence(each_client, KEYS.stream(domains.BLOCKS)) == list(range(1, 31))
    [(_, first), *_] = await each_client.xrange(KEYS.stream(domains.BLOCKS))
    assert set(first) == {b"type", b"v", b"seq", b"data"}


async def test_a_producer_whose_replies_are_lost_stores_nothing_twice(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    chance = random.Random(2)
    async with LossyProxy(each_server.port) as proxy:
        lossy = redis.connect(proxy.url)
        try:
            writer = await producer(lossy)
            proxy.loses = lambda request: b"EVALSHA" in request and chance.random() < 0.4
            for number in range(8):
                await writer.publish(counted([number, number]))
        finally:
            await lossy.aclose()
        assert proxy.lost > 1
    assert await sequence(each_client, KEYS.stream(domains.BLOCKS)) == list(range(1, 17))


async def test_of_two_producers_only_the_newer_writes(each_client: redis.Client) -> None:
    old = await producer(each_client)
    await old.publish(counted([1]))
    new = await producer(each_client)
    with pytest.raises(Fenced, match="fenced"):
        await old.publish(counted([2]))
    await new.publish(counted([3]))
    with pytest.raises(Fenced):
        await old.publish(counted([2]))
    entries = [fields[b"data"] for _, fields in await each_client.xrange(KEYS.stream(domains.BLOCKS))]
    assert entries == [b'{"number":1}', b'{"number":3}']


async def test_two_producers_at_once_never_mix(each_client: redis.Client) -> None:
    async def write(number: int) -> int:
        done = 0
        while done < 20:
            writer = await producer(each_client)
            try:
                for _ in range(4):
                    await writer.publish(counted([number]))
                    done += 1
                    await asyncio.sleep(0)
            except Fenced:
                continue
        return done

    done = await asyncio.gather(write(1), write(2))
    assert await sequence(each_client, KEYS.stream(domains.BLOCKS)) == list(range(1, sum(done) + 1))


async def test_commands_go_with_the_events(client: redis.Client) -> None:
    writer = await producer(client)
    commands = Commands()
    commands.add("HSET", KEYS.published(domains.BLOCKS), "1", "hash")
    await writer.publish(counted([1]), commands)
    assert await client.hgetall(KEYS.published(domains.BLOCKS)) == {b"1": b"hash"}
    assert await client.xlen(KEYS.stream(domains.BLOCKS)) == 1


async def test_a_publication_has_at_most_a_batch(client: redis.Client) -> None:
    writer = await producer(client)
    with pytest.raises(ValueError, match="expected at most"):
        await writer.publish(counted(range(PUBLISH_AT_ONCE + 1)))
    await writer.publish(counted(range(PUBLISH_AT_ONCE)))
    assert await client.xlen(KEYS.stream(domains.BLOCKS)) == PUBLISH_AT_ONCE


async def test_trimming_keeps_what_a_group_has_not_read(each_client: redis.Client) -> None:
    writer = await producer(each_client)
    assert await writer.trim(10, 100_000) == 0  # no stream yet
    for start in range(0, 3_000, 1_000):
        await writer.publish(counted(range(start, start + 1_000)))
    await each_client.xgroup_create(KEYS.stream(domains.BLOCKS), "mempool", id="0", entries_read=0)
    assert await writer.trim(10, 100_000) == 0
    assert await each_client.xlen(KEYS.stream(domains.BLOCKS)) == 3_000

    reply = await each_client.xreadgroup("mempool", "one", {KEYS.stream(domains.BLOCKS): ">"}, count=2_000)
    ids = [entry_id for entry_id, _ in reply[KEYS.stream(domains.BLOCKS).encode()]]
    assert await writer.trim(10, 100_000) == 0
    assert await each_client.xlen(KEYS.stream(domains.BLOCKS)) == 3_000  # delivered, but not acknowledged

    await each_client.xack(KEYS.stream(domains.BLOCKS), "mempool", *ids)
    assert await writer.trim(10, 100_000) == 0
    kept = await sequence(each_client, KEYS.stream(domains.BLOCKS))
    assert kept[-1] == 3_000
    assert 1_000 <= len(kept) <= 1_100  # whole nodes of the stream go, never less than is unread
    assert await writer.trim(2_000, 100_000) == 0  # what is gone stays gone, nothing more goes
    assert await sequence(each_client, KEYS.stream(domains.BLOCKS)) == kept


async def test_trimming_looks_at_the_slowest_group(each_client: redis.Client) -> None:
    writer = await producer(each_client)
    await writer.publish(counted(range(1_000)))
    await each_client.xgroup_create(KEYS.stream(domains.BLOCKS), "chain-metrics", id="$", entries_read=1_000)
    await each_client.xgroup_create(KEYS.stream(domains.BLOCKS), "chain-history", id="0", entries_read=0)
    await writer.trim(10, 100_000)
    assert await each_client.xlen(KEYS.stream(domains.BLOCKS)) == 1_000


async def test_the_cap_cuts_unread_entries_and_says_how_many(each_client: redis.Client) -> None:
    writer = await producer(each_client)
    for start in range(0, 2_000, 1_000):
        await writer.publish(counted(range(start, start + 1_000)))
    await each_client.xgroup_create(KEYS.stream(domains.BLOCKS), "mempool", id="0", entries_read=0)
    assert await writer.trim(10, 500) == 1_500
    assert 500 <= await each_client.xlen(KEYS.stream(domains.BLOCKS)) <= 600


# --- announcements -----------------------------------------------------------------------------------------


async def test_announcements_are_numbered_and_the_stream_stays_short(each_client: redis.Client) -> None:
    announcer = Announcer(each_client, KEYS.stream(domains.OPS), "ledger", "ledger-0", RedisClock())
    other = Announcer(each_client, KEYS.stream(domains.OPS), "writer", "writer-0", RedisClock())
    for number in range(3):
        assert await announcer.say(GapDetected, f"gap {number}")
        assert await other.say(GapDetected, f"other gap {number}")
    assert await sequence(each_client, KEYS.stream(domains.OPS)) == [1, 2, 3, 4, 5, 6]
    _, fields = (await each_client.xrange(KEYS.stream(domains.OPS)))[-2]
    event = OPS.decode(fields[b"type"], fields[b"data"])
    assert isinstance(event, GapDetected)
    assert (event.service, event.instance, event.detail) == ("ledger", "ledger-0", "gap 2")
    for _ in range(0, OPS_KEEP + 300, 50):
        assert each(await asyncio.gather(*(announcer.say(GapDetected, "x") for _ in range(50))))
    assert OPS_KEEP <= await each_client.xlen(KEYS.stream(domains.OPS)) <= OPS_KEEP + 100
    numbers = await sequence(each_client, KEYS.stream(domains.OPS))
    assert numbers == list(range(numbers[0], OPS_KEEP + 307))


async def test_an_announcement_is_never_in_the_way(valkey: EmbeddedValkey, client: redis.Client) -> None:
    nowhere = redis.connect("redis://127.0.0.1:1/0")
    try:
        assert not await Announcer(nowhere, KEYS.stream(domains.OPS), "ledger", "ledger-0", RedisClock()).say(
            GapDetected, "x"
        )
    finally:
        await nowhere.aclose()
    await client.set(KEYS.stream(domains.OPS), "somebody put a string here")
    assert not await Announcer(client, KEYS.stream(domains.OPS), "ledger", "ledger-0", RedisClock()).say(
        GapDetected, "x"
    )


async def test_the_lease_of_a_producer_is_what_its_commits_show(client: redis.Client) -> None:
    lease = Lease(client, KEYS.lease("chain", "writer"), KEYS.fence("chain", "writer"))
    writer = Producer(
        client, lease, KEYS.stream(domains.BLOCKS), KEYS.producer(domains.BLOCKS), KEYS.confirmed("chain")
    )
    with pytest.raises(Fenced):
        await writer.publish(counted([1]))
    assert await lease.try_acquire()
    await writer.publish(counted([1]))
    await lease.release()
    with pytest.raises(Fenced):
        await writer.publish(counted([2]))

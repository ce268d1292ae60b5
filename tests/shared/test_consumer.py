"""The one fold loop on Valkey, Redis 7 and Redis 8: each entry counts exactly once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from local_run.valkey import EmbeddedValkey
from shared import commit, consumer, domains, redis
from shared.bus import Producer
from shared.commit import Commands
from shared.consumer import DELIVERIES, Consumer
from shared.errors import Fenced
from shared.events.base import entry_fields
from shared.events.ops import OPS
from shared.service import Service
from support.contained import AnyServer
from support.ledger import (
    CONTRADICTION,
    KEYS,
    POISON,
    Begun,
    Counted,
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
from support.proxy import LossyProxy
from support.stack import until

GROUP = "ledger"
BLOCK_MS = redis.BLOCK_MS


@pytest.fixture(autouse=True)
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader notices within its blocking time that it is to stop: shorter here, since there are many to stop."""
    monkeypatch.setattr(redis, "BLOCK_MS", 50)


async def reaches(client: redis.Client, numbers: list[int], limit: float = 8) -> None:
    """Wait until exactly these numbers are folded, each once, and everything around them fits."""

    async def there() -> bool:
        return await folded(client) == numbers

    try:
        await until(there, limit, "all numbers are folded")
    except AssertionError as error:
        raise AssertionError(f"{error}; folded {await folded(client)}, checkpoint {await checkpoint(client)}") from None
    assert await total(client) == sum(numbers)
    notes = await sequence(client, KEYS.stream(domains.METRICS))
    assert notes == list(range(1, len(notes) + 1))
    entry, _, derived = (await checkpoint(client)).split()
    assert int(derived) == len(notes)
    assert entry <= (await client.xinfo_stream(KEYS.stream(domains.BLOCKS)))["last-generated-id"].decode()

    async def acknowledged() -> bool:
        return await pending(client) == 0

    await until(acknowledged, 5, "nothing is pending")


async def checkpoint(client: redis.Client) -> str:
    raw: bytes = await client.hget(KEYS.checkpoint(domains.CHAIN), "cursor") or b""
    return raw.decode()


async def degraded(it: Service) -> bool:
    return it.health.state == "degraded"


async def well(it: Service) -> bool:
    return it.health.state == "ok"


# --- the ordinary ------------------------------------------------------------------------------------------


async def test_entries_are_folded_in_order_and_a_restart_goes_on(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    writer = await producer(each_client)
    await writer.publish(counted(range(700)))
    async with running(each_server.url, fold(Ledger())):
        await writer.publish(counted(range(700, 1_400)))
        await reaches(each_client, list(range(1_400)))
    await writer.publish(counted(range(1_400, 1_500)))
    second = Ledger()
    async with running(each_server.url, fold(second)) as it:
        await reaches(each_client, list(range(1_500)))
        assert it.health.state == "ok"
    assert second.restores == 1
    assert second.numbers == list(range(1_500))
    assert await sequence(each_client, KEYS.stream(domains.METRICS)) == list(range(1, 1_501))


async def test_unknown_types_are_passed_over(each_server: AnyServer, each_client: redis.Client) -> None:
    writer = await producer(each_client)
    await writer.publish(counted([1]))
    await each_client.xadd(KEYS.stream(domains.BLOCKS), {"type": "of.the.future", "v": "9", "seq": "2", "data": "?"})
    await each_client.xadd(
        KEYS.stream(domains.BLOCKS), {"type": "counted", "v": "1", "seq": "3", "data": '{"number":2,"new":1}', "x": "y"}
    )
    async with running(each_server.url, fold(Ledger())):
        await reaches(each_client, [1, 2])


async def test_stopping_is_quick_and_gives_the_lease_back(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "BLOCK_MS", BLOCK_MS)
    writer = await producer(client)
    ledger = Ledger()
    async with running(valkey.url, fold(ledger)) as it:
        await writer.publish(counted(range(3)))
        await reaches(client, [0, 1, 2])
        began = time.monotonic()
        it.stopping.set()
        await until(lambda: released(client), 3, "the lease is given back")
        assert time.monotonic() - began < 2
    assert await client.hget(KEYS.health, it.instance) is None


async def released(client: redis.Client) -> bool:
    return await client.get(KEYS.lease("chain", GROUP)) is None


# --- lost replies, killed servers --------------------------------------------------------------------------


async def test_lost_replies_and_connections_change_nothing(each_server: AnyServer, each_client: redis.Client) -> None:
    chance = random.Random(3)
    writer = await producer(each_client)
    async with LossyProxy(each_server.port) as proxy:
        proxy.loses = lambda request: (b"EVALSHA" in request or b"XREADGROUP" in request) and chance.random() < 0.25
        async with running(proxy.url, fold(Ledger())):
            for number in range(0, 300, 5):
                await writer.publish(counted(range(number, number + 5)))
                await asyncio.sleep(0.01)
                if number % 100 == 50:
                    proxy.cut()
            await reaches(each_client, list(range(300)), 30)
            proxy.loses = lambda request: False
        assert proxy.lost > 2


async def test_a_killed_server_loses_nothing_and_doubles_nothing(mortal: AnyServer) -> None:
    client = redis.connect(mortal.url)
    published: list[int] = []

    async def publish() -> None:
        writer = await producer(client)
        for number in range(0, 600, 3):
            await writer.publish(counted(range(number, number + 3)))
            published.extend(range(number, number + 3))

    try:
        async with running(mortal.url, fold(Ledger())):
            publishing = asyncio.create_task(publish())
            for least in (100, 300):
                await until(lambda least=least: reached(len(published), least), 20, "some are published")  # type: ignore[misc]
                await mortal.restart(kill=True)
            await publishing
            await redis.wait_until_up(client, mortal.url, 5)  # this client's connection may be of before
            assert await sequence(client, KEYS.stream(domains.BLOCKS)) == list(range(1, 601))
            await reaches(client, published, 30)
        assert await sequence(client, KEYS.stream(domains.METRICS)) == list(range(1, 601))
    finally:
        await client.aclose()


async def reached(number: int, least: int) -> bool:
    return number >= least


async def test_a_server_that_is_away_is_reported_and_awaited(mortal: AnyServer) -> None:
    client = redis.connect(mortal.url)
    try:
        async with running(mortal.url, fold(Ledger())) as it:
            writer = await producer(client)
            await writer.publish(counted([1]))
            await reaches(client, [1])
            await mortal.kill()
            await until(lambda: degraded(it), 5, "the loss is reported")
            assert "Redis does not answer" in it.health.reason
            await mortal.start()
            await until(lambda: well(it), 10, "all is well again")
            await writer.publish(counted([2]))
            await reaches(client, [1, 2])
    finally:
        await client.aclose()


async def test_stopping_does_not_wait_for_a_server_that_is_away(mortal: AnyServer) -> None:
    client = redis.connect(mortal.url)
    try:
        async with running(mortal.url, fold(Ledger())) as it:
            writer = await producer(client)
            await writer.publish(counted([1]))
            await reaches(client, [1])
            await mortal.kill()
            await until(lambda: degraded(it), 5, "the loss is reported")
            began = time.monotonic()
            it.stopping.set()
        assert time.monotonic() - began < 3
    finally:
        await client.aclose()


# --- two replicas ------------------------------------------------------------------------------------------


async def test_a_writer_that_was_replaced_commits_nothing(each_server: AnyServer, each_client: redis.Client) -> None:
    """Both believe that they are active: only one of them counts."""
    writer = await producer(each_client)
    async with (
        running(each_server.url, fold(Ledger()), INSTANCE="a") as one,
        running(each_server.url, fold(Ledger()), INSTANCE="b") as other,
    ):
        for number in range(0, 200, 2):
            await writer.publish(counted(range(number, number + 2)))
            if number % 50 == 0:  # within one process either may take the lease: do so in the middle
                await each_client.delete(KEYS.lease("chain", GROUP))
                await asyncio.sleep(0.02)
        await reaches(each_client, list(range(200)))
        assert {one.health.state, other.health.state} <= {"ok", "standby"}


# --- entries that cannot be folded -------------------------------------------------------------------------


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(self: Consumer, seconds: float) -> None:
        await asyncio.sleep(seconds / 10)

    monkeypatch.setattr(Consumer, "_pause", pause)


@pytest.mark.usefixtures("short_pauses")
async def test_a_poison_entry_goes_to_the_dead_letters_and_the_rest_is_folded(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    writer = await producer(each_client)
    await writer.publish(counted([1, 2, POISON, 3]))
    ledger = Ledger()
    async with running(each_server.url, fold(ledger)):
        await reaches(each_client, [1, 2, 3])
        [(_, letter)] = await each_client.xrange(KEYS.dead("chain"))
        assert letter[b"data"] == b'{"number":-666}'
        assert letter[b"type"] == b"counted"
        assert b"cannot take" in letter[b"error"]
        assert letter[b"id"] == (await each_client.xrange(KEYS.stream(domains.BLOCKS)))[2][0]
        assert sorted(await each_client.hkeys(KEYS.checkpoint(domains.CHAIN))) == [
            b"commits",
            b"cursor",
        ]  # the count of attempts is gone
    assert ledger.restores >= DELIVERIES - 1


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "counted", "v": "1", "seq": "2", "data": "{}"},
        {"type": "counted", "v": "1", "seq": "2", "data": "\x00"},
        {"type": "counted", "v": "1", "seq": "2"},
        {"v": "1", "seq": "2", "data": "{}"},
        {"type": "counted", "v": "1", "seq": "two", "data": "{}"},
        {"written": "by hand"},
    ],
    ids=["a field is missing", "no JSON", "no data", "no type", "no number", "nothing of ours"],
)
async def test_whatever_cannot_be_read_is_put_aside(
    valkey: EmbeddedValkey, client: redis.Client, fields: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "DELIVERIES", 2)
    writer = await producer(client)
    await writer.publish(counted([1]))
    await client.xadd(KEYS.stream(domains.BLOCKS), fields)
    follows = 3 if fields.get("seq") == "2" else 2
    await client.xadd(
        KEYS.stream(domains.BLOCKS), {"type": "counted", "v": "1", "seq": follows, "data": '{"number":2}'}
    )
    async with running(valkey.url, fold(Ledger())):
        await reaches(client, [1, 2])
        assert await client.xlen(KEYS.dead("chain")) == 1
        assert await client.get(KEYS.resync(domains.BLOCKS)) is None


async def test_attempts_survive_a_restart(valkey: EmbeddedValkey, client: redis.Client) -> None:
    writer = await producer(client)
    await writer.publish(counted([1, POISON, 2]))

    async def tried() -> bool:
        stored = await client.hgetall(KEYS.checkpoint(domains.CHAIN))
        return sum(int(count) for field, count in stored.items() if field.startswith(b"attempts:")) >= 3

    async with running(valkey.url, fold(Ledger())):
        await until(tried, 5, "three attempts are made")
    ledger = Ledger()
    async with running(valkey.url, fold(ledger)):
        await reaches(client, [1, 2])
    assert ledger.restores < DELIVERIES


# --- entries that are gone ---------------------------------------------------------------------------------


async def answer_requests(client: redis.Client, writer: Producer, stop: asyncio.Event) -> None:
    """What chain-ingest does: when a fold asks for it, begin anew; the request goes with the commit."""
    while not stop.is_set():
        if await client.get(KEYS.resync(domains.BLOCKS)):
            commands = Commands()
            commands.add("DEL", KEYS.resync(domains.BLOCKS))
            await writer.publish([Begun(), *counted([100, 101])], commands)
        await asyncio.sleep(0.02)


async def gaps(client: redis.Client) -> list[str]:
    found = []
    for _, fields in await client.xrange(KEYS.stream(domains.OPS)):
        event = OPS.decode(fields[b"type"], fields[b"data"])
        if event is not None and event.TYPE == "gap.detected":
            found.append(str(getattr(event, "detail", "")))
    return found


async def test_a_gap_leads_to_a_request_and_a_beginning_ends_it(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    writer = await producer(each_client)
    await writer.publish(counted([1, 2, 3]))
    async with running(each_server.url, fold(Ledger())) as it:
        await reaches(each_client, [1, 2, 3])
        await each_client.hset(KEYS.producer(domains.BLOCKS), "cursor", "7")  # four entries that nobody will see
        await writer.load()
        await writer.publish(counted([8, 9]))
        await until(lambda: each_client.get(KEYS.resync(domains.BLOCKS)), 5, "the fold asks for a new beginning")
        assert it.health.state == "degraded"
        assert "expected entry 4 but 8 follows" in it.health.reason
        await writer.publish(counted([10, 11]))  # of no use to it
        await until(lambda: caught_up(each_client), 5, "it reads on")
        assert await folded(each_client) == [1, 2, 3]
        assert it.health.state == "degraded"
        await writer.publish([Begun(), *counted([20, 21])])
        await reaches(each_client, [20, 21])
        await until(lambda: well(it), 5, "all is well again")
        assert len(await gaps(each_client)) == 1
        await writer.publish(counted([22]))
        await reaches(each_client, [20, 21, 22])


async def test_entries_that_a_replaced_replica_was_given_are_read_again(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    """One that slept through the end of its lease wakes up in the middle of a read: nothing is lost by that."""
    writer = await producer(each_client)
    async with running(each_server.url, fold(Ledger())):
        await writer.publish(counted([1]))
        await reaches(each_client, [1])
        async with each_client.pipeline(transaction=True) as pipe:
            for seq in (2, 3):
                pipe.xadd(
                    KEYS.stream(domains.BLOCKS), {"type": "counted", "v": 1, "seq": seq, "data": f'{{"number":{seq}}}'}
                )
            pipe.xreadgroup(GROUP, GROUP, {KEYS.stream(domains.BLOCKS): ">"})  # as the sleeper: under the same name
            *_, taken = await pipe.execute()
        assert len(taken[KEYS.stream(domains.BLOCKS).encode()]) == 2
        await each_client.xadd(
            KEYS.stream(domains.BLOCKS), {"type": "counted", "v": 1, "seq": 4, "data": '{"number":4}'}
        )
        await reaches(each_client, [1, 2, 3, 4])
        assert await gaps(each_client) == []
        assert await each_client.get(KEYS.resync(domains.BLOCKS)) is None


async def caught_up(client: redis.Client) -> bool:
    last: bytes = (await client.xinfo_stream(KEYS.stream(domains.BLOCKS)))["last-generated-id"]
    return (await checkpoint(client)).startswith(last.decode() + " ")


async def test_a_restart_while_waiting_asks_again(valkey: EmbeddedValkey, client: redis.Client) -> None:
    writer = await producer(client)
    await writer.publish(counted([1]))
    async with running(valkey.url, fold(Ledger())):
        await reaches(client, [1])
        await client.hset(KEYS.producer(domains.BLOCKS), "cursor", "5")
        await writer.load()
        await writer.publish(counted([2]))
        await until(lambda: client.getdel(KEYS.resync(domains.BLOCKS)), 5, "the fold asks")  # and the request is lost
        await until(lambda: caught_up(client), 5, "it reads on")
    await writer.publish(counted([3]))
    async with running(valkey.url, fold(Ledger())):
        await until(lambda: client.get(KEYS.resync(domains.BLOCKS)), 5, "the fold asks again")
        await writer.publish([Begun(), *counted([4])])
        await reaches(client, [4])


@pytest.mark.parametrize("behind", [0, 1, 3])
async def test_a_contradiction_right_behind_a_beginning_does_not_hold_the_fold_up(
    valkey: EmbeddedValkey, client: redis.Client, behind: int
) -> None:
    writer = await producer(client)
    await writer.publish([Begun(), *counted([*range(behind), CONTRADICTION, 5])])
    stop = asyncio.Event()
    answering = asyncio.create_task(answer_requests(client, writer, stop))
    try:
        async with running(valkey.url, fold(Ledger())):
            await reaches(client, [100, 101])
            assert len(await gaps(client)) == 1
    finally:
        stop.set()
        await answering


async def test_poison_right_behind_a_beginning_is_put_aside(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "DELIVERIES", 2)
    writer = await producer(client)
    await client.hset(KEYS.producer(domains.BLOCKS), "cursor", "5")
    await writer.load()
    await writer.publish([*counted([1]), Begun(), *counted([2, POISON, 3])])
    async with running(valkey.url, fold(Ledger())):
        await reaches(client, [2, 3])
        assert len(await gaps(client)) == 1


async def test_entries_that_were_trimmed_are_missed(each_server: AnyServer, each_client: redis.Client) -> None:
    writer = await producer(each_client)
    await writer.publish(counted(range(10)))
    async with running(each_server.url, fold(Ledger())):
        await reaches(each_client, list(range(10)))
    await writer.publish(counted(range(10, 20)))
    await each_client.xtrim(KEYS.stream(domains.BLOCKS), maxlen=5, approximate=False)
    stop = asyncio.Event()
    answering = asyncio.create_task(answer_requests(each_client, writer, stop))
    try:
        async with running(each_server.url, fold(Ledger())):
            await reaches(each_client, [100, 101])
            assert "expected entry 11 but 16 follows" in (await gaps(each_client))[0]
    finally:
        stop.set()
        await answering


async def test_a_group_that_was_deleted_is_made_again(each_server: AnyServer, each_client: redis.Client) -> None:
    writer = await producer(each_client)
    async with running(each_server.url, fold(Ledger())):
        await writer.publish(counted(range(5)))
        await reaches(each_client, list(range(5)))
        await each_client.xgroup_destroy(KEYS.stream(domains.BLOCKS), GROUP)
        await writer.publish(counted(range(5, 10)))
        await reaches(each_client, list(range(10)))
        assert await gaps(each_client) == []


async def test_a_stream_that_was_deleted_goes_on_where_it_stopped(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    writer = await producer(each_client)
    async with running(each_server.url, fold(Ledger())):
        await writer.publish(counted(range(5)))
        await reaches(each_client, list(range(5)))
        await each_client.delete(KEYS.stream(domains.BLOCKS))
        await writer.publish(counted(range(5, 10)))
        await reaches(each_client, list(range(10)))
        assert await gaps(each_client) == []


async def test_what_is_unread_of_a_stream_that_was_made_anew_is_kept(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    writer = await producer(each_client)
    async with running(each_server.url, fold(Ledger()), "mempool"):
        await writer.publish(counted(range(1_000)))
        await reaches(each_client, list(range(1_000)))
        await each_client.delete(KEYS.stream(domains.BLOCKS))
        await writer.publish(counted(range(1_000, 1_005)))
        await reaches(each_client, list(range(1_005)))
    [group] = await each_client.xinfo_groups(KEYS.stream(domains.BLOCKS))
    assert group["lag"] == 0
    await writer.publish(counted(range(1_005, 1_400)))
    assert await writer.trim(10, 100_000) == 0
    [group] = await each_client.xinfo_groups(KEYS.stream(domains.BLOCKS))
    assert group["lag"] == 395
    async with running(each_server.url, fold(Ledger()), "mempool"):
        await reaches(each_client, list(range(1_400)))
        assert await gaps(each_client) == []


async def test_what_is_unread_is_unknown_where_redis_reckons_less_than_none(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    """As a version before left it: nothing is cut, and nothing is said to be."""
    writer = await producer(each_client)
    await writer.publish(counted(range(400)))
    [_, (second, _)] = await each_client.xrange(KEYS.stream(domains.BLOCKS), count=2)
    await each_client.xgroup_create(KEYS.stream(domains.BLOCKS), "mempool", id=second, entries_read=1_000)
    assert await writer.trim(10, 100_000) == 0
    assert await each_client.xlen(KEYS.stream(domains.BLOCKS)) == 400


async def test_a_stream_deleted_with_unread_entries_is_a_gap(each_server: AnyServer, each_client: redis.Client) -> None:
    writer = await producer(each_client)
    async with running(each_server.url, fold(Ledger())):
        await writer.publish(counted(range(5)))
        await reaches(each_client, list(range(5)))
    await writer.publish(counted(range(5, 10)))
    await each_client.delete(KEYS.stream(domains.BLOCKS))
    await writer.publish(counted([10]))
    stop = asyncio.Event()
    answering = asyncio.create_task(answer_requests(each_client, writer, stop))
    try:
        async with running(each_server.url, fold(Ledger())):
            await reaches(each_client, [100, 101])
    finally:
        stop.set()
        await answering


@pytest.mark.parametrize("deleted", [False, True], ids=["stream lost its end", "stream deleted"])
async def test_a_checkpoint_ahead_of_the_stream_leads_to_a_rebuild(
    each_server: AnyServer, each_client: redis.Client, deleted: bool
) -> None:
    """As after a failover to a server that had not heard of the last entries, and whose clock is behind."""
    writer = await producer(each_client)
    await writer.publish(counted(range(5)))
    async with running(each_server.url, fold(Ledger())):
        await reaches(each_client, list(range(5)))
    ahead = int(time.time() * 1000) + 3_600_000
    await each_client.hset(KEYS.checkpoint(domains.CHAIN), "cursor", f"{ahead}-0 50 5")
    if deleted:
        await each_client.delete(KEYS.stream(domains.BLOCKS))
    stop = asyncio.Event()
    async with running(each_server.url, fold(Ledger())):
        await writer.publish(counted([5]))
        answering = asyncio.create_task(answer_requests(each_client, writer, stop))
        try:
            await reaches(each_client, [100, 101])
        finally:
            stop.set()
            await answering
    assert "expected entry 51 but" in (await gaps(each_client))[0]


async def test_everything_in_redis_may_be_deleted(each_server: AnyServer, each_client: redis.Client) -> None:
    async with running(each_server.url, fold(Ledger())):
        writer = await producer(each_client)
        await writer.publish(counted(range(5)))
        await reaches(each_client, list(range(5)))
        await each_client.flushall()
        with pytest.raises(Fenced):
            await writer.publish(counted([5]))
        writer = await producer(each_client)
        assert writer.seq == 0
        await writer.publish([Begun(), *counted([7])])
        await reaches(each_client, [7])


async def test_a_state_that_cannot_be_read_is_rebuilt(valkey: EmbeddedValkey, client: redis.Client) -> None:
    writer = await producer(client)
    await writer.publish(counted([1, 2]))
    async with running(valkey.url, fold(Ledger())):
        await reaches(client, [1, 2])
    await client.rpush(KEYS.state(domains.CHAIN), "no number")
    async with running(valkey.url, fold(Ledger())) as it:
        await until(lambda: client.get(KEYS.resync(domains.BLOCKS)), 5, "the fold asks for a new beginning")
        await until(lambda: degraded(it), 5, "the rebuild is reported")
        assert "cannot be read" in it.health.reason
        await client.rpop(KEYS.state(domains.CHAIN))  # only so that this test can read it
        await writer.publish([Begun(), *counted([3])])
        await reaches(client, [3])


async def test_a_request_outlives_the_loss_of_the_server(mortal: AnyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server goes away between the gap and the request: the fold must not wait for what it never asked for."""
    monkeypatch.setattr(commit, "RETRY_SECONDS", 0.2)
    client = redis.connect(mortal.url)
    try:
        async with LossyProxy(mortal.port) as proxy, running(proxy.url, fold(Ledger())):
            writer = await producer(client)
            await writer.publish(counted([1]))
            await reaches(client, [1])
            await client.hset(KEYS.producer(domains.BLOCKS), "cursor", "5")
            await writer.load()
            refused = b"$3\r\nSET\r\n"
            proxy.loses = lambda request: refused in request and KEYS.resync(domains.BLOCKS).encode() in request
            await writer.publish(counted([2]))
            await until(lambda: reached(proxy.lost, 1), 5, "the request's answer is lost")
            await client.delete(KEYS.resync(domains.BLOCKS))  # as if it had never come through
            proxy.loses = lambda request: False
            await until(lambda: client.get(KEYS.resync(domains.BLOCKS)), 5, "the fold asks again")
            await writer.publish([Begun(), *counted([3])])
            await reaches(client, [3])
    finally:
        await client.aclose()


def test_an_entry_has_the_fields_that_readers_expect() -> None:
    assert list(entry_fields(Counted(number=1), 2)) == [
        b"type", b"counted", b"v", b"1", b"seq", b"2", b"data", b'{"number":1}',
    ]  # fmt: skip

"""A fold of two streams in slots of their own: each in its order, each entry once, and the groups told of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from local_run.valkey import EmbeddedValkey
from shared import bus, domains, feeds, redis, trouble
from shared.bus import Producer
from shared.checkpoint import Position
from shared.consumer import Consumer
from shared.events.ops import OPS
from shared.fold import Feed, Wiring
from shared.inputs import lag_of
from shared.keys import Keys
from shared.lease import Lease
from shared.tasks import end
from support.contained import AnyServer
from support.ledger import FAMILY, KEYS, POISON, WIRING, Ledger, counted, fold, folded, running, total
from support.proxy import LossyProxy
from support.stack import until
from support.topologies import Cluster

ELSEWHERE = Keys("signet")
ONE, TWO = ELSEWHERE.stream(domains.BLOCKS), ELSEWHERE.stream(domains.TXS)
FAR = Wiring(
    domain=WIRING.domain,
    stream=ONE,
    family=FAMILY,
    checkpoint=WIRING.checkpoint,
    derived=WIRING.derived,
    derived_keep=WIRING.derived_keep,
    beside=(Feed(TWO, FAMILY),),
)
SECOND = 10_000
"""Numbers of the second stream begin here."""


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(self: Consumer, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)

    monkeypatch.setattr(redis, "BLOCK_MS", 50)
    monkeypatch.setattr(Consumer, "_pause", pause)
    monkeypatch.setattr(feeds, "TELL_SECONDS", 0.05)
    monkeypatch.setattr(feeds, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(trouble, "LONGEST_SECONDS", 0.2)
    monkeypatch.setattr(bus, "FOLDS", frozenset({"ledger"}))


async def writers(client: redis.Client) -> tuple[Producer, Producer]:
    """The producers of the two streams, each with a lease in its own slot."""
    made = []
    for domain, stream, cursor in (
        ("chain", ONE, ELSEWHERE.producer(domains.BLOCKS)),
        ("mempool", TWO, ELSEWHERE.producer(domains.TXS)),
    ):
        lease = Lease(client, ELSEWHERE.lease(domain, "writer"), ELSEWHERE.fence(domain, "writer"))
        assert await lease.try_acquire()
        producer = Producer(client, lease, stream, cursor, ELSEWHERE.confirmed(domain))
        await producer.load()
        made.append(producer)
    return made[0], made[1]


async def reaches(client: redis.Client, one: list[int], two: list[int], limit: float = 10) -> None:
    """Wait until exactly these are folded, of each stream in its order, each once, and both groups know it."""

    async def there() -> bool:
        try:
            found = await folded(client)
        except (*redis.LOST, ValueError):  # a shard that is away, a state that is damaged
            return False
        return ([n for n in found if n < SECOND], [n for n in found if n >= SECOND]) == (one, two)

    try:
        await until(there, limit, "all numbers are folded")
    except AssertionError as error:
        raise AssertionError(f"{error}; {await folded(client)} at {await checkpoint(client)}") from None
    assert await total(client) == sum(one) + sum(two)
    for stream in (ONE, TWO):
        await until(lambda stream=stream: told(client, stream), 5, f"the group of {stream} is told")  # type: ignore[misc]


async def told(client: redis.Client, stream: str) -> bool:
    groups = await client.xinfo_groups(stream)
    last = (await client.xinfo_stream(stream))["last-generated-id"]
    return [group["last-delivered-id"] for group in groups] == [last] and not groups[0]["pending"]


async def checkpoint(client: redis.Client) -> str:
    raw: bytes = await client.hget(KEYS.checkpoint(domains.CHAIN), "cursor") or b""
    return raw.decode()


async def gaps(client: redis.Client) -> list[str]:
    events = [
        OPS.decode(fields[b"type"], fields[b"data"]) for _, fields in await client.xrange(KEYS.stream(domains.OPS))
    ]
    return [str(getattr(event, "detail", "")) for event in events if event is not None and event.TYPE == "gap.detected"]


async def publish(client: redis.Client, last: int) -> None:
    """Numbers below `last` into both streams, a few at a time."""
    one, two = await writers(client)
    for number in range(0, last, 5):
        await one.publish(counted(range(number, number + 5)))
        await two.publish(counted(range(SECOND + number, SECOND + number + 5)))
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def publishing(client: redis.Client, last: int) -> AsyncIterator[None]:
    task = asyncio.create_task(publish(client, last))
    try:
        yield
        await task
    finally:
        await end(task)


# --- the ordinary ------------------------------------------------------------------------------------------


def test_a_position_holds_every_stream() -> None:
    start = Position.parse("")
    assert start.of(1) == ("0-0", 0)
    both = start.moved(1, "5-1", 7).moved(0, "3-0", 2)
    assert str(both) == "3-0 2 0 5-1 7"
    assert Position.parse(str(both)) == both
    assert both.moved(2, "9-9", 1).of(2) == ("9-9", 1)
    assert Position.parse("3-0 2 4").of(1) == ("0-0", 0)  # of a fold that had one stream until now
    for nonsense in ("3-0 2", "3-0 2 0 5-1", "3-0 2 0 x 1", "a b c"):
        with pytest.raises(ValueError, match=r"."):
            Position.parse(nonsense)


def test_streams_elsewhere_have_no_beginning() -> None:
    assert FAR.by_position
    assert not WIRING.by_position
    assert replace(WIRING, resync="", beginning=b"", beside=(Feed(KEYS.stream(domains.METRICS), FAMILY),)).by_position
    with pytest.raises(ValueError, match="neither beginning nor inbox"):
        replace(WIRING, stream=TWO)


async def test_both_are_folded_and_a_restart_goes_on(each_server: AnyServer, each_client: redis.Client) -> None:
    one, two = await writers(each_client)
    await one.publish(counted(range(1_000)))
    await one.publish(counted(range(1_000, 1_500)))
    await two.publish(counted([SECOND]))
    async with running(each_server.url, fold(Ledger(), FAR)) as it:
        await two.publish(counted(range(SECOND + 1, SECOND + 600)))
        await reaches(each_client, [*range(1_500)], [*range(SECOND, SECOND + 600)])
        assert it.health.details["seq"] == "1500, 600"
        assert it.health.state == "ok"
    await two.publish(counted([SECOND + 600]))
    second = Ledger()
    async with running(each_server.url, fold(second, FAR)):
        await reaches(each_client, [*range(1_500)], [*range(SECOND, SECOND + 601)])
        await one.publish(counted([1_500]))
        await reaches(each_client, [*range(1_501)], [*range(SECOND, SECOND + 601)])
    assert second.restores == 1
    assert await gaps(each_client) == []


# --- what gets lost ----------------------------------------------------------------------------------------


async def test_lost_replies_change_nothing(each_server: AnyServer, each_client: redis.Client) -> None:
    """Of commits, of reads, and of what the groups are told."""
    chance = random.Random(7)
    async with LossyProxy(each_server.port) as proxy:
        proxy.loses = lambda request: (
            any(word in request for word in (b"EVALSHA", b"XREAD", b"XGROUP")) and (chance.random() < 0.1)
        )
        async with running(proxy.url, fold(Ledger(), FAR)), publishing(each_client, 300):
            await reaches(each_client, [*range(300)], [*range(SECOND, SECOND + 300)], 40)
            proxy.loses = lambda request: False
        assert proxy.lost > 2


async def test_one_that_dies_before_it_tells_is_made_up_for(
    each_server: AnyServer, each_client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await writers(each_client)
    with monkeypatch.context() as patch:
        patch.setattr(feeds, "TELL_SECONDS", 1_000)
        async with running(each_server.url, fold(Ledger(), FAR)):
            await until(lambda: each_client.exists(KEYS.lease("chain", "ledger")), 5, "it runs")
            await one.publish(counted([1, 2, 3]))
            await two.publish(counted([SECOND]))

            async def committed() -> bool:
                return len(await folded(each_client)) == 4

            await until(committed, 5, "it is committed")
    async with running(each_server.url, fold(Ledger(), FAR)):
        await reaches(each_client, [1, 2, 3], [SECOND])


async def test_a_group_that_is_lost_or_set_back_is_told_again(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    one, two = await writers(each_client)
    async with running(each_server.url, fold(Ledger(), FAR)):
        await one.publish(counted([1, 2]))
        await two.publish(counted([SECOND, SECOND + 1]))
        await reaches(each_client, [1, 2], [SECOND, SECOND + 1])
        await each_client.xgroup_destroy(ONE, "ledger")
        await each_client.xgroup_setid(TWO, "ledger", "0")
        await reaches(each_client, [1, 2], [SECOND, SECOND + 1])


async def test_the_producer_keeps_what_the_fold_has_not_read_and_cuts_what_it_has(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    one, two = await writers(each_client)
    async with running(each_server.url, fold(Ledger(), FAR)):
        await two.publish(counted([SECOND]))
        await one.publish(counted(range(100)))
        await reaches(each_client, [*range(100)], [SECOND])
    await one.publish(counted(range(100, 700)))
    assert await one.trim(0, 100_000) == 0
    assert await each_client.xlen(ONE) >= 600
    assert lag_of((await each_client.xinfo_groups(ONE))[0]) == 600
    async with running(each_server.url, fold(Ledger(), FAR)):
        await reaches(each_client, [*range(700)], [SECOND])
        assert lag_of((await each_client.xinfo_groups(ONE))[0]) == 0
        assert await one.trim(0, 100_000) == 0
        assert await each_client.xlen(ONE) < 200  # a server cuts whole nodes of 100
    assert await gaps(each_client) == []


async def test_what_was_cut_unread_is_told_once_and_stepped_over(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    one, two = await writers(each_client)
    async with running(each_server.url, fold(Ledger(), FAR)):
        await one.publish(counted([1]))
        await two.publish(counted([SECOND]))
        await reaches(each_client, [1], [SECOND])
    await one.publish(counted([2, 3, 4]))
    await each_client.xtrim(ONE, maxlen=1, approximate=False)
    async with running(each_server.url, fold(Ledger(), FAR)) as it:
        await reaches(each_client, [1, 4], [SECOND])
        await two.publish(counted([SECOND + 1]))
        await one.publish(counted([5]))
        await reaches(each_client, [1, 4, 5], [SECOND, SECOND + 1])
        assert it.health.state == "ok"
    assert [gap.split(", at")[0] for gap in await gaps(each_client)] == [f"{ONE}: expected entry 2 but 4 follows"]


async def test_a_stream_made_anew_below_where_the_fold_stands_is_read(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    one, two = await writers(each_client)
    async with running(each_server.url, fold(Ledger(), FAR)):
        await one.publish(counted([1, 2]))
        await two.publish(counted([SECOND]))
        await reaches(each_client, [1, 2], [SECOND])
        async with each_client.pipeline(transaction=True) as pipe:
            pipe.delete(ONE)
            for at, number in enumerate((7, 8)):
                pipe.xadd(
                    ONE, {"type": "counted", "v": 1, "seq": at + 1, "data": f'{{"number":{number}}}'}, id=f"5-{at}"
                )
            await pipe.execute()
        await reaches(each_client, [1, 2, 7, 8], [SECOND])
        await each_client.xadd(ONE, {"type": "counted", "v": 1, "seq": 3, "data": '{"number":9}'}, id="6-0")
        await reaches(each_client, [1, 2, 7, 8, 9], [SECOND])
    assert len(await gaps(each_client)) == 1


async def test_a_poison_entry_of_the_second_goes_to_the_dead_letters(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    one, two = await writers(each_client)
    await one.publish(counted([1, 2]))
    await two.publish(counted([SECOND, POISON, SECOND + 1]))
    async with running(each_server.url, fold(Ledger(), FAR)):
        await reaches(each_client, [1, 2], [SECOND, SECOND + 1])
        [(_, letter)] = await each_client.xrange(KEYS.dead("chain"))
        assert letter[b"id"] == (await each_client.xrange(TWO))[1][0]
    assert await gaps(each_client) == []


class Anew(Ledger):
    """Begins with an empty state in Redis too, whenever it begins anew."""

    def reset(self) -> None:
        super().reset()
        self._anew = True


@pytest.mark.parametrize("lost", ["damaged", "not to be shown"])
async def test_a_state_of_no_use_is_made_anew_from_what_the_streams_hold(
    valkey: EmbeddedValkey, client: redis.Client, lost: str
) -> None:
    one, two = await writers(client)
    await one.publish(counted([1, 2]))
    await two.publish(counted([SECOND]))
    ledger = Anew()
    async with running(valkey.url, fold(ledger, FAR)):
        await reaches(client, [1, 2], [SECOND])
        if lost == "damaged":
            await client.rpush(KEYS.state(domains.CHAIN), "nonsense")
            await client.delete(KEYS.lease("chain", "ledger"))  # memory counts no more
        else:
            ledger.broken = "as after a change of the code"
            resets = ledger.resets

            async def given_up() -> bool:
                return ledger.resets > resets

            await until(given_up, 20, "the state is given up")
            ledger.broken = ""
        await one.publish(counted([3]))
        await reaches(client, [1, 2, 3], [SECOND], 20)


# --- several servers, several replicas ---------------------------------------------------------------------


async def test_on_a_cluster_with_a_replica_that_takes_over_again_and_again(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        client = redis.connect(cluster.url)
        try:
            await client.ping()
            shards = {client.get_node_from_key(key).port for key in (ONE, TWO, KEYS.checkpoint(domains.CHAIN))}
            assert len(shards) > 1
            async with (
                running(cluster.url, fold(Ledger(), FAR), INSTANCE="a"),
                running(cluster.url, fold(Ledger(), FAR), INSTANCE="b"),
                publishing(client, 400),
            ):
                for _ in range(8):
                    await asyncio.sleep(0.1)
                    await client.delete(KEYS.lease("chain", "ledger"))
                await reaches(client, [*range(400)], [*range(SECOND, SECOND + 400)], 30)
            assert await gaps(client) == []
        finally:
            await client.aclose()


async def test_a_shard_that_is_killed_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        client = redis.connect(cluster.url)
        try:
            await client.ping()
            port = client.get_node_from_key(TWO).port
            owner = next(node for node in cluster.nodes if node.port == port)
            async with running(cluster.url, fold(Ledger(), FAR)), publishing(client, 200):
                await until(lambda: client.xlen(TWO), 10, "some are published")
                await owner.restart(kill=True)
                await reaches(client, [*range(200)], [*range(SECOND, SECOND + 200)], 40)
        finally:
            await client.aclose()

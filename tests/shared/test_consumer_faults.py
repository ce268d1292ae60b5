"""Entries, beginnings and states that cannot be folded: each fault is traced, bounded, told; the rest goes on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from local_run.valkey import EmbeddedValkey
from shared import consumer, domains, redis, resync, trouble
from shared.bus import Producer
from shared.commit import Commands
from shared.consumer import Consumer
from shared.events.base import Event, Family
from shared.events.ops import OPS
from shared.service import Service
from shared.tasks import end
from support.ledger import (
    CONTRADICTION,
    KEYS,
    POISON,
    UNPACKABLE,
    UNWRITABLE,
    WIRING,
    WITH_INBOX,
    Begun,
    Counted,
    Ledger,
    counted,
    fold,
    folded,
    pending,
    producer,
    running,
    send,
    total,
)
from support.proxy import LossyProxy
from support.stack import until


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(self: Consumer, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)

    monkeypatch.setattr(redis, "BLOCK_MS", 50)
    monkeypatch.setattr(Consumer, "_pause", pause)
    monkeypatch.setattr(trouble, "LONGEST_SECONDS", 0.2)
    monkeypatch.setattr(resync, "LOOK_SECONDS", 0.1)


async def reaches(client: redis.Client, numbers: list[int], limit: float = 8) -> None:
    async def there() -> bool:
        return await folded(client) == numbers

    try:
        await until(there, limit, "all numbers are folded")
    except AssertionError as error:
        raise AssertionError(f"{error}; folded {await folded(client)}") from None
    assert await total(client) == sum(numbers)
    await until(lambda: none_pending(client), 5, "nothing is pending")


async def none_pending(client: redis.Client) -> bool:
    return await pending(client) == 0


async def letters(client: redis.Client) -> list[tuple[bytes, bytes]]:
    return [(fields[b"data"], fields[b"error"]) for _, fields in await client.xrange(KEYS.dead("chain"))]


async def gaps(client: redis.Client) -> int:
    events = [
        OPS.decode(fields[b"type"], fields[b"data"]) for _, fields in await client.xrange(KEYS.stream(domains.OPS))
    ]
    return sum(event is not None and event.TYPE == "gap.detected" for event in events)


async def is_(it: Service, state: str) -> bool:
    return it.health.state == state


@contextlib.asynccontextmanager
async def answering(client: redis.Client, writer: Producer, events: list[Event]) -> AsyncIterator[list[float]]:
    """What chain-ingest does: when a fold asks for it, begin anew; the request goes with the commit. When it was."""
    answers: list[float] = []

    async def answer() -> None:
        while True:
            if await client.get(KEYS.resync(domains.BLOCKS)):
                answers.append(time.monotonic())
                commands = Commands()
                commands.add("DEL", KEYS.resync(domains.BLOCKS))
                await writer.publish(events, commands)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(answer())
    try:
        yield answers
    finally:
        await end(task)


# --- an entry that cannot be written -----------------------------------------------------------------------


@pytest.mark.parametrize("poison", [UNWRITABLE, UNPACKABLE, POISON])
@pytest.mark.parametrize("before", [0, 1, 700])
async def test_what_fails_after_it_was_applied_is_traced_to_its_entry(
    valkey: EmbeddedValkey, client: redis.Client, poison: int, before: int
) -> None:
    """Numbers that no record holds pass `apply` and fail when they are written, together with 1,000 good ones."""
    writer = await producer(client)
    good = list(range(before + 250))
    await writer.publish(counted([*good[:before], poison, *good[before:]]))
    ledger = Ledger()
    async with running(valkey.url, fold(ledger)) as it:
        await reaches(client, good)
        assert [data for data, _ in await letters(client)] == [b'{"number":%d}' % poison]
        assert it.health.state == "ok"
        assert await gaps(client) == 0
        await writer.publish(counted([1_000]))
        await reaches(client, [*good, 1_000])
        assert sorted(await client.hkeys(KEYS.checkpoint(domains.CHAIN))) == [b"commits", b"cursor"]
    assert ledger.restores < 40  # traced by halves, and then tried alone


async def test_two_that_fail_in_one_batch_are_both_found(valkey: EmbeddedValkey, client: redis.Client) -> None:
    writer = await producer(client)
    await writer.publish(counted([1, UNWRITABLE, 2, UNPACKABLE, POISON, 3]))
    async with running(valkey.url, fold(Ledger())):
        await reaches(client, [1, 2, 3])
        assert len(await letters(client)) == 3


async def test_a_state_that_cannot_be_written_costs_no_entry_and_is_made_anew(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """Whatever comes, `flush` fails: that is no entry's fault. Said, waited out, and in the end rebuilt."""
    writer = await producer(client)
    await writer.publish(counted([1, 2]))
    ledger = Ledger()
    async with running(valkey.url, fold(ledger)) as it:
        await reaches(client, [1, 2])
        ledger.broken = "a figure that nobody can show"
        await until(lambda: is_(it, "degraded"), 5, "it is said")
        assert "a figure that nobody can show" in it.health.reason
        await writer.publish(counted([3]))
        await until(lambda: client.get(KEYS.resync(domains.BLOCKS)), 5, "a new beginning is asked for")
        ledger.broken = ""
        async with answering(client, writer, [Begun(), *counted([7])]):
            await reaches(client, [7])
        await until(lambda: is_(it, "ok"), 5, "all is well again")
        assert await letters(client) == []


async def test_a_state_that_can_be_written_again_goes_on(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "DELIVERIES", 1_000)
    writer = await producer(client)
    await writer.publish(counted([1]))
    ledger = Ledger()
    async with running(valkey.url, fold(ledger)) as it:
        await reaches(client, [1])
        ledger.broken = "no view"
        await writer.publish(counted([2]))
        await until(lambda: is_(it, "degraded"), 5, "it is said")
        ledger.broken = ""
        await reaches(client, [1, 2])
        assert await letters(client) == []
        assert await gaps(client) == 0


# --- a beginning that does not fit -------------------------------------------------------------------------


@pytest.mark.parametrize("upon", ["nothing", "no gap"])
async def test_a_beginning_that_does_not_fit_the_state_is_applied_to_an_empty_one(
    valkey: EmbeddedValkey, client: redis.Client, upon: str
) -> None:
    writer = await producer(client)
    await writer.publish(counted([1, 2, 3]))
    async with running(valkey.url, fold(Ledger())) as it:
        await reaches(client, [1, 2, 3])
        await writer.publish([Begun(upon=upon), *counted([10, 11])])
        await reaches(client, [10, 11])
        await until(lambda: is_(it, "ok"), 5, "all is well")
        assert await letters(client) == []
        assert await gaps(client) == 0
        assert sorted(await client.hkeys(KEYS.checkpoint(domains.CHAIN))) == [
            b"commits",
            b"cursor",
        ]  # no attempt is left


@pytest.mark.parametrize("upon", ["nothing", "no gap"])
async def test_nor_does_it_livelock_behind_a_gap(valkey: EmbeddedValkey, client: redis.Client, upon: str) -> None:
    writer = await producer(client)
    await writer.publish(counted([1, 2, 3]))
    async with running(valkey.url, fold(Ledger())):
        await reaches(client, [1, 2, 3])
        async with answering(client, writer, [Begun(upon=upon), *counted([10, 11])]) as answers:
            await writer.publish(counted([CONTRADICTION]))
            await reaches(client, [10, 11])
            await writer.publish(counted([12]))
            await reaches(client, [10, 11, 12])
        assert len(answers) == 1
        assert await letters(client) == []


async def test_a_beginning_that_fits_nothing_goes_to_the_dead_letters(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    writer = await producer(client)
    await writer.publish(counted([1]))
    async with running(valkey.url, fold(Ledger())):
        await reaches(client, [1])
        await writer.publish([Begun(upon="never"), *counted([2])])
        await reaches(client, [1, 2])
        [(data, error)] = await letters(client)
        assert data == b'{"upon":"never"}'
        assert b"does not fit" in error
        assert await gaps(client) == 0


# --- asking again ------------------------------------------------------------------------------------------


async def test_a_gap_that_comes_back_is_asked_for_ever_more_rarely(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync, "FIRST_SECONDS", 0.2)
    writer = await producer(client)
    async with (
        running(valkey.url, fold(Ledger())) as it,
        answering(client, writer, [Begun(), *counted([1, CONTRADICTION])]) as answers,
    ):
        await writer.publish(counted([CONTRADICTION]))

        async def five() -> bool:
            return len(answers) >= 5

        await until(five, 20, "it asks five times")
        pauses = [after - before for before, after in itertools.pairwise(answers)][:4]
        for pause, least in zip(pauses, (0.2, 0.4, 0.8, 1.6), strict=True):
            assert pause > least - 0.1, pauses
        assert await gaps(client) == 1  # told once

        async def counted_too() -> bool:
            return int(str(it.health.details["resyncs"])) >= 5

        await until(counted_too, 5, "and counted")
        await until(lambda: is_(it, "degraded"), 5, "and it is said what it waits for")


async def test_a_request_that_vanishes_is_made_again(valkey: EmbeddedValkey, client: redis.Client) -> None:
    """An evicting Redis, or a hand: nobody will answer what is not there. The stream goes on meanwhile."""
    writer = await producer(client)
    await writer.publish(counted([1]))

    async def publish() -> None:
        while True:
            await writer.publish(counted([5]))
            await asyncio.sleep(0.01)

    async with running(valkey.url, fold(Ledger())) as it:
        await reaches(client, [1])
        await client.hset(KEYS.producer(domains.BLOCKS), "cursor", "9")
        await writer.load()
        publishing = asyncio.create_task(publish())
        try:
            for _ in range(3):
                await until(lambda: client.getdel(KEYS.resync(domains.BLOCKS)), 10, "the fold asks")
        finally:
            await end(publishing)
        assert await gaps(client) == 1
        await until(lambda: client.get(KEYS.resync(domains.BLOCKS)), 10, "the fold asks once more")
        writer = await producer(client)
        async with answering(client, writer, [Begun(), *counted([20])]) as answers:
            await reaches(client, [20])
            await until(lambda: is_(it, "ok"), 5, "all is well again")
        assert len(answers) == 1
        assert await client.get(KEYS.resync(domains.BLOCKS)) is None


# --- versions ----------------------------------------------------------------------------------------------


async def test_an_entry_of_a_newer_version_waits_for_the_update(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a field means may have changed: it is neither guessed at nor thrown away."""
    writer = await producer(client)
    await writer.publish(counted([1]))
    await client.xadd(KEYS.stream(domains.BLOCKS), {"type": "counted", "v": "2", "seq": 2, "data": '{"number":2}'})
    async with running(valkey.url, fold(Ledger())) as it:
        await until(lambda: is_(it, "degraded"), 5, "it is said")
        assert it.health.reason == "counted is of version 2, this service knows 1: update the service"
        assert await folded(client) == [1]
        assert await letters(client) == []
    monkeypatch.setattr(Counted, "VERSION", 2)
    async with running(valkey.url, fold(Ledger(), replace(WIRING, family=Family(Begun, Counted)))):
        await reaches(client, [1, 2])


# --- commits that do not move the cursor -------------------------------------------------------------------


async def test_a_lost_reply_makes_no_second_letter(valkey: EmbeddedValkey, client: redis.Client) -> None:
    """Letters and flushes leave the cursor where it is: what tells their repetition is the count of commits."""
    writer = await producer(client)
    await writer.publish([Begun(), *counted([1])])
    async with LossyProxy(valkey.port) as proxy, running(proxy.url, fold(Ledger(), WITH_INBOX)):
        await reaches(client, [1])
        lost = 0

        def loses(request: bytes) -> bool:
            nonlocal lost
            lost += (first := b"EVALSHA" in request and KEYS.dead("chain").encode() in request and not lost)
            return bool(first)

        proxy.loses = loses
        await send(client, [POISON, 2])
        await reaches(client, [1, 2])
        assert proxy.lost == 1
        assert len(await letters(client)) == 1


async def test_letters_are_folded_while_the_stream_has_a_gap(valkey: EmbeddedValkey, client: redis.Client) -> None:
    """What is sent once (such as a person's wish to begin anew) must not be eaten by a gap."""
    writer = await producer(client)
    await writer.publish([Begun(), *counted([1])])
    async with running(valkey.url, fold(Ledger(), WITH_INBOX)) as it:
        await reaches(client, [1])
        await client.hset(KEYS.producer(domains.BLOCKS), "cursor", "9")
        await writer.load()
        await writer.publish(counted([2]))
        await until(lambda: is_(it, "degraded"), 5, "the gap is reported")
        await send(client, [70, 71])
        await reaches(client, [1, 70, 71])
        await until(lambda: emptied(client), 5, "the inbox is empty")
        assert it.health.state == "degraded"


async def emptied(client: redis.Client) -> bool:
    return bool(await client.xlen(KEYS.stream(domains.BACKFILL)) == 0)

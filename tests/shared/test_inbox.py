"""The second input: each entry once, whatever happens; what is done is gone; the stream always comes first."""

from __future__ import annotations

import asyncio

import pytest

from shared import domains, redis
from shared.errors import Fenced
from support.contained import AnyServer
from support.each import each
from support.ledger import (
    KEYS,
    POISON,
    WITH_INBOX,
    Begun,
    Ledger,
    counted,
    fold,
    folded,
    producer,
    running,
    send,
    total,
)
from support.stack import until


@pytest.fixture(autouse=True)
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "BLOCK_MS", 50)


async def holds(client: redis.Client, numbers: list[int]) -> None:
    """Wait until exactly these numbers are folded, in any order, each once, and the inbox is empty."""

    async def there() -> bool:
        return sorted(await folded(client)) == sorted(numbers) and await client.xlen(KEYS.stream(domains.BACKFILL)) == 0

    try:
        await until(there, 8, "all numbers are folded and the inbox is empty")
    except AssertionError as error:
        raise AssertionError(f"{error}; folded {await folded(client)}") from None
    assert await total(client) == sum(numbers)
    assert (await client.xpending(KEYS.stream(domains.BACKFILL), "ledger"))["pending"] == 0


async def test_both_inputs_are_folded_and_the_inbox_is_emptied(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    writer = await producer(each_client)
    await send(each_client, [1_000, 1_001])
    await writer.publish([Begun(), *counted([1, 2])])
    async with running(each_server.url, fold(Ledger(), WITH_INBOX)):
        await holds(each_client, [1, 2, 1_000, 1_001])
        await writer.publish(counted([3]))
        await send(each_client, [1_002])
        await holds(each_client, [1, 2, 3, 1_000, 1_001, 1_002])
    assert (await folded(each_client))[:2] == [1, 2]  # the stream goes first


async def test_what_was_delivered_but_not_committed_comes_again(
    each_server: AnyServer, each_client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit fails on its way, as by a kill: the entry is delivered to the next run, and counts once."""
    writer = await producer(each_client)
    await writer.publish([Begun(), *counted([1])])
    async with running(each_server.url, fold(Ledger(), WITH_INBOX)):
        await holds(each_client, [1])
    refused = asyncio.Event()
    with monkeypatch.context() as patch:

        async def refuse(*_: object) -> None:
            refused.set()
            raise Fenced("as if another replica had taken over")

        patch.setattr("shared.commit.Cursor.commit", refuse)
        await send(each_client, [7])
        async with running(each_server.url, fold(Ledger(), WITH_INBOX)):
            await asyncio.wait_for(refused.wait(), 5)
    assert await folded(each_client) == [1]
    await send(each_client, [8])
    async with running(each_server.url, fold(Ledger(), WITH_INBOX)):
        await holds(each_client, [1, 7, 8])


async def test_a_poison_entry_is_put_aside_at_once(each_server: AnyServer, each_client: redis.Client) -> None:
    writer = await producer(each_client)
    await writer.publish([Begun(), *counted([1])])
    async with running(each_server.url, fold(Ledger(), WITH_INBOX)) as it:
        await holds(each_client, [1])
        await send(each_client, [POISON, 2])
        await each_client.xadd(KEYS.stream(domains.BACKFILL), {"type": "counted", "v": 1, "seq": 0, "data": "no JSON"})
        await each_client.xadd(KEYS.stream(domains.BACKFILL), {"type": "of.the.future", "v": 1, "seq": 0, "data": "{}"})
        await send(each_client, [3])
        await holds(each_client, [1, 2, 3])
        assert it.health.state == "ok"
    letters = await each_client.xrange(KEYS.dead("chain"))
    assert [fields[b"data"] for _, fields in letters] == [b'{"number":-666}', b"no JSON"]
    assert each(fields[b"error"] and fields[b"id"] for _, fields in letters)


async def test_a_deleted_inbox_is_made_again(each_server: AnyServer, each_client: redis.Client) -> None:
    writer = await producer(each_client)
    await writer.publish([Begun(), *counted([1])])
    async with running(each_server.url, fold(Ledger(), WITH_INBOX)):
        await holds(each_client, [1])
        await each_client.delete(KEYS.stream(domains.BACKFILL))
        await send(each_client, [2])
        await holds(each_client, [1, 2])
        await writer.publish(counted([3]))
        await holds(each_client, [1, 2, 3])

"""chain-history as it runs - its consumer, its stream, a real Valkey - where the fold alone would not show it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
import pytest

from chain_history import app
from chain_history.state import decode
from local_run.valkey import EmbeddedValkey
from shared import commit, domains, redis
from shared.events.blocks import BlockConnected
from shared.views import HistoryView
from support.chain_samples import chain, loaded
from support.ledger import KEYS, producer, running, service
from support.stack import until

NAME = "chain-history"


async def shows(client: redis.Client, tip: BlockConnected, limit: float = 10) -> HistoryView:
    """The view, once it ends with this block."""

    async def there() -> HistoryView | None:
        raw = await client.hget(KEYS.views(domains.HISTORY), "history")
        view = msgspec.json.decode(raw, type=HistoryView) if raw else None
        return view if view is not None and view.hash == tip.hash else None

    view = await until(there, limit, f"the view ends with block {tip.height}")
    assert view is not None
    return view


@pytest.fixture(autouse=True)
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader notices within its blocking time that it is to stop."""
    monkeypatch.setattr(redis, "BLOCK_MS", 50)


async def asked_again(client: redis.Client) -> int:
    """How often the producer was asked to begin anew."""
    return sum(fields[b"type"] == b"gap.detected" for _, fields in await client.xrange(KEYS.stream(domains.OPS)))


async def test_a_beginning_that_is_too_deep_begins_with_nothing(
    client: redis.Client, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More blocks in a day than are kept in full: nobody can say which transactions follow those that go."""
    for module in ("recent", "store"):
        monkeypatch.setattr(f"chain_history.{module}.REORG_BLOCKS", 50)
    blocks = [msgspec.structs.replace(block, time=1_300_000_000 + block.height) for block in chain(100)]
    writer = await producer(client)
    async with running(valkey.url, app.run, NAME):
        await writer.publish([loaded(blocks[:10]), *blocks[10:]])
        await shows(client, blocks[-1])
        other = chain(30, on=blocks[:60], salt=7)
        await writer.publish([loaded(other[:80]), *other[80:]])
        view = await shows(client, other[-1])
        assert await asked_again(client) == 0
    assert (view.height, view.first_header, view.measured) == (90, 0, 10)


async def test_headers_without_hashes_begin_with_their_tip(client: redis.Client, valkey: EmbeddedValkey) -> None:
    """As chain-ingest published them before it told hashes: what lies below comes with the backfill."""
    blocks = chain(120)
    without = msgspec.structs.replace(loaded(blocks[:100]), hashes=[])
    writer = await producer(client)
    async with running(valkey.url, app.run, NAME):
        await writer.publish([loaded(blocks[:50]), *blocks[50:60]])
        await shows(client, blocks[59])
        await writer.publish([without])
    async with running(valkey.url, app.run, NAME):  # stopped with nothing but that beginning
        await writer.publish(list(blocks[100:]))
        view = await shows(client, blocks[-1])
        assert await asked_again(client) == 0
    assert (view.height, view.first_header, view.measured) == (120, 101, 20)
    assert view.floor_hash == blocks[99].hash


@pytest.mark.parametrize("runs", [True, False])
async def test_a_lost_checkpoint_costs_nothing_of_the_history(
    client: redis.Client, valkey: EmbeddedValkey, *, runs: bool
) -> None:
    """Only where it stands in the stream is lost: the next beginning is held against what is there."""
    blocks = chain(160)
    writer = await producer(client)

    async def kept() -> dict[bytes, bytes]:
        keys = sorted(await client.keys("*:series:*"))
        return {key: await client.get(key) for key in keys}

    async def asked() -> bool:
        return bool(await client.exists(KEYS.resync(domains.BLOCKS)))

    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(running(valkey.url, app.run, NAME))
        await writer.publish([loaded(blocks[:10]), *blocks[10:]])
        before = await shows(client, blocks[-1])
        series = await kept()
        assert (before.measured, len(series)) == (150, 6)
        await client.xtrim(KEYS.stream(domains.BLOCKS), maxlen=5, approximate=False)
        if not runs:
            await stack.aclose()
        await client.delete(KEYS.checkpoint(domains.HISTORY))
        if not runs:
            await stack.enter_async_context(running(valkey.url, app.run, NAME))
        await until(asked, 15, "it asks for a beginning")
        assert await kept() == series
        more = chain(2, on=blocks)
        await client.delete(KEYS.resync(domains.BLOCKS))
        await writer.publish([loaded(more[: len(blocks)]), *more[len(blocks) :]])
        after = await shows(client, more[-1])
    assert (after.first_header, after.measured) == (before.first_header, before.measured + 2)
    assert len(await kept()) == 6


async def test_a_state_that_was_overwritten_is_written_again(client: redis.Client, valkey: EmbeddedValkey) -> None:
    blocks = chain(20)
    writer = await producer(client)
    async with running(valkey.url, app.run, NAME):
        await writer.publish([loaded(blocks[:10]), *blocks[10:]])
        await shows(client, blocks[-1])

        async def settled() -> bytes | None:
            raw: bytes = await client.hget(KEYS.state(domains.HISTORY), "state")
            counts = decode(raw).counts
            return raw if counts is not None and counts.views else None

        before = await until(settled, 10, "all is recorded")
        await client.hset(KEYS.state(domains.HISTORY), "state", b"\xc1 no record")

        async def again() -> bool:
            return bool(await client.hget(KEYS.state(domains.HISTORY), "state") == before)

        await until(again, 10, "it is written again")
        more = chain(1, on=blocks)
        await writer.publish([more[-1]])
        await shows(client, more[-1])


async def test_a_stop_waits_for_the_commit(
    client: redis.Client, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = chain(20)
    await (await producer(client)).publish([loaded(blocks[:10]), *blocks[10:]])
    it = service(valkey.url, NAME)
    carried_out = commit.Cursor.commit

    async def slow(self: commit.Cursor, *arguments: Any) -> None:
        it.stopping.set()
        await asyncio.sleep(0.3)
        await carried_out(self, *arguments)

    monkeypatch.setattr(commit.Cursor, "commit", slow)
    try:
        await asyncio.wait_for(app.run(it), 8)
    finally:
        await it.close()
    cursor: bytes = await client.hget(KEYS.checkpoint(domains.HISTORY), "cursor") or b""
    assert cursor.split()[1:2] == [b"11"], "the batch that was begun is there"

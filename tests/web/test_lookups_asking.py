"""Questions to the explorer: what is asked anew after a change, and that entries of several writers are no gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
import structlog

from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import CHANGES
from shared.events.lookups import TxChanged, TxWanted
from shared.jobs import Answer
from shared.keys import Keys
from shared.lookups import transaction
from shared.lookups.parts import Tip
from shared.lookups.transaction import Gone
from support.stack import until
from web.lookups.asking import Lookups, Pending
from web.push.cursor import EntryId
from web.push.sse import content
from web.push.tail import Entry, parse, unbroken

KEYS = Keys("regtest")
TXID = "ab" * 32
TIP = "cd" * 32


def changed(number: int, about: str = TXID) -> Entry:
    return Entry(
        EntryId(number, 0), None, content(b"tx.changed", msgspec.json.encode(TxChanged(key=about, status="near")))
    )


@pytest_asyncio.fixture
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[redis.Client]:
    async with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        it = redis.connect(server.url)
        yield it
        await it.aclose()


@pytest.fixture
def lookups(client: redis.Client) -> Lookups:
    return Lookups(client, KEYS, lambda: TIP, structlog.get_logger())


async def answer(client: redis.Client, name: str, at_ms: int) -> None:
    gone = Gone(txid=TXID, timeline=[], tip=Tip(height=1, hash=TIP, time=1), as_of_ms=at_ms)
    made = Answer(status="done", data=msgspec.Raw(msgspec.json.encode(gone)), time_ms=at_ms)
    await client.set(KEYS.answer(CHANGES.slot, name), msgspec.json.encode(made), px=60_000)


async def ask(lookups: Lookups, patience: float = 2) -> int:
    held = await lookups.ask(f"tx:{TXID}:0", TxWanted(txid=TXID), transaction.Answer, patience)
    return held.time_ms


async def test_what_changed_is_another_question(client: redis.Client, lookups: Lookups) -> None:
    before = lookups.now(f"tx:{TXID}:0")
    await answer(client, before, 1)
    assert await ask(lookups) == 1
    lookups.entries("changes", [changed(5)])
    after = lookups.now(f"tx:{TXID}:0")
    assert (before != after, lookups.now(f"tx:{'ef' * 32}:0").count(":")) == (True, before.count(":"))
    await answer(client, after, 2)
    assert await ask(lookups) == 2
    lookups.interrupted("changes", "lost", EntryId(9, 0))
    assert lookups.now(f"tx:{TXID}:0") not in {before, after}
    assert lookups.changed_lately("ef" * 32, 10), "nobody knows"


async def test_an_answer_from_before_a_change_is_not_given(client: redis.Client, lookups: Lookups) -> None:
    before = lookups.now(f"tx:{TXID}:0")
    asking = asyncio.ensure_future(ask(lookups))
    await until(lambda: client.hexists(KEYS.jobs(CHANGES.slot), before), 2, "it is asked")
    lookups.entries("changes", [changed(5)])
    await answer(client, before, 1)
    after = lookups.now(f"tx:{TXID}:0")
    await until(lambda: client.hexists(KEYS.jobs(CHANGES.slot), after), 2, "it is asked again")
    await answer(client, after, 2)
    assert await asking == 2


async def test_what_changes_all_the_time_is_answered_at_last(client: redis.Client, lookups: Lookups) -> None:
    before = lookups.now(f"tx:{TXID}:0")
    for number in range(3):
        with pytest.raises(Pending):
            await ask(lookups, 0.05)
        lookups.entries("changes", [changed(5 + number)])
    assert await client.hkeys(KEYS.jobs(CHANGES.slot)) == [before.encode()], "one question waits"
    await answer(client, before, 1)
    await answer(client, lookups.now(f"tx:{TXID}:0"), 2)
    assert await ask(lookups) == 2


def test_entries_of_several_writers_are_no_gap() -> None:
    batch = [parse(b"%d-0" % at, {b"seq": seq, b"type": b"x"}) for at, seq in enumerate((b"7", b"0", b"1", b"2"))]
    assert [entry.seq for entry in batch] == [7, None, 1, 2]
    assert unbroken(6, batch)
    assert not unbroken(6, [batch[0], batch[2]])

"""Well-formed entries with absurd numbers, through the real Consumer and the services' own folds: nothing stalls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from chain_history.app import run as chain_history
from chain_metrics.app import run as chain_metrics
from local_run.valkey import EmbeddedValkey
from mempool.app import run as mempool
from shared import consumer, domains, redis, resync, trouble
from shared.bus import Producer
from shared.commit import Commands
from shared.events.base import Event
from shared.events.mempool import MempoolReset, MempoolSynced, TxAdded
from shared.keys import Keys
from shared.lease import Lease
from shared.service import Service
from shared.tasks import end
from support import chain_samples
from support.ledger import running
from support.stack import until

KEYS = Keys("regtest")
MOST, MONEY = 2**32 - 1, 21 * 10**14

Run = Callable[[Service], Awaitable[None]]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "BLOCK_MS", 50)
    monkeypatch.setattr(consumer, "DELIVERIES", 2)
    monkeypatch.setattr(trouble, "LONGEST_SECONDS", 0.2)
    monkeypatch.setattr(resync, "FIRST_SECONDS", 0.1)


async def writer(client: redis.Client, domain: str) -> Producer:
    lease = Lease(client, KEYS.lease(domain, "writer"), KEYS.fence(domain, "writer"))
    await client.delete(lease.key)
    assert await lease.try_acquire()
    stream, cursor = (
        (KEYS.stream(domains.BLOCKS), KEYS.producer(domains.BLOCKS))
        if domain == "chain"
        else (KEYS.stream(domains.TXS), KEYS.producer(domains.TXS))
    )
    made = Producer(client, lease, stream, cursor, KEYS.confirmed(domain))
    await made.load()
    return made


@contextlib.asynccontextmanager
async def answering(client: redis.Client, key: str, producer: Producer, events: list[Event]) -> AsyncIterator[None]:
    """A fold that asks for it gets a beginning that is as it should be."""

    async def answer() -> None:
        while True:
            if await client.get(key):
                commands = Commands()
                commands.add("DEL", key)
                await producer.publish(events, commands)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(answer())
    try:
        yield
    finally:
        await end(task)


def caught_up(client: redis.Client, it: Service, stream: str, checkpoint: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        last: bytes = (await client.xinfo_stream(stream))["last-generated-id"]
        cursor: bytes = await client.hget(checkpoint, "cursor") or b""
        return it.health.state == "ok" and cursor.startswith(last + b" ")

    return look


def with_numbers(event: Event, **numbers: Any) -> Event:
    """The event with other numbers, unchecked, as somebody else's program may write it."""
    return msgspec.structs.replace(event, **numbers)


def added(number: int, **numbers: Any) -> TxAdded:
    fields: dict[str, Any] = {
        "txid": f"{number:064x}", "vsize": 200, "weight": 800, "size": 250, "fee": 1_000, "value": 10**8,
        "time": 1_750_000_000, "parents": [], "children": [], "ancestor_fee": 1_000, "ancestor_vsize": 200,
        "replaceable": False,
    }  # fmt: skip
    return TxAdded(**{**fields, **numbers})


def synced(count: int) -> MempoolSynced:
    return MempoolSynced(
        mempool_sequence=1, tx_count=count, vsize=200 * count, total_fee=1_000 * count, min_fee_rate=1.0,
        usage=1_000, max_usage=300_000_000, time_ms=1_750_000_000_000,
    )  # fmt: skip


RESET = MempoolReset(cause="test", node="main")


@pytest.mark.parametrize(
    "numbers",
    [
        {"fee": 10**18},
        {"value": 10**18},
        {"vsize": 10**18},
        {"time": 10**18},
        {"fee": -5},
        {"txid": "no hex" + "0" * 58},
        {"vsize": 0, "weight": 0},
        {"fee": MONEY, "value": MONEY, "vsize": MOST, "weight": MOST, "size": MOST, "time": MOST},
        {"time": 0},
    ],
    ids=str,
)
async def test_the_mempool_goes_on(valkey: EmbeddedValkey, client: redis.Client, numbers: dict[str, Any]) -> None:
    """Whether it is put aside or folded: what comes behind counts, and no figure stands still."""
    producer = await writer(client, "mempool")
    good = [added(1), added(2), added(3)]
    async with (
        running(valkey.url, mempool, "mempool") as it,
        answering(client, KEYS.resync(domains.TXS), producer, [RESET, *good, synced(3)]),
    ):
        await producer.publish([RESET, good[0], added(9, **numbers), *good[1:], synced(3)])
        await until(
            caught_up(client, it, KEYS.stream(domains.TXS), KEYS.checkpoint(domains.MEMPOOL)),
            20,
            "all is folded, and well",
        )
        await producer.publish([added(4), synced(4)])
        await until(caught_up(client, it, KEYS.stream(domains.TXS), KEYS.checkpoint(domains.MEMPOOL)), 20, "it goes on")
        assert await client.hlen(KEYS.state(domains.MEMPOOL)) == 4

        async def shown() -> bool:
            raw: bytes | None = await client.hget(KEYS.views(domains.MEMPOOL), "mempool")
            return raw is not None and msgspec.json.decode(raw)["count"] == 4

        await until(shown, 10, "and is shown")


CHAIN = chain_samples.chain(30)


@pytest.mark.parametrize(
    "numbers",
    [
        {"time": 10**18},
        {"height": 10**18},
        {"output_value": 10**18},
        {"fees": 10**18},
        {"size": 10**18, "weight": 10**18},
        {"difficulty": 1e300},
        {"bits": "ffffffff"},
        {"bits": "00000000"},
        {"bits": "no hex"},
        {"fee_rate_percentiles": []},
        {"output_bands": [1]},
        {"output_bands": [MOST] * 12, "output_value": 10**16, "fees": MONEY, "tx_count": MOST, "time": MOST},
        {"time": 0, "median_time": 0},
        {"chainwork": "f" * 64},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("run", "name", "checkpoint"),
    [
        (chain_metrics, "chain-metrics", KEYS.checkpoint(domains.CHAIN)),
        (chain_history, "chain-history", KEYS.checkpoint(domains.HISTORY)),
    ],
    ids=["chain-metrics", "chain-history"],
)
async def test_the_chains_folds_go_on(
    valkey: EmbeddedValkey, client: redis.Client, run: Run, name: str, checkpoint: str, numbers: dict[str, Any]
) -> None:
    producer = await writer(client, "chain")
    good: list[Event] = [chain_samples.loaded(CHAIN[:10]), *CHAIN[10:20]]
    async with running(valkey.url, run, name) as it, answering(client, KEYS.resync(domains.BLOCKS), producer, good):
        await producer.publish([*good[:6], with_numbers(CHAIN[15], **numbers), *CHAIN[16:20]])
        await until(caught_up(client, it, KEYS.stream(domains.BLOCKS), checkpoint), 20, "all is folded, and well")
        await producer.publish([chain_samples.loaded(CHAIN[:20]), *CHAIN[20:25]])
        await until(caught_up(client, it, KEYS.stream(domains.BLOCKS), checkpoint), 20, "it goes on")

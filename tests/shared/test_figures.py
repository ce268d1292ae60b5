"""What Prometheus is told of leases, of what is not folded yet, of what was put aside, of waits and of memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.lease import Lease
from shared.leased import Leased
from shared.service import Service
from shared.tasks import end
from support.labour import DOMAIN, Wanted, jobs, work
from support.ledger import KEYS, Ledger, counted, fold, producer, running, service
from support.stack import until

BLOCKS = KEYS.stream(domains.BLOCKS)
WAIT_MS = 300


def told(name: str, **labels: str) -> float | None:
    """What a figure is; None where it is not told at all."""
    return REGISTRY.get_sample_value(name, labels)


async def held(name: str, value: float) -> bool:
    return told("dashboard_lease_held", service=name, work="test") == value


def leased(it: Service) -> asyncio.Task[Any]:
    lease = Lease(it.redis, KEYS.lease("chain", "figures"), KEYS.fence("chain", "figures"))

    async def until_stopped() -> None:
        await it.stopping.wait()

    return asyncio.create_task(Leased(it, lease, name="test").run(until_stopped))


async def test_which_replica_is_active(valkey: EmbeddedValkey, client: redis.Client) -> None:
    active, standby = (service(valkey.url, name) for name in ("figures-a", "figures-b"))
    tasks = [leased(active)]
    try:
        await until(lambda: held("figures-a", 1), 5, "one is active")
        tasks.append(leased(standby))
        await until(lambda: held("figures-b", 0), 5, "the other stands by")
        active.stopping.set()
        await until(lambda: held("figures-b", 1), 10, "the other takes over")
        assert await held("figures-a", 0)
        standby.stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        assert await held("figures-b", 0)
    finally:
        await end(*tasks)
        await active.close()
        await standby.close()


async def test_what_needs_no_lease_or_is_not_to_be_done_is_never_missed(valkey: EmbeddedValkey) -> None:
    it = service(valkey.url, "figures-c")
    lease = Lease(it.redis, KEYS.lease("chain", "figures"), KEYS.fence("chain", "figures"))
    Leased(it, lease, name="test")  # and never run
    free = Leased(it, name="test")
    it.stopping.set()
    await free.run(it.close)
    assert told("dashboard_lease_held", service="figures-c", work="test") is None
    await it.close()


async def test_what_is_not_folded_yet(client: redis.Client) -> None:
    writer = await producer(client)
    await writer.publish(counted(range(5)))
    for group in ("mempool", "a stranger"):
        await client.xgroup_create(BLOCKS, group, id="0")
    [(_, entries)] = (await client.xreadgroup("mempool", "mempool", {BLOCKS: ">"}, count=2)).items()
    await writer.trim(100, 1_000)
    assert told("dashboard_unread_entries", stream=BLOCKS, group="mempool") == 5  # delivered is not folded
    await client.xack(BLOCKS, "mempool", *(entry_id for entry_id, _ in entries))
    await writer.trim(100, 1_000)
    assert told("dashboard_unread_entries", stream=BLOCKS, group="mempool") == 3
    assert told("dashboard_unread_entries", stream=BLOCKS, group="a stranger") is None


async def test_dead_letters_are_counted_from_zero(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async def known(stream: str) -> bool:
        return told("dashboard_dead_entries_total", stream=stream) is not None

    async with running(valkey.url, fold(Ledger())):
        await until(lambda: known(BLOCKS), 5, "those of the stream are counted")
    async with running(valkey.url, work(), "figures"):
        await until(lambda: known(KEYS.requests(DOMAIN)), 5, "those of the jobs are counted")


async def test_how_long_jobs_waited_before_anybody_began(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async def answered(what: str) -> bool:
        return await jobs(client).answer(what) is not None

    async def later() -> bool:
        [(entry_id, _)] = await client.xrange(KEYS.requests(DOMAIN))
        seconds, micros = await client.time()
        return bool(seconds * 1_000 + micros / 1_000 - int(entry_id.partition(b"-")[0]) > WAIT_MS)

    count, waited = (told(f"dashboard_job_wait_seconds_{part}", domain=DOMAIN) or 0 for part in ("count", "sum"))
    await jobs(client).ask("a", Wanted(number=1))
    await until(later, 5, "it has waited while nobody was there")
    async with running(valkey.url, work(), "figures"):
        await until(lambda: answered("a"), 5, "it is answered")
        await jobs(client).ask("b", Wanted(number=2))
        await until(lambda: answered("b"), 5, "it is answered")
    assert told("dashboard_job_wait_seconds_count", domain=DOMAIN) == count + 2
    assert WAIT_MS / 1_000 <= (told("dashboard_job_wait_seconds_sum", domain=DOMAIN) or 0) - waited < 10


@pytest.mark.parametrize("limit", [0, 400_000_000])
async def test_how_full_redis_is(valkey: EmbeddedValkey, client: redis.Client, limit: int) -> None:
    before = (await client.config_get("maxmemory"))["maxmemory"]
    await client.config_set("maxmemory", limit)
    try:
        assert await redis.eviction(client) == ""
    finally:
        await client.config_set("maxmemory", before)
    used = (await client.info("memory"))["used_memory"]
    assert told("dashboard_redis_memory_limit_bytes") == limit
    assert (told("dashboard_redis_memory_bytes") or 0) == pytest.approx(used, rel=0.5)

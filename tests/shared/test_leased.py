"""Work under leases: who does it, what is done about what fails, and what is given back at the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from local_run.valkey import EmbeddedValkey
from shared import redis, trouble
from shared.errors import Fenced, UnknownLayout
from shared.keys import LEASE_MS
from shared.lease import Lease
from shared.leased import Leased
from shared.service import Service
from shared.tasks import end
from support.each import each
from support.ledger import KEYS, service
from support.stack import until

DOMAINS = ("chain", "mempool")
HELD = [KEYS.lease(domain, "x") for domain in DOMAINS]

Work = Callable[[], Coroutine[Any, Any, None]]


def leases(it: Service) -> list[Lease]:
    return [Lease(it.redis, KEYS.lease(domain, "x"), KEYS.fence(domain, "x")) for domain in DOMAINS]


@contextlib.asynccontextmanager
async def working(
    url: str, work: Callable[[Service], Work], *, leased: bool = True, lost: Callable[[], None] = lambda: None
) -> AsyncIterator[Service]:
    it = service(url)
    held = leases(it) if leased else []
    task = asyncio.create_task(Leased(it, *held, name="test", lost=lost).run(work(it)))
    try:
        yield it
        it.stopping.set()
        await asyncio.wait_for(task, 5)
    finally:
        await end(task)
        await it.close()


def until_stopped(it: Service) -> Work:
    async def work() -> None:
        it.health.ok()
        await it.stopping.wait()

    return work


async def in_state(it: Service, state: str) -> bool:
    return it.health.state == state


async def test_all_leases_are_held_and_all_are_given_back(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with working(valkey.url, until_stopped) as it:
        await until(lambda: in_state(it, "ok"), 5, "it works")
        assert each(await client.mget(HELD))
        async with working(valkey.url, until_stopped) as other:
            await until(lambda: in_state(other, "standby"), 5, "another stands by")
            began = time.monotonic()
        assert time.monotonic() - began < LEASE_MS / 2000  # one that stands by stops at once, and waits for no lease
        assert each(await client.mget(HELD))
    assert await client.mget(HELD) == [None, None]


async def test_one_that_has_not_all_leases_does_not_work(valkey: EmbeddedValkey, client: redis.Client) -> None:
    await client.set(HELD[1], "somebody else")
    async with working(valkey.url, until_stopped) as it:
        await until(lambda: in_state(it, "standby"), 5, "it stands by")
        await client.delete(HELD[1])
        await until(lambda: in_state(it, "ok"), 5, "it works")


async def test_a_refused_worker_is_told_and_begins_anew_with_a_new_token(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    tokens: list[bytes] = []
    forgotten: list[int] = []

    def refused_twice(it: Service) -> Work:
        async def work() -> None:
            tokens.append(await client.get(HELD[0]))
            if len(tokens) < 3:
                raise Fenced("as if another had taken over")
            await until_stopped(it)()

        return work

    async with working(valkey.url, refused_twice, lost=lambda: forgotten.append(len(tokens))) as it:
        await until(lambda: in_state(it, "ok"), 5, "it works")
    assert len(set(tokens)) == 3
    assert forgotten == [1, 2]


async def test_what_a_newer_version_wrote_is_left_to_its_replicas(valkey: EmbeddedValkey, client: redis.Client) -> None:
    def too_old(it: Service) -> Work:
        async def work() -> None:
            raise UnknownLayout("of the future")

        return work

    async with working(valkey.url, too_old) as it:
        await until(lambda: in_state(it, "degraded"), 5, "it is said")
        assert it.health.reason == "of the future"
        newer = leases(it)

        async def taken() -> bool:
            return all([await lease.try_acquire() for lease in newer])

        await until(taken, 5, "a replica of the newer version gets the leases")
        await until(lambda: in_state(it, "standby"), 10, "and this one stands by")


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("leased", [True, False])
async def test_trouble_of_redis_is_waited_out(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch, leased: bool
) -> None:
    monkeypatch.setattr(trouble, "LONGEST_SECONDS", 0.2)
    attempts = 0

    def in_trouble(it: Service) -> Work:
        async def work() -> None:
            nonlocal attempts
            attempts += 1
            if attempts < 4:
                raise ConnectionError("gone")
            await until_stopped(it)()

        return work

    async with working(valkey.url, in_trouble, leased=leased) as it:
        await until(lambda: in_state(it, "degraded"), 5, "it is said")
        assert "Redis does not answer" in it.health.reason
        await until(lambda: in_state(it, "ok"), 5, "it works")
    assert attempts == 4


async def test_a_fault_of_the_work_itself_ends_it_and_gives_the_leases_back(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    it = service(valkey.url)

    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Leased(it, *leases(it), name="test").run(work)
    assert await client.mget(HELD) == [None, None]
    await it.close()

"""One active replica: who gets the lease, how long it lasts, and what a holder that is gone leaves behind."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from local_run import child
from local_run.valkey import EmbeddedValkey
from shared import lease as leases
from shared import redis
from shared.errors import Fenced
from shared.keys import LEASE_MS
from shared.lease import Lease
from shared.tasks import end
from support.stack import until

KEY, FENCE = "{t:chain}:lease:x", "{t:chain}:fence:x"

_HOLD = f"""
import asyncio, sys
from shared import redis
from shared.lease import Lease

async def main():
    client = redis.connect(sys.argv[1])
    lease = Lease(client, {KEY!r}, {FENCE!r})
    assert await lease.try_acquire()
    print(lease.token, flush=True)
    await lease.hold(asyncio.sleep(60))

asyncio.run(main())
"""


@asynccontextmanager
async def holder(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that holds the lease and renews it."""
    process = await child.start([sys.executable, "-c", _HOLD, url], output=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert str(process.pid).encode() in line, line
        yield process
    finally:
        await child.kill(process)
        process._transport.close()  # type: ignore[attr-defined]  # its pipe, which else waits for the collector


def lease(client: redis.Client) -> Lease:
    return Lease(client, KEY, FENCE)


async def test_a_free_lease_is_taken_and_given_back(each_client: redis.Client) -> None:
    it = lease(each_client)
    assert await it.try_acquire()
    assert (await each_client.get(KEY)).decode() == it.token
    assert 0 < await each_client.pttl(KEY) <= LEASE_MS
    await it.release()
    assert await each_client.get(KEY) is None
    await it.release()  # twice does no harm


async def test_each_holder_has_a_token_of_its_own(each_client: redis.Client) -> None:
    tokens = []
    for _ in range(5):
        it = lease(each_client)
        assert await it.try_acquire()
        tokens.append(it.token)
        await it.release()
    assert [int(token.split()[-1]) for token in tokens] == [1, 2, 3, 4, 5]
    assert len(set(tokens)) == 5


async def test_one_that_lost_the_race_does_not_get_it(each_client: redis.Client) -> None:
    won = await asyncio.gather(*(lease(each_client).try_acquire() for _ in range(20)))
    assert sum(won) == 1


async def test_a_stranger_cannot_release_or_renew(each_client: redis.Client) -> None:
    it = lease(each_client)
    assert await it.try_acquire()
    await each_client.set(KEY, "somebody else")
    await it.release()
    assert await each_client.get(KEY) == b"somebody else"


async def test_while_it_is_held_nobody_else_gets_it(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with holder(valkey.url) as process:
        for _ in range(20):
            assert not await lease(client).try_acquire()
        process.send_signal(signal.SIGSTOP)  # alive, but not renewing: only time tells
        assert not await lease(client).try_acquire()
        process.send_signal(signal.SIGCONT)


async def test_a_holder_that_is_gone_is_replaced_at_once(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with holder(valkey.url) as process:
        process.kill()
        await process.wait()
        began = time.monotonic()
        assert await lease(client).try_acquire()
        assert time.monotonic() - began < LEASE_MS / 2000, "it did not wait for the lease to run out"
        assert await client.pttl(KEY) > LEASE_MS / 2


async def test_a_holder_elsewhere_is_replaced_when_its_lease_ends(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with holder(valkey.url) as process:
        process.kill()
        await process.wait()
        began = time.monotonic()
        monkeypatch.setattr(leases, "_here", lambda: "another-host/pid:[1]")
        it = lease(client)
        assert not await it.try_acquire()
        await until(it.try_acquire, 10, "the lease of a process that was killed on another host runs out")
        assert time.monotonic() - began <= LEASE_MS / 1000 + 1


async def test_a_holder_gets_its_own_lease_back_at_once_and_nobody_elses(client: redis.Client) -> None:
    """As after a loss of Redis. Another lease of the same process is somebody else."""
    first, second = lease(client), lease(client)
    assert await first.try_acquire()
    before = first.token
    assert not await second.try_acquire()
    assert await first.try_acquire()
    assert first.token != before  # what was sent with the old one, and may still arrive, counts no more
    assert (await client.get(KEY)).decode() == first.token
    assert not await second.try_acquire()


async def test_a_host_of_the_same_name_is_another_host(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Host name, number of the namespace and process id may all be the same on two machines: the boot is not."""
    async with holder(valkey.url) as process:
        token = (await client.get(KEY)).decode()
    name, boot, namespace = token.split()[0].split("/")
    await client.set(KEY, token.replace(boot, "00000000-0000-4000-8000-000000000000"))  # its process is gone here
    assert not await lease(client).try_acquire()
    await client.set(KEY, token)
    assert await lease(client).try_acquire()
    assert (name, namespace) == (socket.gethostname(), os.readlink("/proc/self/ns/pid"))
    assert str(process.pid) == token.split()[1]


async def test_a_process_that_was_given_the_holders_id_is_not_the_holder(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """As where a container starts again: process 1 it was, and process 1 it is."""
    async with holder(valkey.url):
        token = (await client.get(KEY)).decode().split()
        assert token[2].isdecimal()
        assert not await lease(client).try_acquire()
        earlier = [*token[:2], str(int(token[2]) - 1), *token[3:]]
        await client.set(KEY, " ".join(earlier))
        assert await lease(client).try_acquire()


@contextmanager
def killed_and_not_collected(url: str) -> Iterator[None]:
    """A holder that is dead, but whose parent has not asked for its end yet."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, url], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield
    finally:
        process.kill()
        process.communicate()


async def test_a_killed_holder_that_nobody_has_collected_yet_is_gone(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    with killed_and_not_collected(valkey.url):
        assert await client.get(KEY)
        assert await lease(client).try_acquire()


@pytest.mark.parametrize("held", ["x", "nonsense", "host pid 1", "our own pid"])
async def test_what_cannot_be_read_counts_as_held(client: redis.Client, held: str) -> None:
    await client.set(KEY, str(os.getpid()) if held == "our own pid" else held)
    assert not await lease(client).try_acquire()


async def test_holding_renews(client: redis.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_MS", 300)
    it = lease(client)
    assert await it.try_acquire()
    await it.hold(asyncio.sleep(1))
    assert (await client.get(KEY)).decode() == it.token


async def test_holding_ends_with_the_work_and_with_its_error(client: redis.Client) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    it = lease(client)
    assert await it.try_acquire()
    with pytest.raises(ZeroDivisionError):
        await it.hold(fail())
    assert len(asyncio.all_tasks()) == 1  # nothing goes on behind our back


async def test_the_work_ends_when_the_lease_is_lost(client: redis.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_MS", 150)
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    it = lease(client)
    assert await it.try_acquire()
    await client.set(KEY, "somebody else")
    with pytest.raises(Fenced, match="ran out or was taken over"):
        await it.hold(work())
    assert ended.is_set()


async def test_holding_outlives_a_short_loss_of_the_server(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support.proxy import LossyProxy

    monkeypatch.setattr(leases, "LEASE_MS", 600)
    async with LossyProxy(valkey.port) as proxy:
        lossy = redis.connect(proxy.url)
        try:
            it = lease(lossy)
            assert await it.try_acquire()
            work = asyncio.create_task(it.hold(asyncio.sleep(0.8)))
            await asyncio.sleep(0.25)
            proxy.cut()
            await work
        finally:
            await lossy.aclose()


async def test_cancelling_the_holder_cancels_the_work(client: redis.Client) -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    it = lease(client)
    assert await it.try_acquire()
    holding = asyncio.create_task(it.hold(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert cancelled.is_set()


async def test_a_task_that_drops_a_cancellation_is_ended_all_the_same() -> None:
    dropped = 0

    async def stubborn() -> None:
        nonlocal dropped
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                dropped += 1
                if dropped > 1:
                    raise

    async def fail() -> None:
        raise ZeroDivisionError

    task, failing = asyncio.create_task(stubborn()), asyncio.create_task(fail())
    await asyncio.sleep(0)
    results = await asyncio.wait_for(end(task, failing), 5)
    assert [type(result) for result in results] == [asyncio.CancelledError, ZeroDivisionError]


async def test_the_work_ends_wherever_it_stands_when_it_is_cancelled(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """Redis commands drop a cancellation now and then (see shared.tasks): no work may go on for that."""
    chance = random.Random(5)

    async def work() -> None:
        while True:
            await client.set("key", "value")

    for _ in range(4):
        it = lease(client)
        assert await it.try_acquire()
        holding = asyncio.create_task(it.hold(work()))
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        await asyncio.wait_for(end(holding), 5)
        assert len(asyncio.all_tasks()) == 1
        await it.release()

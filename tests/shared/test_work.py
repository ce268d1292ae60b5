"""Stateless work on Valkey, Redis 7 and Redis 8: each job is answered once, whoever dies, fails or forgets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local_run import child
from local_run.valkey import EmbeddedValkey
from shared import jobs as queue
from shared import redis, trouble, work
from shared.jobs import Answer
from shared.work import ATTEMPTS
from support.contained import AnyServer
from support.each import each
from support.labour import CHANGES, DOMAIN, KEYS, STARTED, Labour, Wanted, jobs
from support.labour import work as labouring
from support.ledger import running
from support.proxy import LossyProxy
from support.stack import until
from support.topologies import Cluster

REQUESTS, RETRIES, DEAD = KEYS.requests(DOMAIN), KEYS.retries(DOMAIN), KEYS.dead(DOMAIN)
GROUP = "explorer"
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "BLOCK_MS", 50)
    monkeypatch.setattr(work, "TEND_SECONDS", 0.1)
    monkeypatch.setattr(work, "LEASE_MS", 1_000)
    monkeypatch.setattr(work, "RETRY_MS", 20)
    monkeypatch.setattr(work, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(trouble, "LONGEST_SECONDS", 0.2)


async def answered(client: redis.Client, what: str, limit: float = 10) -> Answer:
    async def there() -> Answer | None:
        try:
            return await jobs(client).answer(what)
        except redis.LOST:
            return None

    found = await until(there, limit, f"{what} is answered")
    assert found is not None
    return found


async def begun(client: redis.Client, number: int) -> int:
    return int(await client.hget(STARTED, str(number)) or 0)


async def nothing_is_left(client: redis.Client) -> None:
    assert await client.xlen(REQUESTS) == 0
    assert await client.hlen(KEYS.jobs(DOMAIN)) == 0
    assert await client.zcard(RETRIES) == 0
    assert (await client.xpending(REQUESTS, GROUP))["pending"] == 0


@contextlib.asynccontextmanager
async def process(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker of its own."""
    it = await child.start([sys.executable, "-m", "support.labour", url], env={**os.environ, "PYTHONPATH": str(TESTS)})
    try:
        yield it
    finally:
        await child.kill(it)


# --- the ordinary ------------------------------------------------------------------------------------------


async def test_what_is_asked_for_twice_is_done_once_and_told(each_server: AnyServer, each_client: redis.Client) -> None:
    asking = jobs(each_client)
    assert await asking.answer("a") is None
    assert await asking.ask("a", Wanted(number=1)) == "asked"
    assert await asking.ask("a", Wanted(number=1)) == "waiting"
    async with running(each_server.url, labouring(keep_ms=60_000), GROUP) as it:
        answer = await answered(each_client, "a")
        assert answer.status == "done"
        assert json.loads(bytes(answer.data)) == {"twice": 2}
        assert abs(answer.time_ms - time.time() * 1000) < 60_000
        assert await asking.ask("a", Wanted(number=1)) == "answered"
        assert await asking.ask("b", Wanted(number=2)) == "asked"
        await answered(each_client, "b")
        await until(lambda: is_(it, "ok"), 5, "it is well")
        await nothing_is_left(each_client)
    assert [await begun(each_client, number) for number in (1, 2)] == [1, 1]
    assert 50_000 < await each_client.pttl(KEYS.answer(DOMAIN, "a")) <= 60_000
    told = [(int(f[b"seq"]), f[b"type"], json.loads(f[b"data"])) for _, f in await each_client.xrange(CHANGES)]
    assert told == [(n, b"lookup.done", {"key": key, "status": "done"}) for n, key in ((1, "a"), (2, "b"))]
    assert await each_client.xinfo_consumers(REQUESTS, GROUP) == []  # no ghost is left


async def test_nobody_is_asked_how_often_a_new_job_was_given_out(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    ask = work.Worker._deliveries

    async def counted(self: work.Worker, entry_id: bytes) -> int:
        asked.append(entry_id)
        return await ask(self, entry_id)

    monkeypatch.setattr(work.Worker, "_deliveries", counted)
    async with running(valkey.url, labouring(), GROUP):
        for number in range(3):
            await jobs(client).ask(f"new-{number}", Wanted(number=1))
        for number in range(3):
            await answered(client, f"new-{number}")
    assert not asked


async def is_(it: object, state: str) -> bool:
    return bool(getattr(it, "health").state == state)  # noqa: B009 - of whichever service


async def test_replicas_share_the_jobs_and_none_does_too_many_at_once(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    asking, labours = jobs(each_client), [Labour(each_client) for _ in range(3)]
    async with contextlib.AsyncExitStack() as stack:
        for labour in labours:
            await stack.enter_async_context(running(each_server.url, labouring(labour=labour, at_once=4), GROUP))
        for number in range(200):
            assert await asking.ask(f"job-{number}", Wanted(number=number)) == "asked"
        for number in range(200):
            await answered(each_client, f"job-{number}", 20)
        await nothing_is_left(each_client)
    assert {int(times) for times in (await each_client.hvals(STARTED))} == {1}
    assert await each_client.hlen(STARTED) == 200
    assert each(0 < labour.most <= 4 for labour in labours), [labour.most for labour in labours]


async def test_more_than_may_wait_is_refused(client: redis.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "JOBS_CAP", 2)
    asking = jobs(client)
    said = [await asking.ask(what, Wanted(number=1)) for what in ("a", "b", "c", "a")]
    assert said == ["asked", "asked", "full", "waiting"]
    with pytest.raises(ValueError, match="expected 1 to 200"):
        await asking.ask("x" * 201, Wanted(number=1))


# --- jobs that fail ----------------------------------------------------------------------------------------


async def test_what_failed_is_tried_again_after_a_pause_and_waits_meanwhile(
    each_server: AnyServer, each_client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "RETRY_MS", 400)
    asking = jobs(each_client)
    began = time.monotonic()
    await asking.ask("a", Wanted(number=1, how="fails twice"))
    async with running(each_server.url, labouring(), GROUP):
        await until(lambda: each_client.zcard(RETRIES), 5, "it is deferred")
        assert await asking.ask("a", Wanted(number=1)) == "waiting"
        assert json.loads(bytes((await answered(each_client, "a")).data)) == {"twice": 2}
        await nothing_is_left(each_client)
    assert time.monotonic() - began > 1.2  # after 0.4 and 0.8 s
    assert await begun(each_client, 1) == 3
    assert await each_client.xlen(DEAD) == 0


async def test_a_job_that_nobody_can_do_goes_to_the_dead_letters_and_says_so(
    each_server: AnyServer, each_client: redis.Client
) -> None:
    asking = jobs(each_client)
    await asking.ask("bad", Wanted(number=1, how="fails"))
    await asking.ask("good", Wanted(number=2))
    async with running(each_server.url, labouring(failed_ms=60_000), GROUP):
        assert (await answered(each_client, "good")).status == "done"
        answer = await answered(each_client, "bad")
        assert (answer.status, answer.error) == ("failed", "a job that nobody can do")
        await nothing_is_left(each_client)
    assert await begun(each_client, 1) == ATTEMPTS
    [(_, letter)] = await each_client.xrange(DEAD)
    assert letter[b"what"] == b"bad"
    assert json.loads(letter[b"data"]) == {"number": 1, "how": "fails"}
    assert b"nobody can do" in letter[b"error"]
    assert [json.loads(f[b"data"])["status"] for _, f in await each_client.xrange(CHANGES)] == ["done", "failed"]


@pytest.mark.parametrize(
    "fields",
    [
        {"what": "a", "type": "wanted", "v": "1", "data": "{}"},
        {"what": "a", "type": "of.another.kind", "v": "1", "data": "{}"},
        {"type": "wanted", "v": "1", "data": '{"number":1}'},
        {"written": "by hand"},
    ],
    ids=["a field is missing", "unknown", "nobody asks", "nothing of ours"],
)
async def test_what_cannot_be_read_is_put_aside_at_once(
    valkey: EmbeddedValkey, client: redis.Client, fields: dict[str, str]
) -> None:
    await client.xadd(REQUESTS, fields)
    async with running(valkey.url, labouring(), GROUP):
        await until(lambda: client.xlen(DEAD), 5, "it is put aside")
        await jobs(client).ask("b", Wanted(number=2))
        assert (await answered(client, "b")).status == "done"
        await nothing_is_left(client)


async def test_a_deadline_is_one_of_silence(valkey: EmbeddedValkey, client: redis.Client) -> None:
    asking = jobs(client)
    async with running(valkey.url, labouring(silence=0.4, failed_ms=60_000), GROUP):
        await asking.ask("slow", Wanted(number=1, how="slowly"))
        await asking.ask("hung", Wanted(number=2, how="hangs"))
        assert (await answered(client, "slow", 15)).status == "done"
        hung = await answered(client, "hung", 15)
        assert (hung.status, hung.error) == ("failed", "nothing came of it within 0.4 s")
    assert await begun(client, 1) == 1


# --- workers that die --------------------------------------------------------------------------------------


async def test_a_worker_that_is_killed_in_the_middle_of_a_job_is_replaced_and_forgotten(
    each_server: AnyServer, each_client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "GHOST_MS", 2_000)

    async def alone() -> bool:
        return len(await each_client.xinfo_consumers(REQUESTS, GROUP)) == 1

    asking = jobs(each_client)
    async with process(each_server.url) as it:
        await asking.ask("a", Wanted(number=1, how="hangs once"))
        await until(lambda: begun(each_client, 1), 20, "it is at it")
        it.kill()
        await it.wait()
    killed = time.monotonic()
    async with running(each_server.url, labouring(), GROUP):
        assert json.loads(bytes((await answered(each_client, "a")).data)) == {"twice": 2}
        assert time.monotonic() - killed < 5
        await nothing_is_left(each_client)
        await until(alone, 10, "the one that was killed is forgotten")
    assert await begun(each_client, 1) == 2


async def test_a_job_that_takes_long_stays_with_its_worker(valkey: EmbeddedValkey, client: redis.Client) -> None:
    """Longer than LEASE_MS: it is renewed. The other looks for what was left all the while."""
    async with running(valkey.url, labouring(), GROUP), running(valkey.url, labouring(), GROUP):
        await jobs(client).ask("a", Wanted(number=1, how="slowly"))
        await answered(client, "a")
        await nothing_is_left(client)
    assert await begun(client, 1) == 1


async def test_a_job_that_takes_its_workers_with_it_is_given_up(valkey: EmbeddedValkey, client: redis.Client) -> None:
    await client.xgroup_create(REQUESTS, GROUP, id="0", mkstream=True)
    await jobs(client).ask("a", Wanted(number=1))
    [[_, [(entry, _)]]] = (await client.xreadgroup(GROUP, "dead", {REQUESTS: ">"})).items()
    await client.xclaim(REQUESTS, GROUP, "dead", 0, [entry], retrycount=ATTEMPTS)  # as after so many deaths
    async with running(valkey.url, labouring(failed_ms=60_000), GROUP):
        answer = await answered(client, "a")
    assert (answer.status, answer.error) == ("failed", f"{ATTEMPTS} workers were given it, and none came back")
    assert await begun(client, 1) == 0


async def test_what_a_worker_says_that_was_replaced_counts_nothing(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LEASE_MS", 60_000)
    async with running(valkey.url, labouring(), GROUP):
        await jobs(client).ask("a", Wanted(number=1, how="slowly"))
        await until(lambda: begun(client, 1), 5, "it is at it")
        [entry] = [found["message_id"] for found in await client.xpending_range(REQUESTS, GROUP, "-", "+", 1)]
        await client.xclaim(REQUESTS, GROUP, "another", 0, [entry])
        await jobs(client).ask("b", Wanted(number=2, how="slowly"))
        await answered(client, "b")  # begun later, of the same length
        assert await jobs(client).answer("a") is None
        assert (await client.xpending(REQUESTS, GROUP))["pending"] == 1


async def test_a_worker_that_stops_gives_back_what_it_has_not_done(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LEASE_MS", 60_000)
    async with running(valkey.url, labouring(), GROUP):
        await jobs(client).ask("a", Wanted(number=1, how="hangs once"))
        await until(lambda: begun(client, 1), 5, "it is at it")
    async with running(valkey.url, labouring(), GROUP):
        assert (await answered(client, "a", 5)).status == "done"
        await nothing_is_left(client)
    assert [consumer["name"] for consumer in await client.xinfo_consumers(REQUESTS, GROUP)] == []


# --- a Redis that forgets, or is away ----------------------------------------------------------------------


async def test_a_stream_that_was_cut_or_deleted_is_no_end(each_server: AnyServer, each_client: redis.Client) -> None:
    """Who still wants the answer asks again, and is not told that it waits."""
    asking = jobs(each_client)
    await asking.ask("a", Wanted(number=1))
    await each_client.xtrim(REQUESTS, maxlen=0, approximate=False)
    assert await asking.ask("a", Wanted(number=1)) == "asked"
    async with running(each_server.url, labouring(), GROUP):
        await answered(each_client, "a")
        await asking.ask("b", Wanted(number=2, how="slowly"))
        await until(lambda: begun(each_client, 2), 5, "it is at it")
        await each_client.delete(REQUESTS)
        assert await asking.ask("c", Wanted(number=3)) == "asked"
        await answered(each_client, "c")

        async def asked_again() -> bool:
            return await asking.ask("b", Wanted(number=2)) == "answered"

        await until(asked_again, 10, "it is done all the same")


async def test_names_whose_entry_is_lost_are_forgotten(valkey: EmbeddedValkey, client: redis.Client) -> None:
    for number in range(50):
        await jobs(client).ask(f"job-{number}", Wanted(number=number))
    await client.delete(REQUESTS)

    async def forgotten() -> bool:
        return int(await client.hlen(KEYS.jobs(DOMAIN))) == 0

    async with running(valkey.url, labouring(), GROUP):
        await until(forgotten, 10, "they make room")
    assert await client.hlen(STARTED) == 0


async def test_a_restarted_redis_loses_no_job(mortal: AnyServer) -> None:
    client = redis.connect(mortal.url)
    try:
        async with running(mortal.url, labouring(at_once=2), GROUP) as it:
            for number in range(60):
                await jobs(client).ask(f"job-{number}", Wanted(number=number))
            await until(lambda: begun(client, 5), 10, "some are done")
            await mortal.restart(kill=True)
            for number in range(60):
                assert (await answered(client, f"job-{number}", 20)).status == "done"
            await until(lambda: is_(it, "ok"), 5, "it is well")
            await nothing_is_left(client)
    finally:
        await client.aclose()


async def test_lost_replies_change_no_answer(each_server: AnyServer, each_client: redis.Client) -> None:
    chance = random.Random(11)
    async with LossyProxy(each_server.port) as proxy:
        proxy.loses = lambda request: (
            any(word in request for word in (b"EVALSHA", b"XREADGROUP")) and (chance.random() < 0.1)
        )
        async with running(proxy.url, labouring(), GROUP):
            for number in range(60):
                await jobs(each_client).ask(f"job-{number}", Wanted(number=number))
            for number in range(60):
                assert (await answered(each_client, f"job-{number}", 30)).status == "done"
            proxy.loses = lambda request: False
            await nothing_is_left(each_client)
        assert proxy.lost > 2
    assert await each_client.xlen(CHANGES) == 60


async def test_on_a_cluster(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        client = redis.connect(cluster.url)
        try:
            await client.ping()
            async with running(cluster.url, labouring(), GROUP), running(cluster.url, labouring(), GROUP):
                for number in range(40):
                    how = "fails twice" if number % 4 == 0 else "well"
                    await jobs(client).ask(f"job-{number}", Wanted(number=number, how=how))
                for number in range(40):
                    assert (await answered(client, f"job-{number}", 20)).status == "done"
                await nothing_is_left(client)
        finally:
            await client.aclose()

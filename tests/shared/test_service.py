"""A service as a process: its start, its heartbeat, its log, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.events.mempool import MempoolReset
from shared.keys import Keys
from shared.lease import Lease
from shared.logging import Trouble, chain
from shared.service import STOP_SECONDS, HealthReport
from shared.views import Health
from support.each import each
from support.ledger import service
from support.processes import Process, ended, started
from support.stack import until

KEYS = Keys("regtest")
SECRET = "correct-horse-battery"  # noqa: S105 - must show nowhere


async def health(client: redis.Client, instance: str) -> Health | None:
    raw: bytes | None = await client.hget(KEYS.health, instance)
    return msgspec.json.decode(raw, type=Health) if raw else None


def state(client: redis.Client, instance: str, wanted: str) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        found = await health(client, instance)
        return found is not None and found.state == wanted

    return is_so


async def active(client: redis.Client, it: Process) -> bool:
    """Whether this process holds the lease of its fold."""
    held: bytes | None = await client.get(KEYS.lease("mempool", "mempool"))
    return held is not None and it.process is not None and held.split()[1] == str(it.process.pid).encode()


# --- start -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "env", "said"),
    [
        ("mempool", {}, "mempool: REDIS_URL is not set: expected redis://HOST:PORT"),
        ("mempool", {"REDIS_URL": f"u:{SECRET}@h:1"}, "mempool: REDIS_URL='u:***@h:1': expected an address"),
        ("chain_metrics", {"LOG_LEVEL": "loud"}, "chain-metrics: LOG_LEVEL='loud': expected one of"),
        (
            "chain_ingest",
            {"REDIS_URL": "redis://127.0.0.1:1"},
            "chain-ingest: no node is configured: expected MAIN_RPC",
        ),
    ],
)
async def test_a_wrong_setting_ends_it_at_once_with_one_line(
    module: str, env: dict[str, str], said: str, tmp_path: Path
) -> None:
    async with started(module, tmp_path / "log", **env) as it:
        assert await ended(it, 20) == 2
        lines = [line for line in it.log.splitlines() if not line.startswith("{")]
        assert len(lines) == 1
        assert lines[0].startswith(said)
        assert SECRET not in it.log


async def test_heartbeat_log_and_orderly_end(valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path) -> None:
    env = {"REDIS_URL": valkey.url, "INSTANCE": "mempool-0", "METRICS_PORT": str(pick()[0])}
    async with started("mempool", tmp_path / "log", **env) as it:
        await until(state(client, "mempool-0", "ok"), 20, "the service is well")
        beat = await health(client, "mempool-0")
        assert beat is not None
        assert (beat.service, beat.pid) == ("mempool", it.process.pid if it.process else 0)
        assert 10_000_000 < beat.rss < 200_000_000
        assert abs(beat.time_ms - time.time() * 1000) < 5_000
        reader, writer = await asyncio.open_connection("127.0.0.1", int(env["METRICS_PORT"]))
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        page = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert b'dashboard_service_ok{service="mempool"} 1.0' in page
        assert it.process is not None
        began = time.monotonic()
        it.process.send_signal(signal.SIGTERM)
        assert await ended(it, STOP_SECONDS) == 0
        assert time.monotonic() - began < 3
        assert await health(client, "mempool-0") is None
        assert not await client.get(KEYS.lease("mempool", "mempool"))
        names = [event["event"] for event in it.events()]
        assert names[0] == "service_starting"
        assert names[-1] == "service_stopped"
        assert each(event["service"] == "mempool" for event in it.events())


async def test_it_stops_in_time_while_redis_is_frozen(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path / "valkey") as server:
        client = redis.connect(server.url)
        try:
            async with started("mempool", tmp_path / "log", REDIS_URL=server.url, INSTANCE="mempool-0") as it:
                await until(state(client, "mempool-0", "ok"), 20, "the service is well")
                os.kill(server.pid, signal.SIGSTOP)
                try:
                    assert it.process is not None
                    it.process.send_signal(signal.SIGINT)
                    await ended(it, STOP_SECONDS + 2)  # what container runtimes give at the least
                finally:
                    os.kill(server.pid, signal.SIGCONT)
        finally:
            await client.aclose()


async def test_a_goodbye_that_nobody_answers_is_short(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path / "valkey") as server:
        it = service(server.url)
        lease = Lease(it.redis, KEYS.lease("mempool", "mempool"), KEYS.fence("mempool", "mempool"))
        assert await lease.try_acquire()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(redis.LOST):
                await lease.release()
            await it.close()
            assert time.monotonic() - began < 4  # a command alone may take 5 s
        finally:
            os.kill(server.pid, signal.SIGCONT)


async def test_without_redis_it_waits_and_says_so_once(tmp_path: Path) -> None:
    port = pick()[0]
    async with started("mempool", tmp_path / "log", REDIS_URL=f"redis://u:{SECRET}@127.0.0.1:{port}") as it:
        await until(lambda: logged(it, "redis_failed"), 20, "the loss is logged")
        await asyncio.sleep(1)
        assert it.process is not None
        assert it.process.returncode is None
        names = [event["event"] for event in it.events()]
        assert names.count("redis_failed") == 1  # once a minute, not once an attempt
        assert SECRET not in it.log
        it.process.send_signal(signal.SIGTERM)
        assert await ended(it, STOP_SECONDS) == 0


async def logged(it: Process, name: str) -> bool:
    return any(event["event"] == name for event in it.events())


# --- two replicas ------------------------------------------------------------------------------------------


async def test_a_standby_takes_over_at_once_when_the_active_one_is_killed(
    valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path
) -> None:
    async with (
        started("mempool", tmp_path / "a", REDIS_URL=valkey.url, INSTANCE="a") as one,
        started("mempool", tmp_path / "b", REDIS_URL=valkey.url, INSTANCE="b") as other,
    ):
        await until(lambda: either(client, one, other), 20, "one of them is active")
        first, second = (one, other) if await active(client, one) else (other, one)
        await until(state(client, second.env["INSTANCE"], "standby"), 20, "the other stands by")
        lease = Lease(client, KEYS.lease("mempool", "mempool"), KEYS.fence("mempool", "mempool"))
        assert not await lease.try_acquire()
        assert first.process is not None
        first.process.kill()
        await first.process.wait()
        began = time.monotonic()
        await until(lambda: active(client, second), 10, "the standby takes over")
        assert time.monotonic() - began < 3  # same host: the holder is seen to be gone
        await until(state(client, second.env["INSTANCE"], "ok"), 5, "it is well")
        await client.xadd(KEYS.stream(domains.TXS), fields(MempoolReset(cause="test", node="main"), 1))
        await until(lambda: client.hget(KEYS.checkpoint(domains.MEMPOOL), "cursor"), 5, "it folds")


async def either(client: redis.Client, one: Process, other: Process) -> bool:
    return await active(client, one) or await active(client, other)


def fields(event: MempoolReset, seq: int) -> dict[str | bytes, Any]:
    kind, version, data = event.fields()
    return {b"type": kind, b"v": version, b"seq": seq, b"data": data}


async def test_an_orderly_end_hands_over_at_once(valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path) -> None:
    async with started("mempool", tmp_path / "a", REDIS_URL=valkey.url, INSTANCE="a") as one:
        await until(lambda: active(client, one), 20, "it is active")
        async with started("mempool", tmp_path / "b", REDIS_URL=valkey.url, INSTANCE="b") as other:
            await until(state(client, "b", "standby"), 20, "the other stands by")
            assert one.process is not None
            one.process.send_signal(signal.SIGTERM)
            assert await ended(one, STOP_SECONDS) == 0
            await until(lambda: active(client, other), 3, "the other is active")


# --- the parts ---------------------------------------------------------------------------------------------


def test_trouble_is_logged_when_it_begins_and_when_it_ends() -> None:
    with structlog.testing.capture_logs() as logs:
        trouble = Trouble(structlog.get_logger(), "node")
        trouble.ended()
        for _ in range(50):
            trouble.failed(ValueError("no answer"))
        assert trouble.lasting
        trouble.ended(height=1)
        trouble.ended()
        trouble.failed("again")
    assert [(entry["event"], entry["times"]) for entry in logs] == [
        ("node_failed", 1),
        ("node_restored", 50),
        ("node_failed", 1),
    ]


def test_trouble_that_stays_is_logged_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with structlog.testing.capture_logs() as logs:
        trouble = Trouble(structlog.get_logger(), "node")
        for _ in range(180):
            trouble.failed("no answer")
            now += 1
    assert len(logs) == 3


def test_an_error_is_told_with_its_causes() -> None:
    error = ValueError("no answer from the node")
    error.__cause__ = OSError("no route to host")
    assert chain(error) == "no answer from the node: no route to host"
    assert chain("text") == "text"
    assert chain(TimeoutError()) == "TimeoutError"


async def test_a_change_of_state_is_told_and_a_repetition_is_not() -> None:
    report = HealthReport()
    report.ok(height=1)
    assert report.changed.is_set()
    report.changed.clear()
    report.ok(height=2)
    assert not report.changed.is_set()
    assert report.details == {"height": 2}
    report.degraded("why", seq=1)
    assert report.changed.is_set()
    assert (report.state, report.reason) == ("degraded", "why")

"""A service and its Redis: the wrong password, the wrong version, the wrong clock, one that drops keys."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from local_run import child
from local_run.valkey import EmbeddedValkey
from shared import clock, domains, redis
from shared import service as services
from shared.bus import Producer
from shared.clock import Moment
from shared.errors import ConfigError
from shared.events.ops import OPS, OpsEvent
from shared.keys import HEALTH_FORGET_MS, STREAM_KEEP
from shared.service import Service
from shared.tasks import end
from shared.views import Health
from support.ledger import KEYS, counted, producer, service
from support.processes import ended, started
from support.proxy import LossyProxy
from support.stack import until

SECRET = "correct-horse-battery"  # noqa: S105 - must show nowhere
HOUR_MS = 3_600_000


@contextlib.asynccontextmanager
async def beating(url: str) -> AsyncIterator[Service]:
    """A service whose heart beats, and which does nothing else."""
    it = service(url, INSTANCE="it")
    task = asyncio.create_task(it.heartbeat())
    try:
        yield it
    finally:
        await end(task)
        await it.close()


async def health(client: redis.Client) -> Health | None:
    raw: bytes | None = await client.hget(KEYS.health, "it")
    return msgspec.json.decode(raw, type=Health) if raw else None


@pytest.mark.parametrize("login", ["", f"default:{SECRET}@", f"nobody:{SECRET}@"])
async def test_wrong_credentials_are_no_silence(tmp_path: Path, login: str) -> None:
    """The address is right and the server answers: what it refuses is the user or the password."""
    async with EmbeddedValkey(tmp_path / "valkey") as server:
        admin = redis.connect(server.url)
        await admin.config_set("requirepass", "another")
        await admin.aclose()
        url = f"redis://{login}127.0.0.1:{server.port}/0"
        async with started("mempool", tmp_path / "log", REDIS_URL=url) as it:

            async def said() -> list[str]:
                return [str(event["error"]) for event in it.events() if event["event"] == "redis_failed"]

            [error, *_] = await until(said, 20, "it is said")
            assert error.startswith("Redis refuses the user or the password of REDIS_URL (REDIS_URL='redis://")
            assert f"127.0.0.1:{server.port}" in error
            assert "does not answer" not in it.log
            assert "Traceback" not in it.log
            assert SECRET not in it.log
            assert it.process is not None
            assert it.process.returncode is None  # somebody may set the password right


@pytest.mark.parametrize("module", ["mempool", "chain_metrics", "chain_history", "web"])
async def test_an_old_redis_is_refused_in_one_line(valkey: EmbeddedValkey, tmp_path: Path, module: str) -> None:
    """No Redis 6.2 stands in the lock file: a proxy rewrites what INFO says of the version. All else is real."""
    async with LossyProxy(valkey.port) as proxy:
        proxy.rewrites = lambda answer: re.sub(rb"\bredis_version:\d+", b"redis_version:6", answer)
        async with started(module, tmp_path / "log", REDIS_URL=proxy.url, WEB_PORT="0") as it:
            assert await ended(it, 20) == 2
            [line] = [line for line in it.log.splitlines() if not line.startswith("{")]
            assert re.search(r"REDIS_URL='redis://127.*needs Redis 7.0 or Valkey, this is Redis 6\.\d", line)


async def test_a_server_that_tells_no_version_is_taken(client: redis.Client, valkey: EmbeddedValkey) -> None:
    await client.execute_command("ACL", "SETUSER", "quiet", "reset", "on", ">pw", "~*", "+@all", "-info")
    quiet = redis.connect(f"redis://quiet:pw@127.0.0.1:{valkey.port}/0")
    try:
        await redis.check_version(quiet, valkey.url)
        assert await redis.eviction(quiet) == ""
    finally:
        await quiet.aclose()
        await client.execute_command("ACL", "DELUSER", "quiet")


async def test_a_server_that_may_drop_keys_is_named(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(services, "SURVEY_SECONDS", 0.1)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        async with beating(valkey.url):

            async def said() -> str:
                beat = await health(client)
                return str(beat.details.get("eviction", "")) if beat else ""

            async def unsaid() -> bool:
                return not await said()

            text = await until(said, 10, "it is said")
            assert text.endswith("maxmemory-policy is allkeys-lru, expected noeviction")
            await client.config_set("maxmemory-policy", "noeviction")
            await until(unsaid, 10, "it is well")
    finally:
        await client.config_set("maxmemory-policy", "noeviction")


# --- clocks ------------------------------------------------------------------------------------------------


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's wall clock is two hours ahead; the steady one cannot be."""
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: Moment(real().wall_ms + 2 * HOUR_MS, real().steady_ms))


@pytest.mark.usefixtures("ahead")
async def test_a_wrong_clock_is_named_and_misleads_nobody(valkey: EmbeddedValkey, client: redis.Client) -> None:
    seconds, _ = await client.time()
    other = Health(
        service="other",
        instance="other",
        state="ok",
        version="1",
        pid=1,
        started_ms=0,
        time_ms=seconds * 1000 - HEALTH_FORGET_MS + 60_000,
        rss=1,
    )
    await client.hset(KEYS.health, "other", msgspec.json.encode(other))
    async with beating(valkey.url):
        beat = await until(lambda: health(client), 10, "it beats")
        assert beat is not None
        assert abs(int(str(beat.details["clock_skew_ms"])) - 2 * HOUR_MS) < 5_000
        assert re.fullmatch(
            r"this machine's clock is (7199|7200) s ahead of that of Redis: one of the two is wrong",
            str(beat.details["clock"]),
        )
        seconds, _ = await client.time()
        assert abs(beat.time_ms - seconds * 1000) < 5_000  # by the clock that everybody has
        assert abs(beat.started_ms - seconds * 1000) < 20_000
        assert await client.hexists(KEYS.health, "other")  # by that clock it is not so old
        events = await until(lambda: client.xrange(KEYS.stream(domains.OPS)), 5, "it is announced")
        event = OPS.decode(events[0][1][b"type"], events[0][1][b"data"])
        assert isinstance(event, OpsEvent)
        assert abs(event.time_ms - seconds * 1000) < 20_000


async def test_a_right_clock_is_not_talked_about(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with beating(valkey.url):
        beat = await until(lambda: health(client), 10, "it beats")
        assert beat is not None
        assert abs(int(str(beat.details["clock_skew_ms"]))) < 5_000
        assert "clock" not in beat.details


# --- its end -----------------------------------------------------------------------------------------------


async def test_a_service_that_ends_by_itself_says_so(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    """Nobody told it to: an exit code of 0 would let a supervisor believe that all is well."""
    program = (
        "import asyncio, sys\nfrom shared.service import main\n"
        "async def run(service):\n    await asyncio.sleep(0.2)\n"
        "sys.exit(main('mempool', run))\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as output:
        env = {"PATH": "/usr/bin:/bin", "REDIS_URL": valkey.url, "ENV_DIR": str(tmp_path / "no-env")}
        process = await child.start([sys.executable, "-c", program], env=env, output=output)
        assert await asyncio.wait_for(process.wait(), 20) == 1
    assert "mempool ended although nobody told it to" in log.read_text()


# --- strangers ---------------------------------------------------------------------------------------------


async def test_a_strangers_group_pins_nothing(each_client: redis.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """A tool that joined a group once and never read: the stream is cut as if it were not there."""
    writer: Producer = await producer(each_client)
    for start in range(0, 3_000, 1_000):
        await writer.publish(counted(range(start, start + 1_000)))
    await each_client.xgroup_create(KEYS.stream(domains.BLOCKS), "somebody's tool", id="0", entries_read=0)
    for _ in range(3):
        assert await writer.trim(10, STREAM_KEEP) == 0
    assert await each_client.xlen(KEYS.stream(domains.BLOCKS)) < 200
    assert capsys.readouterr().out.count("somebody's tool") == 1  # it is told about, once


async def test_a_config_error_of_the_heartbeat_is_one(valkey: EmbeddedValkey) -> None:
    async with LossyProxy(valkey.port) as proxy:
        proxy.rewrites = lambda answer: re.sub(rb"\bredis_version:\d+", b"redis_version:6", answer)
        it = service(proxy.url)
        try:
            with pytest.raises(ConfigError, match="needs Redis 7"):
                await asyncio.wait_for(it.heartbeat(), 10)
        finally:
            await it.close()

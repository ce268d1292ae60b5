"""Whatever Redis refuses while a fold runs: it is named in words, shown, waited out, and each entry counts once."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from redis.exceptions import RedisError, ResponseError

from local_run.valkey import EmbeddedValkey
from shared import commit, domains, redis, trouble
from shared.errors import Fenced
from shared.tasks import end
from support import servers
from support.ledger import KEYS, Ledger, counted, fold, folded, producer, running, sequence, total
from support.stack import until

PASSWORD = "of-the-fold"  # noqa: S105 - a server of our own


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "BLOCK_MS", 50)
    monkeypatch.setattr(commit, "RETRY_SECONDS", 0.3)
    monkeypatch.setattr(trouble, "LONGEST_SECONDS", 0.5)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=servers.KINDS)
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EmbeddedValkey]:
    """A server of each kind whose set-up may be changed in every respect."""
    binary = await servers.binary_or_skip(request.param)
    extra = ["--enable-protected-configs", "yes"]
    async with EmbeddedValkey(tmp_path_factory.mktemp("refusing"), binary=binary, extra=extra) as made:
        yield made


@pytest_asyncio.fixture
async def admin(server: EmbeddedValkey) -> AsyncIterator[redis.Client]:
    connected = redis.connect(server.url)
    await connected.flushall()
    yield connected
    await connected.aclose()


@contextlib.asynccontextmanager
async def disk_full(admin: redis.Client, folder: Path) -> AsyncIterator[None]:
    """The last snapshot failed, as on a full disk."""
    before = (await admin.config_get("dir"))["dir"]
    gone = folder / "gone"
    gone.mkdir()
    await admin.config_set("dir", str(gone))
    gone.rmdir()
    await admin.config_set("save", "3600 1")
    await admin.bgsave()

    async def failed() -> bool:
        return bool((await admin.info("persistence"))["rdb_last_bgsave_status"] == "err")

    await until(failed, 10, "the snapshot fails")
    try:
        yield
    finally:
        await admin.config_set("save", "")
        await admin.config_set("dir", before)
        await admin.bgsave()

        async def saved() -> bool:
            return not await failed()

        await until(saved, 10, "the snapshot is made")


def configured(name: str, value: str, after: str) -> Callable[..., contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def changed(admin: redis.Client, folder: Path) -> AsyncIterator[None]:
        await admin.config_set(name, value)
        try:
            yield
        finally:
            await admin.config_set(name, after)

    return changed


@contextlib.asynccontextmanager
async def no_memory(admin: redis.Client, folder: Path) -> AsyncIterator[None]:
    """Together with an entry, since nobody can publish one afterwards."""
    last = int(await admin.hget(KEYS.producer(domains.BLOCKS), "cursor"))
    async with admin.pipeline(transaction=True) as pipe:
        pipe.xadd(
            KEYS.stream(domains.BLOCKS), {"type": "counted", "v": 1, "seq": last + 1, "data": f'{{"number":{last}}}'}
        )
        pipe.hset(KEYS.producer(domains.BLOCKS), "cursor", last + 1)
        pipe.config_set("maxmemory", "1")
        await pipe.execute()
    try:
        yield
    finally:
        await admin.config_set("maxmemory", "0")


@contextlib.asynccontextmanager
async def replica(admin: redis.Client, folder: Path) -> AsyncIterator[None]:
    await admin.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        await admin.replicaof("NO", "ONE")


@contextlib.asynccontextmanager
async def endless_script(admin: redis.Client, folder: Path) -> AsyncIterator[None]:
    await admin.config_set("busy-reply-threshold", "20")
    other = admin.__class__.from_url(f"redis://127.0.0.1:{_port(admin)}/0", socket_timeout=60)
    running_it = asyncio.create_task(other.eval("while true do end", 0))

    async def busy() -> bool:
        try:
            await admin.ping()
        except ResponseError as error:
            return "BUSY" in str(error)
        return False

    try:
        await until(busy, 10, "the script holds the server up")
        yield
    finally:
        await admin.script_kill()
        with contextlib.suppress(RedisError):
            await running_it
        await other.aclose()


def _port(client: redis.Client) -> int:
    return int(client.connection_pool.connection_kwargs["port"])


def forbidden(*rules: str) -> Callable[..., contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def changed(admin: redis.Client, folder: Path) -> AsyncIterator[None]:
        await admin.execute_command("ACL", "SETUSER", "folder", *rules)
        try:
            yield
        finally:
            await admin.execute_command("ACL", "SETUSER", "folder", "+@all", "allkeys")

    return changed


REFUSALS = {
    "disk full": (disk_full, r"cannot save to its disk"),
    "no replicas": (configured("min-replicas-to-write", "1", "0"), r"min-replicas-to-write"),
    "no memory": (no_memory, r"no memory left"),
    "a replica": (replica, r"is a replica now and takes no writes"),
    "busy": (endless_script, r"held up by a script"),
    "no scripts": (forbidden("-evalsha"), r"gives the user folder too few permissions: .*evalsha"),
    "half of the commands": (forbidden("-xadd"), r"gives the user folder too few permissions: .*XADD on"),
    "half of the keys": (
        forbidden(
            "resetkeys",
            f"~{KEYS.checkpoint(domains.CHAIN)}",
            f"~{KEYS.stream(domains.BLOCKS)}",
            f"~{KEYS.state(domains.CHAIN)}",
            "~*lease*",
        ),
        r"gives the user folder too few permissions",
    ),
    "another password": (forbidden("resetpass", ">another"), r"refuses the user or the password of REDIS_URL"),
}


class Publisher:
    """Publishes one number after the other, as 0, 1, 2, whatever the server says to it."""

    def __init__(self, client: redis.Client) -> None:
        self._client = client
        self.wanted = 0

    async def run(self) -> None:
        writer = await producer(self._client)
        while True:
            await asyncio.sleep(0.005)
            try:
                if writer.seq < self.wanted:
                    await writer.publish(counted([writer.seq]))
            except (Fenced, *redis.TROUBLE):
                with contextlib.suppress(*redis.TROUBLE):
                    writer = await producer(self._client)


@contextlib.asynccontextmanager
async def publishing(client: redis.Client) -> AsyncIterator[Publisher]:
    it = Publisher(client)
    task = asyncio.create_task(it.run())
    try:
        yield it
    finally:
        await end(task)


async def reaches(client: redis.Client, numbers: int) -> None:
    async def there() -> bool:
        return len(await folded(client)) >= numbers

    await until(there, 20, f"{numbers} are folded")
    assert await folded(client) == list(range(numbers))
    assert await total(client) == sum(range(numbers))
    assert await sequence(client, KEYS.stream(domains.METRICS)) == list(range(1, numbers + 1))


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refusal_is_named_and_waited_out(
    server: EmbeddedValkey, admin: redis.Client, tmp_path: Path, refusal: str
) -> None:
    refuse, said = REFUSALS[refusal]
    await admin.execute_command("ACL", "SETUSER", "folder", "reset", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    url = f"redis://folder:{PASSWORD}@127.0.0.1:{server.port}/0"
    async with publishing(admin) as publisher, running(url, fold(Ledger())) as it:

        async def is_said() -> bool:
            return it.health.state == "degraded" and _found(said, it.health.reason)

        async def is_well() -> bool:
            return it.health.state == "ok"

        publisher.wanted = 50
        await reaches(admin, 50)
        if refusal != "no memory":
            publisher.wanted = 1_000_000  # it folds while the refusal begins
        async with refuse(admin, tmp_path):
            if refusal == "another password":
                await admin.execute_command("CLIENT", "KILL", "USER", "folder")
            await until(is_said, 10, f"it is said ({said}); {it.health.reason}")
            assert PASSWORD not in it.health.reason
        await admin.execute_command("ACL", "SETUSER", "folder", "resetpass", f">{PASSWORD}")
        await until(is_well, 15, f"all is well again; {it.health.reason}")
        publisher.wanted = len(await folded(admin)) + 100
        await until(lambda: _published(admin, publisher.wanted), 15, "it publishes again")
        publisher.wanted = await admin.xlen(KEYS.stream(domains.BLOCKS))
        await reaches(admin, publisher.wanted)
        assert await admin.xlen(KEYS.dead("chain")) == 0


async def _published(client: redis.Client, least: int) -> bool:
    return bool(await client.xlen(KEYS.stream(domains.BLOCKS)) >= least)


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


@pytest.mark.parametrize(
    "key",
    [
        KEYS.state(domains.CHAIN),
        KEYS.views(domains.CHAIN),
        KEYS.stream(domains.METRICS),
        KEYS.checkpoint(domains.CHAIN),
        KEYS.stream(domains.BLOCKS),
        KEYS.lease("chain", "ledger"),
    ],
)
async def test_a_key_of_another_type_is_named_and_nothing_is_written_by_halves(
    server: EmbeddedValkey, admin: redis.Client, key: str
) -> None:
    async with publishing(admin) as publisher, running(server.url, fold(Ledger())) as it:

        async def is_named() -> bool:
            return it.health.state == "degraded" and key in it.health.reason

        async def is_well() -> bool:
            return it.health.state == "ok"

        publisher.wanted = 50
        await reaches(admin, 50)
        publisher.wanted = 1_000_000
        async with admin.pipeline(transaction=True) as pipe:
            pipe.rename(key, "{regtest:chain}:aside")
            pipe.zadd(key, {"something else": 1})
            await pipe.execute()
        await until(is_named, 10, f"the key is named; {it.health.reason}")
        assert "something else than expected" in it.health.reason
        async with admin.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.rename("{regtest:chain}:aside", key)
            await pipe.execute()
        await until(is_well, 15, f"all is well again; {it.health.reason}")
        publisher.wanted = await admin.xlen(KEYS.stream(domains.BLOCKS)) + 20
        await reaches(admin, publisher.wanted)


async def test_what_redis_says_is_told_in_words(server: EmbeddedValkey) -> None:
    """The codes that no server here can be brought to say, and what a pipeline makes of one."""
    for text, said in (
        ("LOADING Redis is loading the dataset in memory", "Redis is still loading its data"),
        ("MASTERDOWN Link with MASTER is down", "a replica that has lost its primary"),
        ("CLUSTERDOWN The cluster is down", "no primary"),
        ("TRYAGAIN Multiple keys request during rehashing", "on its way to another node"),
        ("NOAUTH Authentication required.", "refuses the user or the password of REDIS_URL"),
        ("WRONGPASS invalid username-password pair", "refuses the user or the password of REDIS_URL"),
        ("ERR unknown command 'XADD'", "Redis refuses a command: unknown command 'XADD'"),
        ("Command # 1 (XADD x) of pipeline caused error: MISCONF no disk", "cannot save to its disk"),
        ("Command # 1 (GET x) of pipeline caused error: ('BUSY a script runs',)", "held up by a script"),
    ):
        error = _parsed(text)
        assert said in redis.words(error), redis.words(error)
        assert isinstance(error, redis.TROUBLE)
    lost = ConnectionRefusedError(111, "Connection refused")
    told = redis.words(lost, f"redis://user:{PASSWORD}@h:1/0")
    assert told.startswith("Redis does not answer (REDIS_URL='redis://user:***@h:1/0'): ")
    assert PASSWORD not in told


def _parsed(text: str) -> Exception:
    from redis._parsers.base import BaseParser

    error: Exception = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    return error


async def test_a_stop_does_not_wait_for_a_refusal_to_end(server: EmbeddedValkey, admin: redis.Client) -> None:
    async with running(server.url, fold(Ledger())) as it:
        writer = await producer(admin)
        await writer.publish(counted([0]))
        await reaches(admin, 1)
        await admin.config_set("min-replicas-to-write", "1")
        try:

            async def is_said() -> bool:
                return it.health.state == "degraded"

            await until(is_said, 10, "the refusal is said")
            began = asyncio.get_running_loop().time()
            it.stopping.set()
            await asyncio.sleep(0)
        finally:
            await admin.config_set("min-replicas-to-write", "0")
    assert asyncio.get_running_loop().time() - began < 3

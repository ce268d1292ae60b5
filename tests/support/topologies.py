"""Redis Cluster and Sentinel, on loopback: several servers behind one REDIS_URL, any primary of which may be killed."""

from __future__ import annotations

import abc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis.asyncio
from redis.crc import key_slot
from redis.exceptions import RedisError

from local_run import ports
from local_run.server import Server
from local_run.valkey import EmbeddedValkey
from support.stack import until

_BOUNDS: Final = (0, 5461, 10923, 16384)
"""Slots of three primaries, as `redis-cli --cluster create` deals them out."""

_LIMIT: Final = 20.0
"""Seconds within which servers find each other, or a replica takes over."""


@dataclass(frozen=True, slots=True)
class Tls:
    """What servers need to be reached over TLS: a program built with it, a certificate for 127.0.0.1, its key."""

    program: Path
    certificate: Path
    key: Path

    @property
    def options(self) -> list[str]:
        """Arguments of a server."""
        files = (
            "--tls-cert-file",
            self.certificate,
            "--tls-key-file",
            self.key,
            "--tls-ca-cert-file",
            self.certificate,
        )
        return [*map(str, files), "--tls-auth-clients", "no", "--tls-replication", "yes"]


class Topology(abc.ABC):
    """Several servers that are one Redis to who uses them. We ourselves ask them without TLS."""

    def __init__(self) -> None:
        self.nodes: list[EmbeddedValkey] = []
        self._stack = AsyncExitStack()

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """What REDIS_URL takes."""

    @abc.abstractmethod
    async def _join(self) -> None:
        """Make one of all that have started."""

    @abc.abstractmethod
    async def primary(self, key: str) -> EmbeddedValkey | None:
        """Who takes writes of this key just now; None: nobody."""

    async def start(self) -> None:
        """Start all of them; nothing of them is left when that fails."""
        try:
            for node in self.nodes:
                await self._stack.enter_async_context(node)
            await self._join()
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        """Stop all of them."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def fail_over(self, key: str) -> float:
        """kill -9 of the primary of a key; returns the seconds until another one takes writes of it.

        The killed one comes back as a replica of that one.
        """
        victim = await self.primary(key)
        assert victim is not None, f"nobody serves {key}"
        began = time.monotonic()
        await victim.kill()

        async def taken_over() -> bool:
            return await self.primary(key) not in (None, victim)

        await until(taken_over, _LIMIT, f"another server takes writes of {key}")
        took = time.monotonic() - began
        await victim.start()
        await until(lambda: follows(victim), _LIMIT, "the one that was killed follows")
        return took


async def follows(node: EmbeddedValkey) -> bool:
    """Whether it is a replica that has all of its primary."""
    async with _plain(node.port) as client:
        role, *more = await _answer(client, "ROLE")
    return bool(role == b"slave" and more[2] == b"connected")


class Cluster(Topology):
    """Three primaries that share the slots, and as many replicas of each as asked for."""

    def __init__(self, folder: Path, replicas: int = 0, tls: Tls | None = None) -> None:
        super().__init__()
        count = 3 * (1 + replicas)
        self._tls = tls
        self._buses, self._tls_ports = ports.pick(count), ports.pick(count) if tls else ()
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"]
        for number, bus in enumerate(self._buses):
            extra = [*options, "--cluster-port", str(bus)]
            if tls is not None:
                extra += [*tls.options, "--tls-cluster", "yes", "--tls-port", str(self._tls_ports[number])]
            node = EmbeddedValkey(folder / str(number), extra=extra, binary=tls.program if tls else None)
            self.nodes.append(node)

    @property
    def url(self) -> str:
        """As the base says."""
        if self._tls is not None:
            hosts = ",".join(f"127.0.0.1:{port}" for port in self._tls_ports[:2])
            return f"rediss+cluster://{hosts}?ssl_ca_certs={self._tls.certificate}"
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    async def primary(self, key: str) -> EmbeddedValkey | None:
        """As the base says: who a node that is up says it is, if that one agrees."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if not node.running or not await self._whole(node):
                continue
            async with _plain(node.port) as client:
                shards = await _answer(client, "CLUSTER", "SLOTS")
            for first, last, primary, *_ in shards:
                if first <= slot <= last:
                    found = next(one for one in self.nodes if one.port == primary[1])
                    return found if found.running else None
        return None

    async def _whole(self, node: EmbeddedValkey) -> bool:
        async with _plain(node.port) as client:
            try:
                return b"cluster_state:ok" in await _answer(client, "CLUSTER", "INFO")
            except (RedisError, OSError):
                return False

    async def _join(self) -> None:
        for place, node in enumerate(self.nodes[:3]):
            async with _plain(node.port) as client:
                await _answer(client, "CLUSTER", "ADDSLOTSRANGE", _BOUNDS[place], _BOUNDS[place + 1] - 1)
                await _answer(client, "CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        async with _plain(self.nodes[0].port) as client:
            for node, bus in list(zip(self.nodes, self._buses, strict=True))[1:]:
                await _answer(client, "CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        for place, node in enumerate(self.nodes[3:]):
            async with _plain(self.nodes[place % 3].port) as client:
                primary = await _answer(client, "CLUSTER", "MYID")
            await until(partial(_replicates, node, primary), _LIMIT, "they have met")
        for node in self.nodes:
            await until(partial(self._whole, node), _LIMIT, "the cluster is whole")
        for node in self.nodes[3:]:
            await until(partial(follows, node), _LIMIT, "each primary has its replica")


async def _replicates(node: EmbeddedValkey, primary: bytes) -> bool:
    async with _plain(node.port) as client:
        try:
            await _answer(client, "CLUSTER", "REPLICATE", primary)
        except RedisError:  # it has not heard of it yet
            return False
    return True


class Watcher(Server):
    """A Sentinel that watches one primary under the name `dashboard`."""

    title = "sentinel"

    def __init__(self, folder: Path, primary: EmbeddedValkey, watched: int, quorum: int, extra: Sequence[str]) -> None:
        super().__init__(folder, extra)
        self._primary = primary
        self._watched = watched  # port of the primary
        self._quorum = quorum
        self.port = 0

    @property
    def log_file(self) -> Path:
        """The server's own log."""
        return self.folder / "sentinel.log"

    def _ports(self) -> tuple[int, ...]:
        return (self.port,)

    async def _command(self) -> list[str | Path]:
        self.port = self.port or ports.pick()[0]
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "sentinel.conf"
        if not config.exists():  # it keeps in it what it learned
            config.write_text(
                f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nlogfile {self.log_file}\n"
                f"sentinel monitor dashboard 127.0.0.1 {self._watched} {self._quorum}\n"
                "sentinel down-after-milliseconds dashboard 500\nsentinel failover-timeout dashboard 3000\n"
            )
        return [self._primary.binary, config, "--sentinel", *self.extra]

    async def _answers(self) -> bool:
        async with _plain(self.port) as client:
            try:
                await client.ping()
            except (RedisError, OSError):
                return False
        return True


class Sentinel(Topology):
    """One primary with replicas, and Sentinels that agree by majority on who is the primary."""

    def __init__(self, folder: Path, replicas: int = 1, watchers: int = 1, tls: Tls | None = None) -> None:
        super().__init__()
        self._tls = tls
        leader, *secure = ports.pick(2 + watchers if tls else 1)
        extra = [*tls.options, "--tls-port", str(secure[0])] if tls else []
        self.nodes = [EmbeddedValkey(folder / "0", port=leader, extra=extra, binary=tls.program if tls else None)]
        options = ["--replicaof", f"127.0.0.1 {leader}", "--repl-diskless-sync-delay", "0"]
        self.nodes += [EmbeddedValkey(folder / str(number + 1), extra=options) for number in range(replicas)]
        self._tls_ports = secure[1:]
        self.watchers = []
        for number in range(watchers):
            extra = [*tls.options, "--tls-port", str(self._tls_ports[number])] if tls else []
            place, quorum = folder / f"sentinel-{number}", watchers // 2 + 1
            self.watchers.append(Watcher(place, self.nodes[0], secure[0] if tls else leader, quorum, extra))

    @property
    def url(self) -> str:
        """As the base says."""
        listening = self._tls_ports if self._tls else [watcher.port for watcher in self.watchers]
        hosts = ",".join(f"127.0.0.1:{port}" for port in listening)
        if self._tls is not None:
            return f"rediss+sentinel://{hosts}/dashboard/0?ssl_ca_certs={self._tls.certificate}"
        return f"redis+sentinel://{hosts}/dashboard/0"

    async def primary(self, key: str) -> EmbeddedValkey | None:
        """As the base says: who a Sentinel names, if that one agrees."""
        for watcher in self.watchers:
            if not watcher.running:
                continue
            async with _plain(watcher.port) as client:
                named = await _answer(client, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "dashboard")
            found = next((one for one in self.nodes if named and one.port == int(named[1])), None)
            if found is None or not found.running:
                return None
            async with _plain(found.port) as client:
                try:
                    return found if (await _answer(client, "ROLE"))[0] == b"master" else None
                except (RedisError, OSError):
                    return None
        return None

    async def _join(self) -> None:
        for node in self.nodes[1:]:
            await until(partial(follows, node), _LIMIT, "the replicas follow")
        for watcher in self.watchers:
            await self._stack.enter_async_context(watcher)
        for watcher in self.watchers:
            await until(partial(self._known, watcher), _LIMIT, "the Sentinels know all")

    async def _known(self, watcher: Watcher) -> bool:
        async with _plain(watcher.port) as client:
            replicas = await _answer(client, "SENTINEL", "REPLICAS", "dashboard")
            others = await _answer(client, "SENTINEL", "SENTINELS", "dashboard")
        return len(replicas) == len(self.nodes) - 1 and len(others) == len(self.watchers) - 1


@asynccontextmanager
async def _plain(port: int) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis(host="127.0.0.1", port=port, socket_timeout=5)
    try:
        yield client
    finally:
        await client.aclose()


async def _answer(client: redis.asyncio.Redis, *command: str | int | bytes) -> Any:
    """What the server says, as it says it: redis-py would make something of each command's own of it."""
    return await client.execute_command(*command, NEVER_DECODE=True)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

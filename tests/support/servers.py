"""The servers that must all serve: Valkey, Redis 7, Redis 8; and Redis Cluster and Sentinel, on loopback."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis.asyncio
from redis.exceptions import RedisError

from local_run import child, ports
from local_run.bitcoind import find_redis_8
from local_run.errors import SetupError
from local_run.server import Server
from local_run.valkey import EmbeddedValkey

KINDS = ("valkey", "redis-7", "redis-8")


async def binary(kind: str) -> Path | None:
    """The program of this kind, None for the Valkey that comes as a package; SetupError says why there is none."""
    if kind == "valkey":
        return None
    if kind == "redis-8":
        return await find_redis_8()
    found = shutil.which("redis-server")
    if found is None:
        raise SetupError("there is no redis-server on the PATH; expected Redis 7")
    process = await child.start([found, "--version"], output=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    version = re.search(rb"v=(\d+)", output)
    if version is None or version[1] != b"7":
        raise SetupError(f"redis-server on the PATH is {output.decode().strip()}; expected Redis 7")
    return Path(found)


async def binary_or_skip(kind: str) -> Path | None:
    """As `binary`; a test that needs one that is not there is skipped."""
    try:
        return await binary(kind)
    except SetupError as error:
        pytest.skip(f"no {kind}: {error}")


def _plain(port: int) -> redis.asyncio.Redis:
    return redis.asyncio.Redis(host="127.0.0.1", port=port, socket_timeout=5)


class Cluster:
    """Three primaries that share the slots."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [
            EmbeddedValkey(
                folder / str(number),
                extra=["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", str(bus)],
            )
            for number, bus in enumerate(ports.pick(3))
        ]
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """What REDIS_URL takes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    async def __aenter__(self) -> Self:
        try:
            for node in self.nodes:
                await self._stack.enter_async_context(node)
            await self._join()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _join(self) -> None:
        bounds = (0, 5461, 10923, 16384)
        clients = [_plain(node.port) for node in self.nodes]
        try:
            for place, client in enumerate(clients):
                await client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[place], bounds[place + 1] - 1)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
                await client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", place + 1)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            for node in self.nodes[1:]:
                bus = node.extra[node.extra.index("--cluster-port") + 1]
                await clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            async with asyncio.timeout(20):
                for client in clients:
                    while b"cluster_state:ok" not in await _info(client):  # noqa: ASYNC110 - another process's state
                        await asyncio.sleep(0.05)
        finally:
            for client in clients:
                await client.aclose()


async def _info(client: redis.asyncio.Redis) -> bytes:
    info = await client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    if isinstance(info, dict):
        return b"".join(f"{name}:{value}\r\n".encode() for name, value in info.items())
    return info if isinstance(info, bytes) else str(info).encode()


class Sentinel(Server):
    """One Sentinel that watches one primary under the name `dashboard`."""

    title = "sentinel"

    def __init__(self, folder: Path, primary: EmbeddedValkey, extra: Sequence[str] = ()) -> None:
        super().__init__(folder, extra)
        self._primary = primary
        self.port = 0

    @property
    def url(self) -> str:
        """What REDIS_URL takes."""
        return f"redis+sentinel://127.0.0.1:{self.port}/dashboard/0"

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
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nlogfile {self.log_file}\n"
            f"sentinel monitor dashboard 127.0.0.1 {self._primary.port} 1\n"
            "sentinel down-after-milliseconds dashboard 500\nsentinel failover-timeout dashboard 3000\n"
        )
        return [self._primary.binary, config, "--sentinel", *self.extra]

    async def _answers(self) -> bool:
        client = _plain(self.port)
        try:
            await client.ping()
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()
        return True

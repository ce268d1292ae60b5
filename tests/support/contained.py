"""Redis 7, Redis 8 and Valkey in containers, by testcontainers, for the tests that run on each kind of server.

Where an engine can fetch images, they are the projects' own; on one of deploy/engine, which has none but its base, the
programs of `support.servers` run on that, each in a container of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local_run import ports
from local_run.valkey import EmbeddedValkey
from support import servers

IMAGES: Final = {"valkey": "valkey/valkey:9", "redis-7": "redis:7", "redis-8": "redis:8"}

_LIMIT: Final = 30.0
"""Seconds within which one answers."""


def prepare(variables: Mapping[str, str]) -> None:
    """Have testcontainers use this engine; before its first import, as it reads them then."""
    os.environ["DOCKER_HOST"] = variables["DOCKER_HOST"]
    os.environ["TESTCONTAINERS_CONNECTION_MODE"] = "docker_host"
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # a container of its own that ends others; ours are ended here


class ContainedServer:
    """One server on a port of loopback. What it has answered is there again after `kill`: it stays on its disk."""

    def __init__(self, kind: str, variables: Mapping[str, str], extra: tuple[str, ...] = ()) -> None:
        """`variables` are those of the engine."""
        self.port = ports.pick()[0]
        self._kind = kind
        self._base = variables.get("BASE_IMAGE")
        self._image = IMAGES[kind] if self._base is None else variables["REDIS_IMAGE"]
        self._extra = extra
        self._container: Any = None

    @property
    def url(self) -> str:
        """What REDIS_URL takes."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        program = None
        if self._base is not None and self._kind != "redis-7":  # which is the engine's own
            program = await servers.binary(self._kind) or EmbeddedValkey(Path()).binary
        await asyncio.to_thread(self._run, program)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._container.stop()
        self._container.get_docker_client().client.close()  # which testcontainers leaves open

    def _run(self, program: Path | None) -> None:
        from testcontainers.core.container import DockerContainer

        made = DockerContainer(self._image if program is None else str(self._base))
        name = "valkey-server" if self._kind == "valkey" else "redis-server"
        if program is not None:
            # Where it lies outside: what starts it may name its libraries by their whole path.
            folder = program.parent
            made = made.with_volume_mapping(folder, str(folder), "ro")
            name = str(program)
        arguments = ["--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no"]
        arguments += ["--appendonly", "yes", "--save", "", *self._extra]
        made = made.with_command([name, *arguments])
        made.ports["6379/tcp"] = cast("Any", ("127.0.0.1", self.port))  # `with_bind_ports` binds every interface
        self._container = made.start()
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _LIMIT
        with redis.Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            while True:
                try:
                    client.ping()
                except (redis.RedisError, OSError):
                    if time.monotonic() > deadline:
                        logs = self._container.get_wrapped_container().logs(tail=20).decode(errors="replace")
                        raise AssertionError(f"{self._kind} does not answer:\n{logs}") from None
                    time.sleep(0.05)
                else:
                    return

    async def kill(self) -> None:
        """kill -9."""
        await asyncio.to_thread(self._container.get_wrapped_container().kill)

    async def start(self) -> None:
        """Start it again, over what it left."""
        await asyncio.to_thread(self._container.get_wrapped_container().start)
        await asyncio.to_thread(self._wait)

    async def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill) and start again."""
        container = self._container.get_wrapped_container()
        await asyncio.to_thread(container.kill if kill else container.stop)
        await self.start()


AnyServer = EmbeddedValkey | ContainedServer
"""A process of ours, or a container."""

"""The whole system on real parts: a bitcoind, a Valkey, and the services as processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiohttp
import msgspec

from local_run import child
from local_run.node import RegtestNode
from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.errors import RpcRefused
from shared.keys import Keys
from shared.views import FeesView, Health, MempoolView, TipView, View

if TYPE_CHECKING:
    from support.topologies import Topology  # which waits as we do

T = TypeVar("T")
V = TypeVar("V", bound=View)

SERVICES = {service.name: service.module for service in domains.SERVICES}
"""Modules by the name of their service; a second replica has `-2` behind its name, a third `-3`."""

CHAIN = tuple(name for name in SERVICES if name not in {"market", "marketcap", "explorer"})
"""Those that follow the node: without sources outside and look-ups the others would have nothing to do."""


async def until(what: Callable[[], Awaitable[T]], limit: float, message: str) -> T:
    """The first true value; fails with the message and the last value seen after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        value = await what()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit:g} s: {message}; last seen: {value!r}")
        await asyncio.sleep(0.02)


class Stack:
    """Starts, kills and restarts the parts; everything is gone when the context is left."""

    def __init__(
        self, folder: Path, *, node: RegtestNode | None = None, valkey: EmbeddedValkey | Topology | None = None
    ) -> None:
        self.folder = folder
        self.node = node or RegtestNode(folder / "node")
        self.servers = valkey or EmbeddedValkey(folder / "valkey")
        self.keys = Keys("regtest")
        self.web_port, self.admin_port = pick(2)
        self.extra_env: dict[str, str] = {}
        self.redis: redis.Client = None
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    @property
    def valkey(self) -> EmbeddedValkey:
        """The one server; fails where there are several."""
        assert isinstance(self.servers, EmbeddedValkey)
        return self.servers

    @property
    def url(self) -> str:
        """Base URL of web."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def admin_url(self) -> str:
        """Base URL of web's listener for the operator."""
        return f"http://127.0.0.1:{self.admin_port}"

    async def __aenter__(self) -> Self:
        await asyncio.gather(self.node.start(), self.servers.start())
        self.redis = redis.connect(self.servers.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_services()
        if self.redis is not None:
            await self.redis.aclose()
        await asyncio.gather(self.node.stop(), self.servers.stop())
        if error is not None:
            for name in SERVICES:
                print(f"--- {name}\n{self.log(name)[-4000:]}", file=sys.stderr)

    @staticmethod
    async def connect(valkey: EmbeddedValkey | Topology) -> redis.Client:
        """A client of another server."""
        return redis.connect(valkey.url)

    async def stop_services(self) -> None:
        """SIGTERM to all services that run."""
        await asyncio.gather(*(self.stop(name) for name in list(self._processes)))

    # --- services --------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """What the services are given: nothing of the tester's own settings."""
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        return {
            **kept,
            **self.node.env(),
            "REDIS_URL": self.servers.url,
            "WEB_PORT": str(self.web_port),
            "ADMIN_PORT": str(self.admin_port),
            "ENV_DIR": str(self.folder / "no-env"),
            "LOG_LEVEL": "debug",
            "OUTSIDE": "off",  # nobody outside is asked by a test
            **self.extra_env,
        }

    @staticmethod
    def command(module: str) -> list[str]:
        """The command that runs a module of the workspace."""
        return [sys.executable, "-m", module]

    def log(self, name: str) -> str:
        """Everything that the service has written."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def start(self, *names: str, **env: str) -> None:
        """Start services; without names those of CHAIN."""
        for name in names or CHAIN:
            with open(self.folder / f"{name}.log", "ab") as log:  # noqa: ASYNC230 - a local file, opened once
                service = name.removesuffix("-2").removesuffix("-3")
                replica = {"INSTANCE": name} if name != service else {}
                environment = {**self.environment(), **replica, **env}
                command = self.command(SERVICES[service])
                self._processes[name] = await child.start(command, env=environment, output=log)

    def runs(self, name: str) -> bool:
        """Whether the service was started, and not stopped since."""
        return name in self._processes

    def pid(self, name: str) -> int:
        """Process id of a service."""
        return self._processes[name].pid

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one service."""
        child.signal_group(self._processes[name], number)

    async def kill(self, name: str) -> None:
        """kill -9."""
        await child.kill(self._processes.pop(name))

    async def stop(self, name: str) -> int:
        """SIGTERM; returns the exit code."""
        return await child.stop(self._processes.pop(name), grace=12)

    async def wait(self, name: str) -> int:
        """Exit code of a service that ends by itself."""
        return await asyncio.wait_for(self._processes[name].wait(), 15)

    # --- state -----------------------------------------------------------------------------------------

    async def view(self, kind: type[V]) -> V | None:
        """A view as it stands in Redis."""
        for domain in domains.DOMAINS:
            for name, candidate in domain.views.items():
                if candidate is kind:
                    raw = await self.redis.hget(self.keys.views(domain), name)
                    return msgspec.json.decode(raw, type=kind) if raw else None
        raise KeyError(kind)

    async def heartbeats(self) -> list[Health]:
        """The heartbeats of all instances."""
        return [msgspec.json.decode(raw, type=Health) for raw in (await self.redis.hgetall(self.keys.health)).values()]

    async def health(self, service: str) -> Health | None:
        """The service's heartbeat."""
        return next((health for health in await self.heartbeats() if health.service == service), None)

    async def serves(self, limit: float = 20) -> None:
        """Return when web answers."""

        async def answers() -> bool:
            try:
                async with aiohttp.ClientSession() as session, session.get(f"{self.url}/healthz") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await until(answers, limit, "web answers")

    async def synced(self, limit: float = 30) -> None:
        """Return when every view says what the node says now."""

        async def same() -> Any:
            try:
                best = await self.node.rpc("getbestblockhash")
                info = await self.node.rpc("getmempoolinfo")
                tip = await self.view(TipView)
                mempool = await self.view(MempoolView)
            except (*redis.LOST, RpcRefused):
                return None
            if tip is None or mempool is None or not mempool.exact:
                return None
            ours = (mempool.count, mempool.vsize, mempool.total_fee)
            theirs = (info["size"], info["bytes"], round(info["total_fee"] * 1e8))
            self._seen = f"tip {tip.height} {tip.hash}, node {best}; mempool {ours}, node {theirs}"
            return tip.hash == best and ours == theirs

        self._seen = ""
        try:
            await until(same, limit, "views equal the node")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._seen}") from None

    async def entries(self, stream: str) -> list[tuple[str, int, str, dict[str, Any]]]:
        """Every entry of a stream: id, sequence, type, data."""
        found = await self.redis.xrange(stream)
        return [
            (entry_id.decode(), int(fields[b"seq"]), fields[b"type"].decode(), msgspec.json.decode(fields[b"data"]))
            for entry_id, fields in found
        ]

    async def fees(self) -> FeesView:
        """The fees view, which must be there."""
        view = await self.view(FeesView)
        assert view is not None
        return view


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    status = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(status.stdout) * 1024

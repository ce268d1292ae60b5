"""`make run`: every service on this machine, with what they need where it is not configured."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from local_run import folder, ports
from local_run.demonstration import BANNER, Demonstration
from local_run.errors import ServerFailed, SetupError
from local_run.server import Server
from local_run.supervisor import Console, Program, Supervisor
from local_run.valkey import EmbeddedValkey, kept_password
from shared import settings
from shared.addresses import web_url
from shared.domains import SERVICES
from shared.errors import DashboardError
from shared.settings import Settings
from shared.tasks import together

PROGRAMS: Final = tuple(service.module for service in SERVICES)
"""Modules of what runs beside the node and Redis."""

_RUNNER: Final = "run"
_GENERATOR: Final = "generator"
_LONGEST_DELAY: Final = 30.0


@dataclass
class _Parts:
    """What runs beside the services, and what it adds to their environment."""

    servers: list[Server] = field(default_factory=list)
    demonstration: Demonstration | None = None
    environment: dict[str, str] = field(default_factory=dict)


async def main() -> int:
    """Run until SIGINT, SIGTERM or SIGHUP (0); 1 when the set-up failed, with the reason on stderr."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            loop.add_signal_handler(number, stop.set)
    working = asyncio.create_task(_run(), name="run")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        print("stopping", flush=True)
    stopping.cancel()
    working.cancel()
    try:
        await working
    except asyncio.CancelledError:
        return 0
    except (DashboardError, OSError) as error:
        print(f"make run: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


async def _run() -> None:
    config = settings.load()
    console = Console()
    for name in (_RUNNER, _GENERATOR, *map(_name, PROGRAMS)):  # now, so that the prefixes line up from the start
        console.introduce(name)
    web_port = _port("WEB", config.web_host, config.web_port)
    if config.admin_port is not None:
        _port("ADMIN", config.admin_host, config.admin_port)
    for at, _ in enumerate(PROGRAMS if config.metrics_port else ()):
        _port("METRICS", config.admin_host, (config.metrics_port or 0) + at)
    with folder.hold(config.data_dir):
        admin_port = await _admin_port(config)
        async with contextlib.AsyncExitStack() as stack:
            parts = await _set_up(config, console, stack)
            listening = {"WEB_PORT": str(web_port), "ADMIN_PORT": str(admin_port)}
            environment = {**_defaults(), **os.environ, **parts.environment, **listening}
            async with asyncio.TaskGroup() as group:
                for server in parts.servers:
                    group.create_task(_keep(server, console), name=server.title)
                if parts.demonstration is not None:
                    group.create_task(parts.demonstration.generator().run(), name=_GENERATOR)
                group.create_task(Supervisor(_programs(config, environment), console).run(), name="supervisor")
                dashboard, operators = web_url(config.web_host, web_port), web_url(config.admin_host, admin_port)
                group.create_task(_announce(dashboard, operators, console), name="announce")


async def _set_up(config: Settings, console: Console, stack: contextlib.AsyncExitStack) -> _Parts:
    parts = _Parts()
    data = config.data_dir.absolute()
    demonstrate = not config.configured_nodes
    # The demonstration's chain and what is derived from it stay together, apart from a real node's.
    own = data / "demonstration" if demonstrate else data
    numbers = await folder.stable_ports(data, ("rpc", "zmq", "valkey", "electrum"))
    if demonstrate:
        print(BANNER, flush=True)
        demonstration = Demonstration(
            own,
            rpc_port=numbers["rpc"],
            zmq_port=numbers["zmq"],
            electrum_port=numbers["electrum"],
            say=lambda line: console.write(_GENERATOR, line),
        )
        console.write(_RUNNER, "starting bitcoind (unpacked from Debian's packages first, if there is none)")
        stack.push_async_callback(demonstration.node.stop)
        _, without = await together(demonstration.start(), demonstration.look_for_electrumx())
        parts.demonstration = demonstration
        parts.servers.append(demonstration.node)
        parts.environment |= {**demonstration.node.env(), "NODES": "main", "DASHBOARD_DEMO": "1"}
        parts.environment["DASHBOARD_DEMO_WALLET_FILE"] = str(demonstration.wallet)
        parts.environment["DASHBOARD_DEMO_PUBLISHED_FILE"] = str(demonstration.published)
        stack.push_async_callback(demonstration.electrumx.stop)
        without = without or await demonstration.start_electrumx()
        if without:
            console.write(_RUNNER, f"without an Electrum server: {' '.join(without.split())}")
        else:
            parts.servers.append(demonstration.electrumx)
            parts.environment["MAIN_ELECTRUM_URL"] = demonstration.electrumx.url("ws")
    if config.redis_url is None:
        password = kept_password(own / "valkey" / "password")
        valkey = EmbeddedValkey(own / "valkey", port=numbers["valkey"], password=password)
        await stack.enter_async_context(valkey)
        parts.servers.append(valkey)
        parts.environment["REDIS_URL"] = valkey.url
    if not config.wallet_secret:
        parts.environment["WALLET_SECRET_FILE"] = str(_wallet_secret(own))
    return parts


def _wallet_secret(own: Path) -> Path:
    """The file with what seals wallets, made on the first run: services are told the place alone."""
    path = own / "wallet" / "secret"
    kept_password(path)
    return path


def _port(name: str, host: str, port: int) -> int:
    """The port that a service will listen on; `name` begins its variables. Raises SetupError when it cannot."""
    if port == 0:
        return ports.pick()[0]
    at = "ADMIN_HOST" if name == "METRICS" else f"{name}_HOST"
    try:
        free = ports.is_free(port, host)
    except OSError as error:
        raise SetupError(
            f"{at}={host} {name}_PORT={port}: {error.strerror}; "
            "expected an address of this machine and a port that this account may listen on"
        ) from error
    if not free:
        raise SetupError(f"{name}_PORT={port} is in use by another program on {host}; expected a free port")
    return port


async def _admin_port(config: Settings) -> int:
    """Where the operator is told everything: as it is set, else a port of ours that stays the same."""
    if config.admin_port:
        return config.admin_port
    return (await folder.stable_ports(config.data_dir.absolute(), ("admin",)))["admin"]


def _defaults() -> dict[str, str]:
    """For a person at a terminal: lines to read, as they come."""
    files = settings.read_files(Path(os.environ.get("ENV_DIR") or "env"))
    return {"PYTHONUNBUFFERED": "1", **({} if files.get("LOG_FORMAT") else {"LOG_FORMAT": "console"})}


def _programs(config: Settings, environment: Mapping[str, str]) -> list[Program]:
    programs = []
    for at, module in enumerate(PROGRAMS):
        # Services on one machine cannot share METRICS_PORT: they take it and the ones after it.
        metrics = {} if config.metrics_port is None else {"METRICS_PORT": str(config.metrics_port + at)}
        programs.append(Program(_name(module), (sys.executable, "-m", module), {**environment, **metrics}))
    return programs


def _name(module: str) -> str:
    return module.rpartition(".")[2].replace("_", "-")


async def _keep(server: Server, console: Console) -> None:
    """Start a server of ours again when it ends."""
    delay = 0.5
    while True:
        code = await server.wait()
        while not server.running:
            console.write(_RUNNER, f"{server.title} ended with code {code}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            try:
                await server.start()
                delay = 0.5
            except ServerFailed as error:
                console.write(_RUNNER, str(error))
                delay = min(2 * delay, _LONGEST_DELAY)


async def _announce(dashboard: str, operators: str, console: Console) -> None:
    """Say where the dashboard is, once it answers."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{dashboard}/healthz") as response:
                    if response.ok:
                        console.write(_RUNNER, f"for operators: {operators}/status and {operators}/metrics")
                        console.write(_RUNNER, f"the dashboard: {dashboard}/")
                        return
            await asyncio.sleep(0.2)

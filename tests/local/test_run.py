"""`python -m local_run` as a whole, on real parts and the real services."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from local_run import app, child, history, ports
from local_run.app import PROGRAMS
from local_run.demonstration import Demonstration
from shared import settings
from support.stack import until

from .conftest import gone


@pytest.fixture
def data_dir(short_history: Path, tmp_path: Path) -> Path:
    """As a first run leaves it, but for the length of the history."""
    demonstration = tmp_path / "data" / "demonstration"
    shutil.copytree(short_history, demonstration / "bitcoind")
    (demonstration / "history-complete").touch()
    return tmp_path / "data"


class Run:
    """A runner as a process; `lines` is what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    async def said(self, pattern: str, limit: float = 40) -> re.Match[str]:
        async def found() -> re.Match[str] | None:
            assert self.process.returncode is None, self.lines
            return next((match for line in self.lines if (match := re.search(pattern, line))), None)

        try:
            match = await until(found, limit, f"a line like {pattern!r}")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.lines])) from None
        assert match is not None
        return match

    def children(self) -> dict[str, int]:
        """Process numbers by a word of the command line."""
        found: dict[str, int] = {}
        for process in psutil.Process(self.process.pid).children():
            try:
                words = " ".join(process.cmdline())
            except psutil.NoSuchProcess:  # or a zombie, which is one of them
                continue
            for name in ("bitcoind", "valkey-server", *PROGRAMS):
                if re.search(rf"(/{name}|-m {re.escape(name)})( |$)", words):
                    found[name] = process.pid
        return found


def environment(data_dir: Path, **env: str) -> dict[str, str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if not re.search("_RPC_|_ZMQ_|_ELECTRUM_|REDIS_URL|NODES", name)
    }
    return {**ours, "DATA_DIR": str(data_dir), "ENV_DIR": "/nonexistent", "WEB_PORT": "0", **env}


@contextlib.asynccontextmanager
async def running(data_dir: Path, **env: str) -> AsyncIterator[Run]:
    process = await child.start(
        [sys.executable, "-m", "local_run"], env=environment(data_dir, **env), output=asyncio.subprocess.PIPE
    )
    run = Run(process)
    reading = asyncio.create_task(run.read())
    try:
        yield run
    finally:
        await child.stop(process, grace=30)
        await asyncio.wait_for(reading, 10)


async def fails(data_dir: Path, **env: str) -> list[str]:
    """What a run printed that ended with exit code 1."""
    process = await child.start(
        [sys.executable, "-m", "local_run"], env=environment(data_dir, **env), output=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        await child.kill(process)
    assert process.returncode == 1
    return output.decode().splitlines()


def command(pid: int) -> str:
    """The command of a process; empty where it has ended."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


async def test_a_dashboard_that_moves_and_ends_cleanly(data_dir: Path) -> None:
    async with running(data_dir) as run:
        url = (await run.said(r"run +\| the dashboard: (http://127\.0\.0\.1:\d+/)$"))[1]
        assert any("DEMONSTRATION" in line for line in run.lines)
        await run.said(r"generator +\| mined block \d+")
        children = run.children()
        assert set(children) == {"bitcoind", "valkey-server", *PROGRAMS}
        operators = await run.said(r"run +\| for operators: (http://127\.0\.0\.1:\d+)/status and \1/metrics$")
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                assert response.status == 200
            async with session.get(f"{operators[1]}/metrics") as response:
                assert "web_redis_up" in await response.text()
            async with session.get(f"{url}metrics") as response:
                assert response.status == 404
        password = (data_dir / "demonstration" / "valkey" / "password").read_text().strip()
        assert len(password) >= 32
        for name in ("bitcoind", "bitcoind/regtest/.cookie", "valkey", "valkey/password", "wallet", "wallet/secret"):
            assert (data_dir / "demonstration" / name).stat().st_mode & 0o077 == 0

        (refusal,) = await fails(data_dir)
        assert re.search(rf"DATA_DIR=.* in use by another run \(process {run.process.pid}\)", refusal)

        # Whatever is killed comes back.
        os.kill(children["bitcoind"], signal.SIGKILL)
        os.kill(children["valkey-server"], signal.SIGKILL)
        os.kill(children["mempool"], signal.SIGKILL)
        await run.said("bitcoind ended with code -9; starting it again")
        await run.said("valkey-server ended with code -9; starting it again")
        await run.said("mempool +\\| killed by SIGKILL; starting it again")

        async def all_back() -> bool:
            return len(run.children()) == 2 + len(PROGRAMS)

        await until(all_back, 20, "all children again")
        children = run.children()
        assert not [pid for pid in children.values() if password in command(pid)]

        run.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(run.process.wait(), 25) == 0
    assert "stopping" in run.lines
    assert not [line for line in run.lines if password in line]
    assert not [pid for pid in children.values() if psutil.pid_exists(pid)]


def test_the_secret_of_wallets_is_made_once(tmp_path: Path) -> None:
    file = app._wallet_secret(tmp_path)
    secret = settings.load({"WALLET_SECRET_FILE": str(file)}, tmp_path / "no-env").wallet_secret
    assert app._wallet_secret(tmp_path).read_text().strip() == secret
    assert len(set(secret)) > 8
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_a_killed_runner_leaves_nothing_and_the_next_run_uses_the_same_ports(data_dir: Path) -> None:
    async with running(data_dir) as run:
        await run.said("the dashboard:")
        children = run.children()
        before = json.loads((data_dir / "ports.json").read_text())
        run.process.kill()
        await run.process.wait()
        await gone(*children.values())
    async with running(data_dir) as run:
        await run.said(r"generator +\| mined block")
        assert json.loads((data_dir / "ports.json").read_text()) == before


async def test_sigterm_while_it_sets_up(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as run:
        await run.said("building a chain")
        children = run.children()
        assert list(children) == ["bitcoind"]
        run.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(run.process.wait(), 20) == 0
    assert not psutil.pid_exists(children["bitcoind"])


@pytest.mark.parametrize(
    ("variable", "before"), [("WEB_PORT", 0), ("ADMIN_PORT", 0), ("METRICS_PORT", 0), ("METRICS_PORT", 3)]
)
async def test_a_port_in_use(tmp_path: Path, variable: str, before: int) -> None:
    """METRICS_PORT stands for one port a service, itself and those behind it."""
    port = ports.pick()[0]
    with socket.create_server(("127.0.0.1", port)):
        (line,) = await fails(tmp_path / "data", **{variable: str(port - before)})
    assert line == f"make run: {variable}={port} is in use by another program on 127.0.0.1; expected a free port"
    assert not (tmp_path / "data").exists()


async def test_a_host_that_is_not_this_machine(tmp_path: Path) -> None:
    (line,) = await fails(tmp_path / "data", ADMIN_HOST="192.0.2.1", ADMIN_PORT="8081")
    assert line.startswith("make run: ADMIN_HOST=192.0.2.1 ADMIN_PORT=8081: ")


async def test_a_wrong_setting(tmp_path: Path) -> None:
    (line,) = await fails(tmp_path / "data", WEB_PORT="many")
    assert line.startswith("make run: WEB_PORT='many'")


async def test_no_bitcoind_to_be_had(tmp_path: Path) -> None:
    lines = await fails(tmp_path / "data", BITCOIND="/nonexistent/bitcoind")
    assert lines[-1] == "make run: BITCOIND is /nonexistent/bitcoind; expected a program that can be run"


async def test_with_a_node_and_a_redis_it_brings_neither(tmp_path: Path) -> None:
    node = {"MAIN_RPC_URL": "http://127.0.0.1:1", "MAIN_RPC_USER": "u", "MAIN_RPC_PASSWORD": "p"}
    async with running(tmp_path / "data", REDIS_URL="redis://127.0.0.1:1/0", **node) as run:
        await run.said("service_starting")

        async def services() -> bool:
            return set(run.children()) == set(PROGRAMS)

        await until(services, 20, "the services alone")
        assert not any("DEMONSTRATION" in line for line in run.lines)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["lock", "ports.json", "wallet"]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    build = history.build
    monkeypatch.setattr(history, "build", partial(build, blocks=102, busy=1))
    return build


@pytest.mark.usefixtures("short")
async def test_the_first_run_builds_the_history_and_the_second_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "demonstration"
    tips = []
    for _ in range(2):
        demonstration = Demonstration(folder, rpc_port=0, zmq_port=0, electrum_port=0, say=lambda line: None)
        await demonstration.start()
        try:
            tips.append(await demonstration.node.rpc("getbestblockhash"))
        finally:
            await demonstration.node.stop()
    assert tips[0] == tips[1]


@pytest.mark.usefixtures("short")
async def test_an_interrupted_history_is_built_anew(tmp_path: Path) -> None:
    folder = tmp_path / "demonstration"
    (folder / "valkey").mkdir(parents=True)
    (folder / "valkey" / "derived").touch()

    def interrupt(line: str) -> None:
        if line.startswith("100 of"):
            raise KeyError("interrupted on purpose")

    demonstration = Demonstration(folder, rpc_port=0, zmq_port=0, electrum_port=0, say=interrupt)
    with pytest.raises(KeyError):
        await demonstration.start()
    assert not demonstration.node.running
    again = Demonstration(folder, rpc_port=0, zmq_port=0, electrum_port=0, say=lambda line: None)
    await again.start()
    try:
        assert await again.node.rpc("getblockcount") == 102
        assert not (folder / "valkey" / "derived").exists()
    finally:
        await again.node.stop()

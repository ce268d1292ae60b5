"""The demonstration's Electrum server: its environment, its beginning and its end, and a run that goes without."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import stat
from pathlib import Path

import psutil
import pytest

from local_run import app, cache, demonstration, electrumx
from local_run.demonstration import Demonstration
from local_run.electrumx import Credentials, find_electrumx
from local_run.errors import SetupError
from local_run.supervisor import Console
from shared import settings
from support.electrumx import needs_electrumx


@pytest.fixture
def folder(short_history: Path, tmp_path: Path) -> Path:
    """As a first run leaves it, but for the length of the history."""
    made = tmp_path / "data" / "demonstration"
    shutil.copytree(short_history, made / "bitcoind")
    (made / "history-complete").touch()
    return made


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that reaches no package index, and has nothing in its cache."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    monkeypatch.setattr(electrumx, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def listens(port: int | None) -> bool:
    return any(
        one.laddr.port == port and one.status == psutil.CONN_LISTEN
        for one in psutil.net_connections("tcp")
        if one.laddr
    )


async def test_it_starts_beside_the_node_and_ends_cleanly(folder: Path) -> None:
    await needs_electrumx()
    made = Demonstration(folder, rpc_port=0, zmq_port=0, electrum_port=0, say=lambda line: None)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(made.node.stop)
        await made.start()
        assert await made.look_for_electrumx() == ""
        stack.push_async_callback(made.electrumx.stop)
        assert await made.start_electrumx() == ""
        port = made.electrumx.listening.ws
        assert made.electrumx.url() == f"ws://127.0.0.1:{port}"
        assert listens(port)
        process = psutil.Process(made.electrumx.pid)
        assert not [word for word in process.cmdline() if "electrumx:" in word]  # nor the password behind it
        assert stat.S_IMODE(made.electrumx.folder.stat().st_mode) == 0o700
        assert made.electrumx.folder.parent == folder

        await made.electrumx.stop()
        assert await made.electrumx.wait() == 0
        assert "terminated normally" in made.electrumx.log_file.read_text()
        assert not listens(port)

        for part in (made.electrumx.folder / "db").rglob("CURRENT"):  # a disk that lost what was written
            part.write_text("nonsense\n")
        assert await made.start_electrumx() == ""
        assert made.electrumx.listening.ws == port


async def test_without_a_package_index_the_reason_is_said_and_nothing_is_left(no_index: Path) -> None:
    with pytest.raises(
        SetupError,
        match=r"ElectrumX could not be installed from the package index: ERROR: No matching distribution found for",
    ):
        await find_electrumx()
    assert [path.name for path in no_index.iterdir()] == ["electrumx.lock"]


async def test_one_that_is_there_needs_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    await needs_electrumx()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(electrumx, "_install", None)
    assert (await find_electrumx()).exists()


async def test_installed_without_the_sources_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(electrumx, "checkout", lambda: None)
    with pytest.raises(SetupError, match=r"versions stand in requirements/electrumx\.txt"):
        await find_electrumx()


async def test_who_waits_for_another_run_does_not_wait_for_ever(tmp_path: Path) -> None:
    async def never(building: Path) -> None:
        await asyncio.Event().wait()

    with pytest.raises(SetupError, match="making it took longer than 0 s"):
        await cache.made_once(tmp_path / "x", "x", never, what="making it", limit=0.05)
    assert [path.name for path in tmp_path.iterdir()] == ["x.lock"]


@pytest.mark.parametrize("there", [True, False])
async def test_a_run_tells_its_services_of_the_server_or_says_that_there_is_none(
    folder: Path, no_env: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        await needs_electrumx()
    else:

        async def cannot(limit: float) -> Path:
            raise SetupError("ElectrumX could not be installed:\nno index")

        monkeypatch.setattr(demonstration, "find_electrumx", cannot)
    config = settings.load({"DATA_DIR": str(folder.parent)}, no_env)
    printed = io.StringIO()
    async with contextlib.AsyncExitStack() as stack:
        parts = await app._set_up(config, Console(printed), stack)
        assert ("MAIN_ELECTRUM_URL" in parts.environment) == there
        assert ([server.title for server in parts.servers].count("electrumx") == 1) == there
    said = [line for line in printed.getvalue().splitlines() if "without an Electrum server" in line]
    expected = [] if there else ["run | without an Electrum server: ElectrumX could not be installed: no index"]
    assert [" ".join(line.split()) for line in said] == expected


def test_a_node_is_told_a_hash_and_never_the_password() -> None:
    one, other = Credentials.new(), Credentials.new()
    assert one.password != other.password
    assert one.password not in one.argument
    assert one.argument.startswith("-rpcauth=electrumx:")

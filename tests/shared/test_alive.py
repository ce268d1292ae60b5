"""Whether a service is alive: one that waits is, one whose event loop hangs is not, and its process ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from local_run import child
from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import alive
from support.processes import Process, started
from support.stack import until

NODE = {"MAIN_RPC_URL": "http://127.0.0.1:1", "MAIN_RPC_USER": "a", "MAIN_RPC_PASSWORD": "b"}
"""Where no node is."""

NOBODY = "redis://127.0.0.1:1/0"
"""Where no Redis is."""

HANGING = """
import sys, time
from shared import alive, service
alive.END_SECONDS = 2.0
async def run(it):
    await __import__("asyncio").sleep(1.5)
    time.sleep(600)
sys.exit(service.main("mempool", run))
"""


async def asked(it: Process, seconds: float = alive.STALE_SECONDS) -> tuple[int, str]:
    """Exit code and words of the program, run as a container's engine does."""
    command = [sys.executable, "-m", "shared.alive", str(seconds)]
    process = await child.start(command, env=it.env, output=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode().strip()


async def lives(it: Process, seconds: float = alive.STALE_SECONDS) -> bool:
    return (await asked(it, seconds))[0] == 0


async def test_a_service_that_waits_for_redis_is_alive(tmp_path: Path) -> None:
    for module in ("chain_ingest", "mempool", "explorer", "chain_ingest.backfill"):
        path = tmp_path / module
        async with started(module, tmp_path / "log", ALIVE_FILE=str(path), REDIS_URL=NOBODY, **NODE) as it:
            await until(lambda it=it: lives(it), 20, f"{module} is alive")  # type: ignore[misc]  # mypy: of the lambda
            first = path.read_text()

            async def again(path: Path = path, first: str = first) -> bool:
                return path.read_text() != first

            await until(again, 5, "it beats again")
            assert await asked(it, 5) == (0, "alive")


async def test_a_frozen_service_is_not_alive(tmp_path: Path, valkey: EmbeddedValkey) -> None:
    env = {"ALIVE_FILE": str(tmp_path / "alive"), "REDIS_URL": valkey.url}
    async with started("mempool", tmp_path / "log", **env) as it:
        await until(lambda: lives(it), 20, "it is alive")
        assert it.process is not None
        os.kill(it.process.pid, signal.SIGSTOP)

        async def ill() -> bool:
            return not await lives(it, 2)

        await until(ill, 10, "it is found to be ill")
        code, said = await asked(it, 2)
        assert code == 1
        assert said.startswith("the event loop has not turned for ")
        os.kill(it.process.pid, signal.SIGCONT)
        await until(lambda: lives(it, 2), 10, "it is alive again")


async def test_a_loop_that_hangs_ends_its_process_and_says_where(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "ENV_DIR": str(tmp_path / "no-env"), "REDIS_URL": NOBODY}
    env["ALIVE_FILE"] = str(tmp_path / "alive")
    process = await child.start([sys.executable, "-c", HANGING], env=env, output=asyncio.subprocess.PIPE)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        await child.kill(process)
    assert process.returncode == 1
    assert b"Timeout (0:00:02)!" in output
    assert b"in run" in output  # the place where it hangs


async def test_without_the_variable_nothing_is_written_and_nothing_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await asyncio.wait_for(alive.Pulse("").beat(), 5)
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("ALIVE_FILE", raising=False)
    assert alive.main([]) == 1


async def test_a_file_that_cannot_be_written_ends_no_service(tmp_path: Path, valkey: EmbeddedValkey) -> None:
    env = {"ALIVE_FILE": str(tmp_path / "none" / "alive"), "REDIS_URL": valkey.url}
    async with started("mempool", tmp_path / "log", **env) as it:

        async def runs() -> bool:
            return any(event.get("event") == "service_starting" for event in it.events())

        await until(runs, 20, "it runs")
        code, said = await asked(it)
        assert (code, "has not begun" in said) == (1, True)
        assert it.process is not None
        assert it.process.returncode is None


def test_what_is_no_beat_is_said(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    for content in ("", "soon\n\n", "\n"):
        path.write_text(content)
        assert "cannot be read" in alive.trouble(str(path)), content


async def test_of_web_its_answer_counts_as_well(tmp_path: Path, valkey: EmbeddedValkey) -> None:
    (port,) = pick(1)
    path = tmp_path / "alive"
    env = {"ALIVE_FILE": str(path), "REDIS_URL": valkey.url, "WEB_PORT": str(port)}
    for host in ("127.0.0.1", "0.0.0.0"):
        async with started("web", tmp_path / "log", WEB_HOST=host, **env) as it:

            async def listens() -> bool:
                return path.exists() and "/healthz" in path.read_text()

            await until(listens, 20, "it says where it answers")
            assert path.read_text().splitlines()[1] == f"127.0.0.1 {port} /healthz"
            assert await asked(it) == (0, "alive")
            path_of_another = tmp_path / "other"
            path_of_another.write_text(path.read_text().replace(str(port), "1"))
            it.env["ALIVE_FILE"] = str(path_of_another)
            code, said = await asked(it)
            assert (code, said.startswith("/healthz at port 1 does not answer")) == (1, True)
        path.unlink()

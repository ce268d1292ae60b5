from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from local_run import history
from local_run.node import RegtestNode
from support.stack import until

BLOCKS, BUSY = 120, 9


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    before = set(psutil.Process().children())
    yield
    assert not [child for child in psutil.Process().children() if child not in before and alive(child)]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path / "node") as node:
        yield node


@pytest.fixture(scope="session")
def short_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stopped node with a short history, to copy."""
    folder = tmp_path_factory.mktemp("history") / "node"

    async def build() -> None:
        async with RegtestNode(folder) as node:
            await history.build(node, chance=random.Random(7), blocks=BLOCKS, busy=BUSY, days=31)

    asyncio.run(build())
    return folder


@pytest.fixture
async def old_chain(short_history: Path, tmp_path: Path) -> AsyncIterator[RegtestNode]:
    """A node with that history, whose wallets have coins."""
    shutil.copytree(short_history, tmp_path / "node")
    async with RegtestNode(tmp_path / "node") as node:
        yield node


async def gone(*pids: int, limit: float = 10) -> None:
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]

    async def all_gone() -> bool:
        return not any(alive(process) for process in processes)

    await until(all_gone, limit, f"processes {pids} are gone")

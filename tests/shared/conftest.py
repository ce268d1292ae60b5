"""Servers of each kind that the project must run on: processes of ours, or with --engine containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local_run.valkey import EmbeddedValkey
from shared import redis
from support import servers
from support.contained import AnyServer, ContainedServer


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=servers.KINDS)
async def each_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AnyServer]:
    """Valkey, Redis 7 and Redis 8 in turn; they run on, so tests use only its `url` and `port`."""
    if request.config.getoption("--engine"):
        async with ContainedServer(request.param, request.getfixturevalue("engine").env) as contained:
            yield contained
        return
    binary = await servers.binary_or_skip(request.param)
    async with EmbeddedValkey(tmp_path_factory.mktemp(request.param), binary=binary) as server:
        yield server


@pytest_asyncio.fixture
async def each_client(each_server: AnyServer) -> AsyncIterator[redis.Client]:
    """A client to an empty server of each kind."""
    connected = redis.connect(each_server.url)
    await connected.flushall()
    yield connected
    await connected.flushall()
    await connected.aclose()


@pytest_asyncio.fixture(params=servers.KINDS)
async def mortal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyServer]:
    """A server of each kind that the test may kill: what it has answered is on its disk.

    With `everysec` it puts off its writing while the disk is busy, and may lose what it answered in two seconds; that
    services make up for that is for tests/faults to show, where they can ask the node.
    """
    if request.config.getoption("--engine"):
        always = ("--appendfsync", "always")
        async with ContainedServer(request.param, request.getfixturevalue("engine").env, always) as contained:
            yield contained
        return
    binary = await servers.binary_or_skip(request.param)
    async with EmbeddedValkey(tmp_path / "server", binary=binary, extra=["--appendfsync", "always"]) as server:
        yield server

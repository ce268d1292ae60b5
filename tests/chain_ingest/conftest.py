"""A Valkey for the tests of one module, in the event loop that they share with a node that is expensive to make."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from local_run.valkey import EmbeddedValkey
from shared import redis


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedValkey]:
    async with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def connected(server: EmbeddedValkey) -> AsyncIterator[redis.Client]:
    """A client to it, empty."""
    it = redis.connect(server.url)
    await it.flushall()
    yield it
    await it.aclose()

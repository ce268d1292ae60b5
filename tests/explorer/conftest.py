"""What the modules of this folder share, once for a run: a node with a wallet, and a node that an ElectrumX is over.

Tests that use them run in the run's own event loop (`loop_scope="session"`), take nothing for granted of what others
paid and mined, and leave the node as it is: with what they mined, and whatever waits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.electrumx import Followed, served
from support.explored import Chain


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chain]:
    """A node without an index."""
    async with Chain(tmp_path_factory.mktemp("node")) as it:
        yield it


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def followed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Followed]:
    """A node with an index."""
    async with served(tmp_path_factory.mktemp("followed")) as made:
        yield Followed(*made)

"""A real Valkey, web on a real port, and clients that read what it sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.clock import RedisClock
from shared.views import HistoryView
from support.browser import CHROMIUM, FLAGS
from support.series_samples import Chain, fill
from support.web_harness import Running, serving, until
from support.web_samples import Writer
from support.web_states import NOW
from web.state import survey
from web.state.snapshot import RedisReport


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a Valkey that all tests share; each begins with it empty."""
    folder: Path = tmp_path_factory.mktemp("valkey")
    async with EmbeddedValkey(folder) as server:
        yield server.url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """The installed Chromium."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        await started.close()


@pytest.fixture
async def writer(valkey: str) -> AsyncIterator[Any]:
    """Writes state and events as the folds do, into an empty Valkey."""
    client = redis.connect(valkey)
    await client.flushall()
    yield Writer(client)
    await client.aclose()


@pytest.fixture
async def site(valkey: str, writer: Any) -> AsyncIterator[Any]:
    """Web over a full state of mainnet."""
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    async with serving(valkey) as running:
        await running.ready()
        yield running


@pytest.fixture
async def bare(valkey: str, writer: Any) -> AsyncIterator[Any]:
    """Web over an empty Valkey."""
    async with serving(valkey) as running:
        yield running


@pytest.fixture
async def http(site: Running) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of `site`."""
    async with aiohttp.ClientSession(site.url) as session:
        yield session


@pytest.fixture
async def history(valkey: str, writer: Any) -> AsyncIterator[tuple[Running, Chain]]:
    """Web over a chain with a history."""
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    chain = await fill(writer.redis, writer.keys, blocks=3_000, mempool_days=3)
    async with serving(valkey) as running:
        await running.ready()
        await until(lambda: running.site.state.snapshot[HistoryView] and running.site.state.changes["history"])
        yield running, chain


@pytest.fixture
async def api(history: tuple[Running, Chain]) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of it."""
    async with aiohttp.ClientSession(history[0].url) as session:
        yield session


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands, and Redis tells nothing of itself that differs between two runs."""
    monkeypatch.setattr(RedisClock, "now_ms", property(lambda clock: NOW * 1000))
    take = survey.take

    async def taken(*which: Any) -> Any:
        found = await take(*which)
        return replace(found, redis=RedisReport("Valkey", "9.1.0", "standalone", 86_400, 5_000_000, 0, "noeviction"))

    monkeypatch.setattr(survey, "take", taken)

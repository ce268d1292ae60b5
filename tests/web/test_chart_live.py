"""Pages of charts go on by themselves, over the one connection of the browser, and say when they have aged."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, expect

from shared import redis
from shared.views import HistoryView
from support import series_samples
from support.browser import IN_BROWSER, opened
from support.web_harness import Running, serving, until
from support.web_samples import Writer
from support.well_being import WellBeing, well

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(loop_scope="module")
async def world(valkey: str) -> AsyncIterator[tuple[Writer, WellBeing, Running]]:
    """(writer, well-being, site) with state of now and without any history."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await writer.chain()
    await writer.mempool()
    async with well(writer) as being, serving(valkey) as running:
        await running.ready()
        yield writer, being, running
    await client.aclose()


async def test_what_is_not_there_yet_appears_by_itself(
    browser: Browser, world: tuple[Writer, WellBeing, Running]
) -> None:
    writer, _, site = world
    page = await opened(browser, f"{site.url}/charts/hashrate?range=all")
    index = await opened(browser, f"{site.url}/charts")
    await expect(page.locator("#content")).to_contain_text("Not available")
    await expect(index.locator(".glance .mid")).to_have_count(0)
    filled = await series_samples.fill(writer.redis, writer.keys, blocks=3_000, mempool_days=1)
    await expect(page.locator("body[data-drawn] .plot canvas")).to_have_count(1, timeout=15_000)
    await expect(index.locator(".glance .mid")).to_have_count(6, timeout=15_000)
    newest = index.locator(".glance", has_text="Transaction volume").locator(".mid")
    before = await newest.inner_text()
    await index.evaluate("window.same = true")
    await series_samples.fill(writer.redis, writer.keys, blocks=3_200, end=filled.end + 600, mempool_days=1)
    await expect(newest).not_to_have_text(before, timeout=15_000)
    assert await index.evaluate("window.same")  # the page was not loaded anew
    assert page.complaints == index.complaints == []  # type: ignore[attr-defined] # support.browser puts it there
    await page.context.close()
    await index.context.close()


async def test_a_chart_that_has_aged_says_so(browser: Browser, world: tuple[Writer, WellBeing, Running]) -> None:
    writer, being, site = world
    await series_samples.fill(writer.redis, writer.keys, blocks=3_000, mempool_days=1)
    await until(lambda: site.site.state.snapshot[HistoryView] is not None)
    page = await opened(browser, f"{site.url}/charts/tx-fees?range=1d")
    await expect(page.locator("body[data-drawn] .plot canvas").first).to_be_visible()
    await expect(page.locator(".as-of")).to_have_count(0)
    being.confirmed.discard("mempool")
    await writer.confirm("mempool", age=190)
    waiting, fees = (page.locator(f"[data-figure={name}] > .as-of") for name in ("congestion", "fees"))
    await expect(waiting).to_have_text("as of 3 min ago", timeout=10_000)
    await expect(fees).to_have_count(0)  # blocks are as they were
    being.confirmed.discard("chain")
    await writer.confirm("chain", age=190)
    await expect(fees).to_have_text("as of 3 min ago", timeout=10_000)
    await expect(page.locator("#dot")).to_have_text(re.compile(r"Stale\s+node silent\s+for 3 min"))
    being.confirmed.update(("chain", "mempool"))
    await expect(page.locator(".as-of")).to_have_count(0, timeout=10_000)
    await page.context.close()

"""Mining pools in a browser: sorted by links with and without a script, readable on a phone, never out of date."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, expect

from shared import redis
from shared.views import HistoryView
from support import series_samples
from support.browser import IN_BROWSER, opened
from support.series_samples import Chain, fill
from support.web_harness import Running, serving, until
from support.web_samples import Writer
from support.well_being import well

pytestmark = IN_BROWSER

PATHS = ("/network/miners?range=all", "/network/miners/foundryusa")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(valkey: str) -> AsyncIterator[tuple[Writer, Running, Chain]]:
    """(writer, site, chain) with a full state, all well, and a history."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    chain = await fill(writer.redis, writer.keys, blocks=3_000, mempool_days=1)
    await writer.chain()
    await writer.mempool()
    async with well(writer), serving(valkey) as running:
        await running.ready()
        await until(lambda: running.site.state.snapshot[HistoryView])
        yield writer, running, chain
    await client.aclose()


@pytest.mark.parametrize("script", [True, False])
async def test_columns_sort_by_links(browser: Browser, world: tuple[Writer, Running, Chain], script: bool) -> None:
    page = await opened(browser, f"{world[1].url}/network/miners?range=1m", script=script)
    first, column = page.locator("table.miners tbody th a").first, page.locator("#sort-name")
    await expect(first).to_have_text("Foundry USA")
    await column.click()
    await expect(first).to_have_text("AntPool")
    await expect(page.locator("th[aria-sort]")).to_have_text("Pool")
    assert page.url.endswith("/network/miners?range=1m&sort=name")
    await page.locator("#range-1y").click()
    await expect(page.locator("#range-1y")).to_have_attribute("aria-current", "true")
    await expect(first).to_have_text("AntPool")
    assert page.url.endswith("/network/miners?range=1y&sort=name")
    await first.click()
    await expect(page.locator("h1")).to_have_text("AntPool")
    assert page.complaints == []  # type: ignore[attr-defined]
    await page.context.close()


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_scrolls_sideways(browser: Browser, world: tuple[Writer, Running, Chain], path: str) -> None:
    for language in ("en-GB", "de-DE"):
        page = await opened(browser, world[1].url + path, width=360, language=language)
        for width in (1280, 1110, 910, 768, 360):
            await page.set_viewport_size({"width": width, "height": 800})
            wide = await page.evaluate(
                """(width) => [...document.querySelectorAll('main *, header *')]
                    .filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest('thead, svg'))
                    .map(e => e.outerHTML.slice(0, 80))""",
                width,
            )
            assert wide == [], (language, width)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
        labels = await page.evaluate(
            "getComputedStyle(document.querySelector('table.list tbody td'), '::before').content"
        )
        assert labels not in ("none", "normal"), "a row is a list of labels and values"
        assert page.complaints == []  # type: ignore[attr-defined]
        await page.context.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everyone_can_use_it(
    browser: Browser, world: tuple[Writer, Running, Chain], path: str, scheme: str
) -> None:
    page = await opened(browser, world[1].url + path, scheme=scheme)
    results = await Axe().run(page)
    assert [violation["id"] for violation in results.response["violations"]] == []
    await page.context.close()


async def test_a_new_block_shows_without_a_reload(browser: Browser, world: tuple[Writer, Running, Chain]) -> None:
    writer, site, chain = world
    page = await opened(browser, f"{site.url}/network/miners?range=all")
    await page.evaluate("window.same = true")
    await expect(page.locator("main")).to_contain_text("3,000 known of 3,000")
    longer = Chain(chain.blocks + 1, end=chain.end + 10)
    await series_samples.fill_chain(writer.redis, writer.keys, longer)
    await series_samples.announced(writer.redis, writer.keys, longer)
    await expect(page.locator("main")).to_contain_text("3,001 known of 3,001", timeout=20_000)
    assert await page.evaluate("window.same") is True
    assert page.complaints == []  # type: ignore[attr-defined]
    await page.context.close()

"""The pages in a real Chromium: live without a reload, on every width, in both schemes, for everyone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, expect

from shared import redis
from shared.views import BlocksView
from support.browser import IN_BROWSER, opened
from support.web_harness import serving, until
from support.web_samples import Writer, chain, health, mempool
from web.pages.found import PAGES
from web.words import moments

PATHS = [page.path for page in PAGES.values()]

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(loop_scope="module")
async def world(valkey: str) -> AsyncIterator[tuple[Any, Any]]:
    """(writer, site) with a full state."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    async with serving(valkey) as running:
        await running.ready()
        yield writer, running
    await client.aclose()


async def test_a_change_shows_without_a_reload(browser: Browser, world: tuple[Any, Any]) -> None:
    writer, site = world
    page = await opened(browser, site.url)
    await page.evaluate("window.same = true")
    height, size = page.locator("#card-height .n"), page.locator("#card-backlog .big")
    await expect(height).to_have_text("954,210")
    await writer.chain(chain(height=954_211, age=2))
    await expect(height).to_have_text("954,211")
    assert await page.locator("#card-height .big").evaluate("e => e.classList.contains('changed')")
    await expect(page.locator("#card-height time")).to_contain_text(" s ago")
    await expect(page.locator("#card-blocks_short tbody tr").first).to_contain_text("954,211")
    await writer.mempool(mempool(40_000, 22_500_000))
    await expect(size).to_have_text("22.5 MvB")
    assert await page.evaluate("window.same") is True
    assert page.complaints == []  # type: ignore[attr-defined]
    await page.context.close()


async def test_what_a_reader_does_survives_a_change(browser: Browser, world: tuple[Any, Any]) -> None:
    writer, site = world
    page = await opened(browser, site.url)
    await page.locator("#card-halvings summary").click()
    copy = page.locator("#card-largest_short button.copy").first
    await copy.focus()
    txid = await copy.get_attribute("data-copy")
    await copy.click()
    assert await page.evaluate("navigator.clipboard.readText()") == txid
    await writer.chain(chain(height=954_211))
    await expect(page.locator("#card-height .n")).to_have_text("954,211")
    assert await page.locator("#card-halvings details").evaluate("e => e.open")
    assert await page.evaluate("document.activeElement.dataset.copy") == txid
    await page.context.close()


async def test_ages_tick_as_the_server_writes_them(browser: Browser, world: tuple[Any, Any]) -> None:
    _, site = world
    page = await opened(browser, site.url)
    texts = await page.evaluate(
        """async () => {
            const before = [...document.querySelectorAll('time[data-ago],time[data-since],time[data-until]')];
            return before.map(e => [e.dateTime, Object.keys(e.dataset)[0], e.textContent, Date.now() / 1000]);
        }"""
    )
    assert len(texts) > 20
    for moment, kind, text, now in texts:
        seconds = now - datetime.fromisoformat(moment).timestamp()
        either = set()
        for at in (seconds, seconds - 1, seconds - 2):
            words = {
                "ago": moments.age(at),
                "since": moments.long_duration(at),
                "until": f"in {moments.duration(-at)}",
            }
            either.add(words[kind])
        assert text in either
    await page.context.close()


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_scrolls_sideways_on_any_width(browser: Browser, world: tuple[Any, Any], path: str) -> None:
    _, site = world
    page = await opened(browser, site.url + path, width=360)
    for width in (1110, 910, 768, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        wide = await page.evaluate(
            """(width) => [...document.querySelectorAll('main *, header *')]
                .filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest('thead') && !e.closest('svg'))
                .map(e => e.outerHTML.slice(0, 80))""",
            width,
        )
        assert wide == []
    await page.locator("#menu summary").click()
    await expect(page.locator("#menu a", has_text="Mempool")).to_be_visible()
    assert page.complaints == []  # type: ignore[attr-defined]
    await page.context.close()


@pytest.mark.parametrize(("path", "scheme"), [*((path, "light") for path in PATHS), ("/", "dark"), ("/status", "dark")])
async def test_everyone_can_use_it(browser: Browser, world: tuple[Any, Any], path: str, scheme: str) -> None:
    writer, site = world
    views = chain()
    views["blocks"] = BlocksView(blocks=views["blocks"].blocks[:12])  # axe takes its time over each row
    await writer.chain(views)
    await writer.health(health("chain-metrics", "degraded", reason="behind"))
    await until(lambda: site.site.state.notices)
    page = await opened(browser, site.url + path, scheme=scheme)
    only = {} if scheme == "light" else {"runOnly": ["color-contrast"]}  # the rest is the same in both
    results = await Axe().run(page, options=only)
    found = [
        (violation["id"], violation["impact"], [node["html"][:120] for node in violation["nodes"][:3]])
        for violation in results.response["violations"]
    ]
    assert found == []
    await page.context.close()


async def test_the_scheme_can_be_switched_and_stays(browser: Browser, world: tuple[Any, Any]) -> None:
    _, site = world
    page = await opened(browser, site.url, scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(colour)
    await page.locator("#theme").click()
    dark = await page.evaluate(colour)
    assert dark != light
    await page.goto(f"{site.url}/mempool")
    assert await page.evaluate(colour) == dark
    await page.context.close()


async def test_it_is_useful_without_a_script(browser: Browser, world: tuple[Any, Any]) -> None:
    _, site = world
    page = await opened(browser, site.url, script=False)
    await expect(page.locator("#card-height")).to_contain_text("954,210")
    await expect(page.locator("#card-height time")).to_contain_text("min ago")
    await expect(page.locator("button:visible:not([type=submit])")).to_have_count(0)
    await page.context.close()


async def test_the_dot_tells_when_the_server_goes_and_when_state_is_stale(
    browser: Browser, world: tuple[Any, Any]
) -> None:
    writer, site = world
    page = await opened(browser, site.url)
    await writer.health(health("mempool", age=60))
    await expect(page.locator("#dot")).to_have_attribute("data-state", "stale")
    await expect(page.locator("#card-notices")).to_contain_text("mempool is down")
    await writer.all_well()
    await expect(page.locator("#dot")).to_have_attribute("data-state", "live")
    site.site.dismiss()
    await expect(page.locator("#dot")).to_have_attribute("data-state", "reconnecting")
    await page.context.close()

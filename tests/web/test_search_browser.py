"""The search in a browser: its key, what is offered, and that a key never stands in an address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote_plus

import pytest_asyncio
from playwright.async_api import Browser, Page, Request, expect

from shared import redis
from shared.views import BlocksView
from support.browser import IN_BROWSER
from support.web_harness import Running, serving
from support.web_samples import Writer

pytestmark = IN_BROWSER

XPUB = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"


@pytest_asyncio.fixture(loop_scope="module")
async def world(valkey: str) -> AsyncIterator[Running]:
    """Web over a full state."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    async with serving(valkey) as running:
        await running.ready()
        yield running
    await client.aclose()


async def opened(browser: Browser, site: Running, width: int = 1280, **options: Any) -> tuple[Page, list[Request]]:
    """The front page, and what it asks for from now on."""
    context = await browser.new_context(viewport={"width": width, "height": 800}, **options)
    page = await context.new_page()
    await page.goto(site.url)
    if options.get("java_script_enabled", True):
        await expect(page.locator("#dot")).to_have_attribute("data-state", "live")
    asked: list[Request] = []

    def note(one: Request) -> None:
        asked.append(one)

    page.on("request", note)
    return page, asked


async def test_a_stroke_goes_to_it_at_every_width(browser: Browser, world: Running) -> None:
    for width in (1280, 360):
        page, _ = await opened(browser, world, width)
        field = page.locator("#search-field")
        assert await field.is_visible() == (width > 600), "it folds where there is no room"
        await page.keyboard.press("/")
        await expect(field).to_be_focused()
        await page.keyboard.type("7/7")
        await expect(field).to_have_value("7/7")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.context.close()


async def test_it_works_without_a_script(browser: Browser, world: Running) -> None:
    page, _ = await opened(browser, world, 360, java_script_enabled=False)
    await page.locator("a.find").click()
    await page.locator("#search-field").fill("007")
    await page.locator("#search-field").press("Enter")
    await expect(page.locator("main")).to_contain_text("no leading zero")
    await page.context.close()


async def test_a_key_goes_by_post(browser: Browser, world: Running) -> None:
    for text in (XPUB, f"  {XPUB[:40]} {XPUB[40:]}", f"wpkh([d34db33f/84h/0h/0h]{XPUB}/0/*)"):
        page, asked = await opened(browser, world)
        field = page.locator("#search-field")
        await field.click()
        await field.press_sequentially(text[:30])
        await field.fill(text)
        async with page.expect_request(lambda one: one.method == "POST") as posted:
            await field.press("Enter")
        sent = await posted.value
        assert sent.url == f"{world.url}/wallet"
        assert unquote_plus(sent.post_data or "") == f"q={text}"
        assert not [one.url for one in asked if XPUB[12:30] in one.url]
        await page.context.close()


async def test_a_private_key_is_not_sent_at_all(browser: Browser, world: Running) -> None:
    words = "legal winner thank year wave sausage worth useful legal winner thank yellow"
    for text in (XPUB.replace("xpub", "xprv"), "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", words):
        page, asked = await opened(browser, world)
        field = page.locator("#search-field")
        await field.fill(text)
        await field.press("Enter")
        await expect(page.locator("#search .search-said")).to_contain_text("It was not sent.")
        await expect(field).to_have_value("")
        assert not [one.url for one in asked if "/search" in one.url or "/wallet" in one.url]
        await page.context.close()


async def test_the_newest_blocks_are_offered(browser: Browser, world: Running) -> None:
    view = world.site.state.snapshot[BlocksView]
    assert view
    page, _ = await opened(browser, world)
    await page.locator("#search-field").press_sequentially(str(view.blocks[0].height))
    await expect(page.locator("#search-known option")).to_have_count(1)
    assert await page.locator("#search-known option").get_attribute("value") == str(view.blocks[0].height)
    await page.context.close()

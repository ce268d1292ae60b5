"""Many tabs of one browser: one connection for all, held by a tab in sight, as over plain HTTP in a home network."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright, expect

from shared import redis
from support.browser import CHROMIUM, FLAGS, IN_BROWSER
from support.web_harness import Running, serving, until
from support.web_samples import Writer, chain
from support.well_being import well

PATHS = ("/", "/mempool", "/blocks", "/", "/status", "/charts/tx-fees", "/api")
"""Seven tabs: one more than a browser has connections to one host."""

SWITCH = """
    let hidden = false;
    Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible") });
    Object.defineProperty(document, "hidden", { get: () => hidden });
    window.hide = (value) => {
        hidden = value;
        document.dispatchEvent(new Event("visibilitychange"));
    };
"""
"""Hides and shows a page, which headless Chromium always takes for visible."""

WATCH = """
    window.states = [];
    const dot = document.getElementById("dot");
    const note = () => states.push(dot.innerText);
    new MutationObserver(note).observe(dot, { subtree: true, childList: true, characterData: true });
"""
"""Notes whatever the dot says from now on."""

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium to whom this machine is another one, at 192.0.2.1: not a secure origin; with its back/forward cache."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*FLAGS, "--host-resolver-rules=MAP 192.0.2.1 127.0.0.1"],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="module")
async def world(valkey: str) -> AsyncIterator[tuple[Writer, Running, str]]:
    """(writer, site, the site's address on the network) with a full state."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await writer.chain()
    await writer.mempool()
    async with well(writer), serving(valkey) as running:
        await running.ready()
        yield writer, running, running.url.replace("127.0.0.1", "192.0.2.1")
    await client.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Tabs that can be hidden."""
    made = await browser.new_context(viewport={"width": 1280, "height": 800})
    await made.add_init_script(SWITCH)
    yield made
    await made.close()


async def tab(context: BrowserContext, url: str) -> Page:
    page = await context.new_page()
    await page.goto(url, timeout=10_000)
    await live(page)
    return page


async def live(page: Page, limit: float = 5) -> None:
    await expect(page.locator("#dot")).to_have_attribute("data-state", "live", timeout=limit * 1000)


async def tip(page: Page, height: str, limit: float = 5) -> None:
    """The page shows this tip; every page has it in its footer."""
    await expect(page.locator("#card-foot")).to_contain_text(height, timeout=limit * 1000)


async def test_seven_tabs_share_one_connection(context: BrowserContext, world: tuple[Writer, Running, str]) -> None:
    writer, site, url = world
    tabs = [await tab(context, url + PATHS[0])]
    await tabs[0].evaluate(WATCH)
    tabs += [await tab(context, url + path) for path in PATHS[1:]]
    assert await tabs[0].evaluate("states") == []  # others come, and the dot does not flicker
    assert not await tabs[0].evaluate("isSecureContext")
    await until(lambda: site.site.push_clients == 1)
    await writer.chain(chain(height=954_211))
    for page in tabs:
        await tip(page, "954,211")
    await expect(tabs[0].locator("#card-height .n")).to_have_text("954,211")
    await expect(tabs[2].locator("#card-blocks tbody tr").first).to_contain_text("954,211")
    for page in tabs:  # a link in each goes to a page that is live as well
        await page.locator(".bar a", has_text="Mempool").click(timeout=5_000)
        await expect(page).to_have_url(re.compile("/mempool$"))
        await live(page)
    await until(lambda: site.site.push_clients == 1)
    await writer.chain(chain(height=954_212))
    for page in tabs:
        await tip(page, "954,212")


async def test_a_tab_takes_over_from_one_that_is_closed(
    context: BrowserContext, world: tuple[Writer, Running, str]
) -> None:
    writer, site, url = world
    tabs = [await tab(context, url) for _ in range(3)]
    for height in (954_211, 954_212):  # the one that has been there longest leads
        await tabs.pop(0).close()
        await until(lambda: site.site.push_clients == 1)
        await writer.chain(chain(height=height))
        for page in tabs:
            await tip(page, f"{height:,}")
    await tabs.pop().close()
    await until(lambda: site.site.push_clients == 0)


async def test_a_tab_takes_over_from_one_that_hangs(
    context: BrowserContext, world: tuple[Writer, Running, str]
) -> None:
    writer, site, url = world
    tabs = [await tab(context, url) for _ in range(3)]
    debugger = await context.new_cdp_session(tabs[0])
    await debugger.send("Debugger.enable")
    await debugger.send("Debugger.pause")  # its script stands still, its connection stays
    await writer.chain(chain(height=954_211))
    for page in tabs[1:]:
        await tip(page, "954,211", limit=15)
        await live(page)
    await debugger.send("Debugger.resume")
    await live(tabs[0])
    await tip(tabs[0], "954,211")
    await until(lambda: site.site.push_clients == 1, 10)  # two were right for a while, now it is one again


async def test_a_tab_takes_over_from_one_that_crashed(
    context: BrowserContext, world: tuple[Writer, Running, str]
) -> None:
    writer, site, url = world
    first, second = [await tab(context, url) for _ in range(2)]
    with contextlib.suppress(Error):
        await first.goto("chrome://crash", timeout=2_000)
    await writer.chain(chain(height=954_211))
    await tip(second, "954,211", limit=15)
    await live(second)
    assert site.site.push_clients == 1


async def test_hidden_tabs_hold_no_connection(context: BrowserContext, world: tuple[Writer, Running, str]) -> None:
    writer, site, url = world
    first, second = [await tab(context, url) for _ in range(2)]
    await first.evaluate("hide(true)")
    await until(lambda: site.site.push_clients == 1)
    await writer.chain(chain(height=954_211))
    await tip(second, "954,211")
    await tip(first, "954,210")
    await second.evaluate("hide(true)")
    await until(lambda: site.site.push_clients == 0)
    await writer.chain(chain(height=954_212))
    await first.evaluate("hide(false)")
    await tip(first, "954,212")
    await live(first)
    await tip(second, "954,211")
    assert site.site.push_clients == 1


async def test_going_back_restores_a_live_page(context: BrowserContext, world: tuple[Writer, Running, str]) -> None:
    writer, site, url = world
    page = await tab(context, url)
    await page.evaluate("addEventListener('pageshow', (event) => (window.restored = event.persisted))")
    await page.goto(f"{url}/healthz")
    await until(lambda: site.site.push_clients == 0)
    await writer.chain(chain(height=954_211))
    await page.go_back(wait_until="commit")
    await page.wait_for_function("window.restored === true")  # as it was left, not loaded anew
    await tip(page, "954,211")
    await live(page)
    assert site.site.push_clients == 1

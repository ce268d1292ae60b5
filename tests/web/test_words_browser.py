"""German pages in a real Chromium: the script writes as the server does, and longer words find their room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from shared import redis
from support.browser import IN_BROWSER, opened
from support.series_samples import fill
from support.web_harness import Running, serving, until
from support.web_samples import Writer, chain
from web.pages.found import PAGES
from web.words import moments
from web.words.language import LANGUAGES, speaking

pytestmark = IN_BROWSER

PATHS: Final = [*(page.path for page in PAGES.values()), "/charts/tx-fees?range=1m", "/charts/difficulty?range=all"]


@pytest_asyncio.fixture(loop_scope="module")
async def world(valkey: str) -> AsyncIterator[tuple[Writer, Running]]:
    """(writer, site) with a full state and a history."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await fill(writer.redis, writer.keys, blocks=3_000, mempool_days=3)
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    async with serving(valkey) as running:
        await running.ready()
        await until(lambda: running.site.state.changes["history"])
        yield writer, running
    await client.aclose()


async def test_what_changes_is_german(browser: Browser, world: tuple[Writer, Running]) -> None:
    writer, site = world
    page = await opened(browser, site.url, language="de-DE")
    await expect(page.locator("#dot .dot-text")).to_have_text("Live")
    await expect(page.locator("#theme")).to_have_text("Dunkel")
    await page.evaluate("window.same = true")
    await writer.chain(chain(height=954_211, age=2))
    await expect(page.locator("#card-height .n")).to_have_text("954.211")
    await expect(page.locator("#card-height .under")).to_contain_text("Letzter Block vor ")
    assert await page.evaluate("window.same") is True
    assert page.complaints == []  # type: ignore[attr-defined]
    await page.context.close()


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda language: language.tag)
async def test_the_script_counts_on_in_the_servers_words(
    browser: Browser, world: tuple[Writer, Running], language: Any
) -> None:
    _, site = world
    page = await opened(browser, f"{site.url}/api", language=language.html)
    module = await page.evaluate("document.querySelector(\"link[href*='/ages.']\").href")
    ages = [0, 1, 59, 60, 3_599, 3_600, 7_265, 86_400, 90_061, 31_556_952, 31_556_952 + 86_400, 17 * 31_556_952 + 7_300]
    shown = await page.evaluate(
        """async ([url, ages]) => {
            const { tick } = await import(url);
            const { now } = await import(document.querySelector("link[href*='/clock.']").href);
            const at = now() / 1000 - 0.3;
            return ages.map((age) => {
                const root = document.createElement("div");
                return ["ago", "since", "until"].map((kind) => {
                    const moment = new Date((at + (kind === "until" ? age + 1 : -age)) * 1000).toISOString();
                    root.innerHTML = `<time datetime="${moment}" data-${kind}></time>`;
                    tick(root);
                    return root.textContent;
                });
            });
        }""",
        [module, ages],
    )
    with speaking(language):
        for age, (ago, since, until_then) in zip(ages, shown, strict=True):
            assert ago in {moments.age(age + late) for late in (0, 0.5, 1, 1.5)}
            assert since in {moments.long_duration(age + late) for late in (0, 1)}
            assert until_then in {
                str(moments.until(1_000_000_000 + age + early, 1_000_000_000).striptags()) for early in (-1, 0, 0.5, 1)
            }
    await page.context.close()


@pytest.mark.parametrize("width", [360, 1280])
async def test_longer_words_find_their_room(browser: Browser, world: tuple[Writer, Running], width: int) -> None:
    writer, site = world
    for path in PATHS:
        await writer.all_well()
        page = await opened(browser, site.url + path, width=width, language="de-DE")
        assert await page.evaluate("document.documentElement.lang") == "de"
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        cut = await page.evaluate(
            """() => [...document.querySelectorAll("main *, header *, footer *")]
                .filter((e) => e.children.length === 0 && e.textContent.trim() && e.offsetParent
                    && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline"
                    && !e.closest("pre, thead, .sr, svg, .dot, .skip") && e.clientWidth > 1)
                .map((e) => `${e.className} ${e.textContent.trim().slice(0, 60)}`)"""
        )
        assert cut == [], path
        await page.context.close()


async def test_a_reader_chooses_without_a_script(browser: Browser, world: tuple[Writer, Running]) -> None:
    _, site = world
    page = await opened(browser, f"{site.url}/charts/tx-fees?range=1w", script=False)
    await page.get_by_role("link", name="Deutsch").click()
    assert page.url == f"{site.url}/charts/tx-fees?range=1w"
    await expect(page.locator("h1")).to_have_text("Transaktionsgebühren")
    await expect(page.get_by_role("link", name="Deutsch")).to_have_attribute("aria-current", "true")
    await page.goto(site.url)  # and it is remembered
    await expect(page.locator("#title-height")).to_have_text("Blockhöhe")
    await page.context.close()


async def test_a_tab_that_was_open_stays_in_its_language(browser: Browser, world: tuple[Writer, Running]) -> None:
    writer, site = world
    page = await opened(browser, site.url)
    other = await page.context.new_page()
    await other.goto(f"{site.url}/language?to=de&from=/")
    await expect(other.locator("#title-height")).to_have_text("Blockhöhe")
    await page.bring_to_front()
    await writer.chain(chain(height=954_212, age=2))
    await expect(page.locator("#card-height .n")).to_have_text("954,212")
    await expect(page.locator("#title-height")).to_have_text("Block height")
    await expect(other.locator("#card-height .n")).to_have_text("954.212")
    await page.context.close()

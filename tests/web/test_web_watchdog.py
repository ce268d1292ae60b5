"""An open page says within 20 s that what it shows has aged: by the server's clock, whoever fell silent."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from local_run.ports import pick
from shared import redis
from shared.views import TipView
from support.browser import IN_BROWSER, opened
from support.web_harness import Running, serving, until
from support.web_process import answers, process
from support.web_samples import Writer, health
from support.well_being import WellBeing, well

CLOCK = """
    const ahead = { wall: 0 };
    const real = Date;
    globalThis.Date = class extends real {
        constructor(...how) {
            super(...(how.length ? how : [real.now() + ahead.wall]));
        }
        static now() {
            return real.now() + ahead.wall;
        }
    };
    window.clock = ahead;
"""
"""Puts the visitor's wall clock wherever a test wants it."""

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(loop_scope="module")
async def writer(valkey: str) -> AsyncIterator[Writer]:
    """A full state in Valkey."""
    client = redis.connect(valkey)
    await client.flushall()
    made = Writer(client)
    await made.chain()
    await made.mempool()
    yield made
    await client.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def being(writer: Writer) -> AsyncIterator[WellBeing]:
    async with well(writer) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def site(valkey: str, being: WellBeing) -> AsyncIterator[Running]:
    async with serving(valkey) as running:
        await running.ready()
        yield running


async def state(page: Page, wanted: str, limit: float) -> None:
    await expect(page.locator("#dot")).to_have_attribute("data-state", wanted, timeout=limit * 1000)


def aged(page: Page, card: str) -> Any:
    return page.locator(f"#card-{card} > .as-of")


async def seconds_old(page: Page, where: str) -> float:
    """What the page says how long ago its first time at this place was."""
    text = await page.locator(f"{where} time").first.inner_text()
    if text == "just now":
        return 0
    found = re.fullmatch(r"(\d+) (s|min|h)(?: \d+ \w+)?(?: ago)?", text)
    assert found, text
    return int(found[1]) * {"s": 1, "min": 60, "h": 3600}[found[2]]


async def test_a_web_that_is_frozen_is_told_within_seconds(
    browser: Browser, valkey: str, writer: Writer, being: WellBeing
) -> None:
    port = pick()[0]
    async with process(valkey, port) as web:
        await answers(f"http://127.0.0.1:{port}/readyz")
        page = await opened(browser, f"http://127.0.0.1:{port}")
        chart = await opened(browser, f"http://127.0.0.1:{port}/charts")
        await expect(page.locator(".as-of")).to_have_count(0)
        web.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            await state(page, "stale", 26)
            told = time.monotonic() - stopped
            await state(chart, "stale", 5)
            await expect(page.locator("#dot")).to_contain_text("server silent")
            await expect(page.locator("#silent")).to_be_visible()
            for card in ("height", "backlog", "strip"):
                await expect(aged(page, card)).to_have_text(re.compile(r"^as of \d+ s ago$"))
            assert await seconds_old(page, '#card-foot [data-truth="mempool"]') >= 20
            before = await seconds_old(page, "#dot")
            await expect(page.locator("#dot time")).to_have_text(f"{before + 3:g} s")  # it goes on
        finally:
            web.send_signal(signal.SIGCONT)
        goes_on = time.monotonic()
        await state(page, "live", 10)
        print(f"frozen: stale after {told:.1f} s; live {time.monotonic() - goes_on:.1f} s after it went on")
        await expect(page.locator(".as-of")).to_have_count(0)
        await expect(page.locator("#silent")).to_be_hidden()
        await chart.context.close()
        await page.context.close()


async def test_figures_that_the_node_no_longer_confirms_age(browser: Browser, site: Running, being: WellBeing) -> None:
    page = await opened(browser, site.url)
    being.confirmed.discard("mempool")
    await state(page, "stale", 32)  # 20 s, and up to a reading and a pulse
    await expect(page.locator("#dot")).to_contain_text("mempool unconfirmed for")
    await expect(page.locator("#dot")).to_have_attribute("title", re.compile("The node has confirmed nothing"))
    for card in ("next_fee", "backlog", "strip", "histogram"):
        await expect(aged(page, card)).to_have_text(re.compile(r"^as of \d+ s ago$"))
    for card in ("height", "halving", "price"):
        await expect(aged(page, card)).to_have_count(0)
    assert await seconds_old(page, '#card-foot [data-truth="mempool"]') >= 20
    assert await seconds_old(page, '#card-foot [data-truth="chain"]') < 15
    being.confirmed.add("mempool")
    await state(page, "live", 10)
    await expect(page.locator(".as-of")).to_have_count(0)
    await page.context.close()


async def test_a_silent_node_is_named_and_its_charts_age(
    browser: Browser, site: Running, writer: Writer, being: WellBeing
) -> None:
    being.confirmed.clear()
    for domain in ("chain", "mempool"):
        await writer.confirm(domain, age=190)
    being.trouble = health("chain-ingest", "degraded", reason="The node at 127.0.0.1:8332 does not answer")
    await being.tell()
    await until(lambda: "does not answer" in site.site.state.pulse()["node"])
    context = await browser.new_context()
    page, chart = [await context.new_page() for _ in range(2)]
    await page.goto(site.url)
    await chart.goto(f"{site.url}/charts")
    await state(page, "stale", 5)
    await expect(page.locator("#dot")).to_contain_text("node silent for 3 min")
    await expect(page.locator("#dot")).to_have_attribute("title", re.compile(r"node at \[address\] does not answer"))
    await expect(aged(page, "height")).to_have_text("as of 3 min ago")
    await state(chart, "stale", 5)
    # without a script, the server says it
    plain = await opened(browser, site.url, script=False)
    await expect(aged(plain, "height")).to_have_text("as of 3 min ago")
    await plain.context.close()
    await context.close()


async def test_what_was_never_confirmed_is_waited_for(
    browser: Browser, valkey: str, writer: Writer, being: WellBeing
) -> None:
    being.confirmed.clear()
    await being.tell()
    await writer.redis.delete(writer.keys.confirmed("chain"), writer.keys.confirmed("mempool"))
    async with serving(valkey) as running:
        await running.ready()
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(running.url)
        await state(page, "waiting", 5)
        await expect(aged(page, "height")).to_have_text("not confirmed by the node")
        being.confirmed.update(("chain", "mempool"))
        await state(page, "live", 10)
        await expect(page.locator(".as-of")).to_have_count(0)
        await context.close()


async def test_a_service_that_is_missing_is_not_the_nodes_fault(browser: Browser, valkey: str) -> None:
    """The node confirms the chain; of the mempool there is nothing since its service was never started."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await writer.chain()
    await writer.health(health("chain-ingest"), health("chain-metrics"), health("web"))
    async with serving(valkey) as running:
        await until(lambda: running.site.state.snapshot[TipView] and running.site.state.notices)
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(running.url)
        await state(page, "stale", 5)
        await expect(page.locator("#dot")).to_contain_text("mempool is not running")
        await context.close()
    await client.aclose()


async def test_a_page_from_the_browsers_own_store_does_not_pass_for_fresh(
    browser: Browser, valkey: str, writer: Writer, being: WellBeing
) -> None:
    """An hour later somebody goes back, and web is away: the browser shows what it kept."""
    context = await browser.new_context()
    await context.add_init_script(CLOCK + "ahead.wall = Number(sessionStorage.getItem('ahead'));")
    page = await context.new_page()
    async with serving(valkey) as running:
        await running.ready()
        await page.goto(running.url)
        await state(page, "live", 5)
        await page.goto(f"{running.url}/healthz")
        await page.evaluate("sessionStorage.setItem('ahead', 3600000)")
    await page.go_back(wait_until="commit")
    await expect(aged(page, "height")).to_have_text(re.compile("^as of 1 h ago$"), timeout=5_000)
    await state(page, "stale", 1)
    assert await seconds_old(page, '#card-foot [data-truth="mempool"]') >= 3_600
    await context.close()


@pytest.mark.parametrize("ahead", [3_600_000, -3_600_000])
async def test_the_visitors_own_clock_tells_nothing(browser: Browser, site: Running, ahead: int) -> None:
    context = await browser.new_context()
    await context.add_init_script(CLOCK + f"ahead.wall = {ahead};")
    page = await context.new_page()
    await page.goto(site.url)
    await state(page, "live", 5)
    await expect(page.locator(".as-of")).to_have_count(0)
    now = await page.evaluate("Date.now()")
    assert abs(now - ahead - datetime.now(UTC).timestamp() * 1000) < 5_000
    block = datetime.fromisoformat(str(await page.locator("#card-height time").get_attribute("datetime")))
    minutes = (datetime.now(UTC) - block).total_seconds() // 60
    await expect(page.locator("#card-height time")).to_have_text(re.compile(f"^({minutes:g}|{minutes + 1:g}) min ago$"))
    assert await seconds_old(page, '#card-foot [data-truth="mempool"]') < 15
    await context.close()


async def test_a_laptop_that_slept_wakes_up_stale(browser: Browser, site: Running) -> None:
    context = await browser.new_context()
    await context.add_init_script(CLOCK)
    page = await context.new_page()
    await page.goto(site.url)
    await state(page, "live", 5)
    await context.set_offline(True)  # the network is not there yet either
    await page.evaluate("clock.wall += 8 * 3600 * 1000")  # the steady clock stood still meanwhile
    await expect(aged(page, "height")).to_have_text(re.compile("^as of 8 h ago$"), timeout=8_000)
    await state(page, "stale", 1)
    await context.set_offline(False)
    await state(page, "live", 15)
    await expect(page.locator(".as-of")).to_have_count(0)
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_everyone_can_tell_what_has_aged(
    browser: Browser, site: Running, writer: Writer, being: WellBeing, width: int, scheme: Any
) -> None:
    being.confirmed.clear()
    for domain in ("chain", "mempool"):
        await writer.confirm(domain, age=190)
    context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = await context.new_page()
    await page.goto(site.url)
    await state(page, "stale", 5)
    cut = "(words) => words.scrollWidth > words.clientWidth"
    assert not await page.locator(".dot-words").evaluate(cut)
    await page.evaluate("document.getElementById('silent').hidden = false")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    # in one go, since the page itself hides the notice again as soon as it looks
    before, after = await page.evaluate("""() => {
        const cards = [...document.querySelectorAll("main section")];
        const places = () => cards.map(card => JSON.stringify(card.getBoundingClientRect()));
        const before = places();
        document.querySelectorAll(".as-of").forEach(e => e.remove());
        return [before, places()];
    }""")
    assert before
    assert after == before  # a mark moves nothing
    await expect(aged(page, "height")).to_have_count(1)
    assert await page.locator("[role=status] time").count() == 0  # nobody is told each second
    violations = (await Axe().run(page)).response["violations"]
    assert [(found["id"], [node["html"][:120] for node in found["nodes"][:3]]) for found in violations] == []
    site.site.dismiss()
    await state(page, "reconnecting", 5)
    assert not await page.locator(".dot-words").evaluate(cut)
    await context.close()

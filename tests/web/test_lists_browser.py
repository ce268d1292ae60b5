"""Lists in a browser: sorted in place by the keys the server sorts by, kept current without a jump, usable by all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, Request, expect

from shared import redis
from shared.domains import MARKETCAP
from shared.views import HistoryView
from support.browser import IN_BROWSER, opened
from support.ranking_samples import Rankings, rates
from support.series_samples import fill
from support.web_harness import Running, serving, until
from support.web_samples import Writer

pytestmark = IN_BROWSER

PATHS = (
    "/market-cap?currency=EUR", "/market-cap/coins", "/market-cap/companies", "/market-cap/commodities",
    "/market-cap/currencies", "/treasuries/companies?currency=SEK", "/treasuries/countries", "/treasuries/funds",
    "/network/nodes",
)  # fmt: skip
ROWS = "[...document.querySelectorAll('table[data-whole] tbody tr')].map(row => row.dataset.key)"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(valkey: str) -> AsyncIterator[tuple[Writer, Running, Rankings]]:
    """(writer, site, rankings) at a price of $ 100,000, of which two holders have said their cost, and a history."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await fill(writer.redis, writer.keys, blocks=3_000, mempool_days=1)
    rankings = Rankings(writer, MSTR=48_000_000_000, MARA=8_000_000_000)
    async with serving(valkey) as running:
        await well(writer, rankings)
        await running.ready()
        await until(lambda: running.site.state.snapshot.has(MARKETCAP.name))
        await until(lambda: running.site.state.snapshot[HistoryView])
        yield writer, running, rankings
    await client.aclose()


async def well(writer: Writer, rankings: Rankings) -> None:
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    await rates(writer)
    await rankings.at(100_000)


@pytest_asyncio.fixture(loop_scope="module")
async def site(world: tuple[Writer, Running, Rankings]) -> Running:
    """All well as of now."""
    await well(world[0], world[2])
    return world[1]


async def rows(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(ROWS)
    return found


async def served(url: str) -> str:
    """The rows that the server shows at an address, by their keys, and its links."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200, url
        return await response.text()


def asked_for(page: Page) -> list[str]:
    """Pages that it loads from now on."""
    found: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type in ("document", "fetch"):
            found.append(request.url)

    page.on("request", note)
    return found


async def dragged(page: Page, plain: Page, selector: str) -> None:
    """A click on one page sorts as the server does for another one that has no script."""
    await page.locator(selector).click()
    async with plain.expect_navigation():
        await plain.locator(selector).click()
    assert page.url == plain.url
    assert await rows(page) == await rows(plain)
    for one in ("th[aria-sort]", "th[aria-sort] a"):
        assert await page.locator(one).count() == 1
    heads = "[...document.querySelectorAll('thead th')].map(head => [head.ariaSort, head.querySelector('a')?.href])"
    assert await page.evaluate(heads) == await plain.evaluate(heads)


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("/market-cap", ("name", "name", "change", "change", "price", "value", "value")),
        ("/market-cap?currency=EUR", ("price", "price", "name")),
        ("/treasuries/companies", ("gain", "gain", "date", "name", "bitcoin", "bitcoin")),
        ("/network/miners?range=1m", ("name", "fees", "fees", "blocks", "fullness")),
    ],
)
async def test_a_click_sorts_as_the_server_does_without_asking_it(
    browser: Browser, site: Running, path: str, columns: tuple[str, ...]
) -> None:
    page, plain = await opened(browser, site.url + path), await opened(browser, site.url + path, script=False)
    asked = asked_for(page)
    for column in columns:
        await dragged(page, plain, f"#sort-{column}")
    assert asked == []
    shown = await rows(page)
    await page.reload()
    assert await rows(page) == shown
    assert page.complaints == []  # type: ignore[attr-defined]
    for one in (page, plain):
        await one.context.close()


async def test_what_is_not_known_comes_last_both_ways(browser: Browser, site: Running) -> None:
    page = await opened(browser, f"{site.url}/treasuries/companies")
    known, by_bitcoin = {"Strategy MSTR US", "MARA MARA US"}, await rows(page)
    for _ in range(2):
        await page.locator("#sort-gain").click()
        found = await rows(page)
        assert set(found[:2]) == known
        assert found[2:] == [one for one in by_bitcoin if one not in known], "as they are without an order"
    await page.context.close()


async def test_clicks_that_mean_something_else_are_left_alone(browser: Browser, site: Running) -> None:
    page = await opened(browser, f"{site.url}/market-cap/coins")
    before = await rows(page)
    async with page.context.expect_page() as opening:
        await page.locator("#sort-name").click(modifiers=["ControlOrMeta"])
    tab = await opening.value
    await tab.wait_for_load_state()
    assert tab.url.endswith("/market-cap/coins?sort=name")
    assert await rows(page) == before
    assert page.url.endswith("/market-cap/coins")
    await page.context.close()


async def test_a_table_without_all_its_rows_is_sorted_by_the_server(browser: Browser, site: Running) -> None:
    page = await opened(browser, f"{site.url}/market-cap/coins")
    await page.evaluate("document.querySelector('table[data-whole]').removeAttribute('data-whole'); window.same = true")
    await page.locator("#sort-name").click()
    await page.wait_for_url("**/market-cap/coins?sort=name")
    await expect(page.locator("table[data-whole]")).to_be_visible()
    assert await page.evaluate("window.same") is None
    await page.context.close()


async def test_choices_lead_back_to_what_is_shown(browser: Browser, site: Running) -> None:
    page = await opened(browser, f"{site.url}/market-cap/coins?currency=EUR")
    await page.locator("#sort-name").click()
    await page.locator("a[hreflang=de]").click()
    await page.wait_for_url("**/market-cap/coins?currency=EUR&sort=name")
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    shown = await rows(page)
    await page.locator("details.currencies summary").click()
    await page.locator("details.currencies a", has_text="SEK").click()
    await page.wait_for_url("**/market-cap/coins?sort=name")
    await expect(page.locator("tbody tr[data-key=bitcoin]")).to_contain_text("SEK")
    assert await rows(page) == shown
    await page.context.close()


# --- live ------------------------------------------------------------------------------------------------


async def test_a_new_price_shows_by_itself_and_nothing_jumps(
    browser: Browser, site: Running, world: tuple[Writer, Running, Rankings]
) -> None:
    page = await opened(browser, f"{site.url}/market-cap")
    row = page.locator("tbody tr[data-key=bitcoin]")
    await expect(row).to_contain_text("$100,000")
    await page.evaluate("window.scrollTo(0, 900)")
    await row.locator("summary").click()
    kept = """() => [
              scrollY, document.querySelector('tr[data-key=bitcoin] details').open, document.activeElement.tagName,
              document.querySelector('.treemap-room').getBoundingClientRect().top,
              document.querySelector('tr[data-key="coin:ETH"]') === window.ether]"""
    await page.evaluate("window.ether = document.querySelector('tr[data-key=\"coin:ETH\"]')")
    before, order = await page.evaluate(kept), await rows(page)
    await world[2].at(350_000)  # from the eleventh place to a higher one
    await expect(row).to_contain_text("$350,000")
    after = await rows(page)
    assert after.index("bitcoin") < order.index("bitcoin")
    assert sorted(after) == sorted(order)
    assert await page.evaluate(kept) == before
    assert before[1:3] == [True, "SUMMARY"]
    assert page.complaints == []  # type: ignore[attr-defined]
    await page.context.close()


async def test_the_order_that_a_reader_chose_stays(
    browser: Browser, site: Running, world: tuple[Writer, Running, Rankings]
) -> None:
    page = await opened(browser, f"{site.url}/market-cap?currency=EUR")
    await page.locator("#sort-name").click()
    await page.locator("#sort-name").click()
    chosen, address = await rows(page), page.url
    await page.evaluate("""() => {
        window.seen = new Set();
        const look = () => {
            window.seen.add(document.querySelector('tbody tr').dataset.key);
            requestAnimationFrame(look);
        };
        look();
    }""")
    await world[2].at(400_000)
    await expect(page.locator("tbody tr[data-key=bitcoin]")).to_contain_text("€320,000")
    assert await rows(page) == chosen
    assert page.url == address
    assert await page.evaluate("[...window.seen]") == [chosen[0]], "no frame showed another order"
    await expect(page.locator("#sort-name")).to_be_visible()
    assert await page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    html = await served(address)
    assert html.index('data-key="bitcoin"', html.index("<tbody>")) > 0
    fresh = await opened(browser, address, script=False)
    assert await rows(fresh) == chosen
    for one in (page, fresh):
        await one.context.close()


@pytest.mark.parametrize("path", ["/treasuries/funds", "/market-cap/coins"])
async def test_a_list_sorted_by_price_follows_it(
    browser: Browser, site: Running, world: tuple[Writer, Running, Rankings], path: str
) -> None:
    page = await opened(browser, site.url + path)
    await page.evaluate("window.same = true")
    await expect(page.locator("main")).to_contain_text("$100,000" if "market" in path else "$77.5 bn")
    await world[2].at(200_000)
    await expect(page.locator("main")).to_contain_text("$200,000" if "market" in path else "$155 bn")
    assert await page.evaluate("window.same") is True
    await page.context.close()


async def test_a_feed_that_fell_silent_is_marked(
    browser: Browser, site: Running, world: tuple[Writer, Running, Rankings]
) -> None:
    await world[2].confirm(age=60)
    for path in ("/market-cap", "/treasuries/funds", "/network/nodes"):
        page = await opened(browser, site.url + path)
        await expect(page.locator("section[data-domain~=marketcap] > .as-of").first).to_contain_text("as of 1 min")
        await page.context.close()
    await world[2].confirm()
    page = await opened(browser, f"{site.url}/network/nodes")
    await expect(page.locator("section[data-domain=marketcap]").first).to_be_visible()
    # a pulse every five seconds tells it, of what was read within two
    await expect(page.locator("section[data-domain=marketcap] > .as-of")).to_have_count(0, timeout=15_000)
    await page.context.close()


# --- for everyone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
async def test_nothing_scrolls_sideways_and_no_label_is_cut(
    browser: Browser, site: Running, path: str, language: str
) -> None:
    page = await opened(browser, site.url + path, width=360, language=language)
    for width in (1280, 1110, 910, 768, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        wide = await page.evaluate(
            """(width) => [...document.querySelectorAll('main *, header *')]
                .filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest('thead, svg'))
                .map(e => e.outerHTML.slice(0, 80))""",
            width,
        )
        assert wide == [], width
        cut = await page.evaluate(
            """() => [...document.querySelectorAll('.treemap text')].filter(e => e.getClientRects().length)
                .filter(e => e.getBoundingClientRect().right > e.parentNode.querySelector('rect')
                    .getBoundingClientRect().right + 1).map(e => e.textContent)"""
        )
        assert cut == [], width
    assert page.complaints == []  # type: ignore[attr-defined]
    await page.context.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everyone_can_use_it(browser: Browser, site: Running, path: str, scheme: str) -> None:
    page = await opened(browser, site.url + path, scheme=scheme)
    only = {} if scheme == "light" else {"runOnly": ["color-contrast"]}  # the rest is the same in both
    results = await Axe().run(page, options=only)
    assert [violation["id"] for violation in results.response["violations"]] == []
    await page.context.close()

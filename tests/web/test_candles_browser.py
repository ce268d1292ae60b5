"""Candles in a real Chromium: drawn on the canvas, read under the cursor, switched, kept by zoom and scale."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from shared import redis
from shared.price_records import BAR, Bar
from shared.prices import MILLION, NUMBERS
from shared.series import HOUR, PRICE_HOURS
from support import series_samples
from support.browser import IN_BROWSER, opened
from support.web_harness import Running, serving
from support.web_samples import Writer
from web.charts.data.prices import Priced
from web.charts.drawing import candles, units

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(loop_scope="module")
async def world(valkey: str) -> AsyncIterator[tuple[Writer, Running]]:
    """(writer, web) with prices since 2010."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await series_samples.fill_prices(writer.redis, writer.keys, int(time.time()))
    await writer.chain()
    await writer.mempool()
    await writer.all_well()  # last: services are silent from now on
    async with serving(valkey) as running:
        await running.ready()
        yield writer, running
    await client.aclose()


def complaints(page: Page) -> list[str]:
    found: list[str] = page.complaints  # type: ignore[attr-defined] # support.browser puts it there
    return found


async def drawn(browser: Browser, url: str, **how: Any) -> Page:
    """A page whose figures the script has drawn."""
    page = await opened(browser, url, **how)
    await expect(page.locator("body[data-drawn]")).to_have_count(1)
    return page


async def over(page: Page, share: float) -> None:
    """Move the mouse over the plot, so far from its left."""
    plot = page.locator(".u-over")
    await plot.scroll_into_view_if_needed()
    box = await plot.bounding_box()
    assert box
    await page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)


async def shown_values(page: Page) -> dict[str, str]:
    """What the legend tells, by line."""
    lines: dict[str, str] = await page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('[data-line]')].map(e =>
            [e.dataset.line, e.querySelector('.key-value').textContent.replaceAll('\\u00a0', ' ')]))"""
    )
    return lines


@pytest.mark.parametrize("width", [1280, 360])
async def test_candles_are_read_under_the_cursor_as_they_are_drawn(
    browser: Browser, world: tuple[Writer, Running], width: int
) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/price?range=1w&style=candles", width=width)
    chart = await site.site.charts.asked("price", {"range": "1w", "style": "candles"})
    [figure] = chart.figures
    assert figure.candles
    rows = candles.of(figure.lines)
    newest = await shown_values(page)
    assert newest == told(rows[-1])
    seconds = figure.candles.seconds if width > 600 else figure.candles.narrow
    as_drawn = rows if width > 600 else candles.merged(rows, figure.candles)
    wanted = chart.start + (chart.end - chart.start) * 0.4
    await over(page, 0.4)
    await expect(page.locator(".legend")).to_contain_text("Under the cursor")
    [under] = [one for one in as_drawn if one.time <= wanted < one.time + seconds]
    assert await shown_values(page) == told(under)
    await page.mouse.move(5, 5)
    await page.locator(".plot").focus()
    for back in (1, 2, 3):  # from candle to candle
        await page.keyboard.press("ArrowLeft")
        assert await shown_values(page) == told(as_drawn[-back])
    await page.keyboard.press("Escape")
    assert await shown_values(page) == newest
    assert complaints(page) == []
    await page.context.close()


def told(one: Priced) -> dict[str, str]:
    values = {"open": one.open, "high": one.high, "low": one.low, "close": one.close}
    return {name: "not known" if value is None else str(units.quantity(value, "USD")) for name, value in values.items()}


async def test_a_candle_with_only_a_close_says_so_and_is_drawn_as_a_tick(
    browser: Browser, world: tuple[Writer, Running]
) -> None:
    writer, site = world
    now = int(site.site.state.now)
    hours = PRICE_HOURS["USD"]
    bare = BAR.pack(Bar(0, 0, 0, 40_000 * MILLION, NUMBERS["bitstamp"]))
    await series_samples.write(writer.redis, writer.keys, hours, now // HOUR - 200, (bare for _ in range(201)))
    page = await drawn(browser, f"{site.url}/charts/price?range=1w&style=candles")
    await over(page, 0.5)
    assert await shown_values(page) == {
        "open": "not known", "high": "not known", "low": "not known", "close": "40,000 USD",
    }  # fmt: skip
    await page.mouse.move(5, 5)
    there = await colours(page)
    assert not there["--up"]
    assert not there["--down"]
    assert complaints(page) == []
    await page.context.close()


async def colours(page: Page) -> dict[str, int]:
    """How many pixels of the plot have each colour of candles."""
    found: dict[str, int] = await page.evaluate(
        """() => {
            const canvas = document.querySelector('.plot canvas');
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return Object.fromEntries(['--up', '--down'].map(token => {
                const probe = document.createElement('i');
                probe.style.color = `var(${token})`;
                document.body.append(probe);
                const wanted = getComputedStyle(probe).color.match(/\\d+/g).join();
                probe.remove();
                let many = 0;
                for (let i = 0; i < pixels.length; i += 4) {
                    many += pixels[i + 3] === 255 && `${pixels[i]},${pixels[i + 1]},${pixels[i + 2]}` === wanted;
                }
                return [token, many];
            }));
        }"""
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_style_is_switched_in_place_and_kept_by_zoom_and_scale(
    browser: Browser, world: tuple[Writer, Running], scheme: str
) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/price?range=1m&currency=USD", scheme=scheme)
    assert not (await colours(page))["--up"]
    await page.locator("#style-candles").click()
    await expect(page.locator("#style-candles")).to_have_attribute("aria-current", "true")
    there = await colours(page)
    assert min(there.values()) > 100
    await page.locator("#scale-log").click()
    await expect(page.locator(".axis-units")).to_contain_text("logarithmic")
    plot = await page.locator(".u-over").bounding_box()
    assert plot
    await page.mouse.move(plot["x"] + plot["width"] * 0.3, plot["y"] + 60)
    await page.mouse.down()
    await page.mouse.move(plot["x"] + plot["width"] * 0.6, plot["y"] + 60, steps=4)
    await page.mouse.up()
    await expect(page.locator("#reset")).to_be_visible()
    query = {name: value for name, [value] in parse_qs(urlsplit(page.url).query).items()}
    assert (query["style"], query["scale"], query["currency"]) == ("candles", "log", "USD")
    await expect(page.locator("#style-candles")).to_have_attribute("aria-current", "true")
    await page.locator(".u-over").dblclick()
    await expect(page.locator("#reset")).to_have_count(0)
    assert parse_qs(urlsplit(page.url).query)["style"] == ["candles"]
    await page.locator("#style-line").click()
    await expect(page.locator('[data-line="price"]')).to_be_visible()
    assert not (await colours(page))["--up"]
    assert complaints(page) == []
    await page.context.close()

"""Charts in a real Chromium: drawn anew in their place, read under the cursor, zoomed, switched, kept current."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, Request, Route, expect

from shared import redis
from shared.views import HistoryView
from support import series_samples
from support.browser import IN_BROWSER, opened
from support.chart_pages_samples import NOW, Shelf, empty, partial
from support.web_harness import serving, until
from support.web_samples import Writer
from support.well_being import well
from web.charts.chart import Chart
from web.charts.drawing import axis, units
from web.charts.metrics import METRICS
from web.charts.serving.store import Charts
from web.http.answers import Unavailable
from web.words.language import LANGUAGES, Language, speaking

PATHS = ["/charts", *(f"/charts/{name}" for name in METRICS)]
DRAWN = "body[data-drawn]"
FITS = """() => [...document.querySelectorAll('.plot canvas')].every(canvas => {
    const [drawn, box] = [canvas, canvas.closest('.plot')].map(e => e.getBoundingClientRect());
    return Math.abs(drawn.width - box.width) < 1 && Math.abs(drawn.height - box.height) < 1;
})"""

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(loop_scope="module")
async def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf()
    monkeypatch.setattr(Charts, "chart", lambda self, metric, span, style="": shelf.chart(metric, span))
    return shelf


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(valkey: str) -> AsyncIterator[tuple[Writer, Any]]:
    """(writer, site) with a full state, and all well; charts are whatever is patched in, or what Valkey holds."""
    client = redis.connect(valkey)
    await client.flushall()
    writer = Writer(client)
    await writer.chain()
    await writer.mempool()
    async with well(writer), serving(valkey) as running:
        await running.ready()
        yield writer, running
    await client.aclose()


def complaints(page: Page) -> list[str]:
    found: list[str] = page.complaints  # type: ignore[attr-defined] # support.browser puts it there
    return found


async def drawn(browser: Browser, url: str, **how: Any) -> Page:
    """A page whose figures the script has drawn."""
    page = await opened(browser, url, **how)
    await expect(page.locator(DRAWN)).to_have_count(1)
    return page


async def places(page: Page) -> Any:
    """Where everything in the content stands."""
    return await page.evaluate(
        """() => [...document.querySelectorAll('main .card, .legend li, .plot, .axis-units, main details, main dl')]
            .map(e => { const r = e.getBoundingClientRect(); return [e.className, r.x, r.y, r.width, r.height]; })"""
    )


async def over(page: Page, share: float, figure: str = "") -> None:
    """Move the mouse over the plot, so far from its left."""
    plot = page.locator(f'[data-figure="{figure}"] .u-over' if figure else ".u-over").first
    await plot.scroll_into_view_if_needed()
    box = await plot.bounding_box()
    assert box
    await page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)


@pytest.mark.parametrize(("metric", "width"), [*((name, 1280) for name in METRICS), ("tx-fees", 360)])
async def test_the_script_draws_in_the_same_place(
    browser: Browser, world: tuple[Any, Any], shelf: Shelf, metric: str, width: int
) -> None:
    _, site = world
    context = await browser.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    let_go = asyncio.Event()

    async def hold(route: Route) -> None:
        await let_go.wait()
        await route.continue_()

    await page.route("**/api/v1/charts/**", hold)
    await page.goto(f"{site.url}/charts/{metric}")
    await expect(page.locator("#dot")).to_have_attribute("data-state", "live")
    figures = len((await shelf.chart(metric, site.site.charts.span(METRICS[metric], {}))).figures)
    await expect(page.locator("svg.drawing")).to_have_count(figures)
    before = await places(page)
    let_go.set()
    await expect(page.locator(DRAWN)).to_have_count(1)
    await expect(page.locator("svg.drawing")).to_have_count(0)
    await expect(page.locator(".plot .uplot canvas")).to_have_count(figures)
    assert await places(page) == before
    # What was a picture with words for who cannot see it still is.
    for plot in await page.locator(".plot").all():
        assert re.search(r"from .+ to .+, lowest", await plot.get_attribute("aria-label") or "")
    assert said == []
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_line_is_on_the_canvas_in_its_colour(
    browser: Browser, world: tuple[Any, Any], shelf: Shelf, scheme: str
) -> None:
    _, site = world
    for metric in METRICS:
        page = await drawn(browser, f"{site.url}/charts/{metric}", scheme=scheme)
        missing = await page.evaluate(
            """() => JSON.parse(document.getElementById('description').textContent).figures.flatMap(figure => {
                const card = document.querySelector(`[data-figure="${figure.name}"]`);
                const canvas = card.querySelector('canvas');
                const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                const there = new Set();
                for (let i = 0; i < pixels.length; i += 4) {
                    if (pixels[i + 3] === 255) there.add(`${pixels[i]},${pixels[i + 1]},${pixels[i + 2]}`);
                }
                return figure.lines.map(line => line.tint).filter(tint => {
                    const probe = document.createElement('i');
                    probe.style.color = `var(--${tint})`;
                    document.body.append(probe);
                    const wanted = getComputedStyle(probe).color.match(/\\d+/g).join();
                    probe.remove();
                    return !there.has(wanted);
                }).map(tint => `${figure.name} ${tint}`);
            })"""
        )
        assert missing == []
        await page.context.close()


async def test_the_legend_follows_the_cursor(browser: Browser, world: tuple[Any, Any], shelf: Shelf) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/hashrate?range=1y")
    legend = page.locator(".legend")
    newest = await legend.inner_text()
    chart = shelf.made["hashrate", "1y", 0]
    await over(page, 0.25)
    await expect(legend).to_contain_text("Under the cursor")
    wanted = chart.start + (chart.end - chart.start) * 0.25
    for line in chart.figures[0].lines:
        moment, value = min(line.points, key=lambda point: abs(point[0] - wanted))
        assert value is not None
        shown = page.locator(f'[data-line="{line.name}"] .key-value')
        assert (await shown.inner_text()).replace("\u00a0", " ") == str(units.quantity(value, line.unit))
        assert abs(moment - wanted) <= 43_200
    await page.mouse.move(5, 5)
    await expect(legend).to_have_text(re.compile("Newest"))
    assert await legend.inner_text() == newest  # to the letter as the server wrote it
    await page.locator(".plot").focus()
    for _ in range(3):
        await page.keyboard.press("ArrowLeft")
    third = chart.figures[0].lines[1].points[-3][1]
    assert third is not None
    shown = page.locator('[data-line="hashrate_7d"] .key-value')
    await expect(shown).to_have_text(str(units.quantity(third, "H/s")))
    await page.keyboard.press("Escape")
    assert await legend.inner_text() == newest
    assert complaints(page) == []
    await page.context.close()


@pytest.mark.parametrize("metric", METRICS)
async def test_the_script_writes_values_as_the_server_does(
    browser: Browser, world: tuple[Any, Any], shelf: Shelf, metric: str
) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/{metric}")
    for card in await page.locator(".figure:has(.plot)").all():
        legend = card.locator(".legend")
        newest = await legend.inner_text()
        await over(page, 0.5, await card.get_attribute("data-figure") or "")
        await expect(legend).to_contain_text("Under the cursor")
        await page.mouse.move(5, 5)
        await expect(legend).not_to_contain_text("Under the cursor")
        assert await legend.inner_text() == newest
        await legend.scroll_into_view_if_needed()
    await page.context.close()


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda language: language.tag)
async def test_axes_and_values_follow_one_rule(
    browser: Browser, world: tuple[Any, Any], shelf: Shelf, language: Language
) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/hashrate", language=language.html)
    dice = random.Random(7)
    most = {"": 15, "H/s": 21.5, "BTC": 7.3, "sat/vB": 5, "vB": 9, "%": 4, "tx": 7}  # powers of ten
    kinds = tuple(most)
    values = []
    for unit in kinds:
        values += [(10 ** dice.uniform(-3, most[unit]) * dice.choice((1, 1, -1)), unit) for _ in range(60)]
        values += [(0, unit), (1, unit), (999, unit), (1_000_000, unit)]
    spans = [(a := dice.randrange(1_231_006_505, NOW), a + round(10 ** dice.uniform(2, 8.7)), dice.choice((3, 5, 12)))
             for _ in range(200)]  # fmt: skip
    scales = []
    for _ in range(300):
        unit = dice.choice(kinds)
        low, high = sorted(10 ** dice.uniform(-5, most[unit]) for _ in range(2))
        scales.append((low, high, unit, dice.random() < 0.5, dice.random() < 0.3))
    module = await page.evaluate("document.querySelector(\"link[href*='/axis.']\").href")
    shown, moments, found = await page.evaluate(
        """async ([url, values, spans, scales]) => {
            const { quantity, times, scale } = await import(url);
            return [
                values.map(([value, unit]) => quantity(value, unit).join(' ').trim()),
                spans.map(([start, end, most]) => times(start, end, most)),
                scales.map(([low, high, unit, log, zero]) => {
                    const s = scale(low, high, unit, { log, zero: zero && !log });
                    return [s.unit, s.labels];
                }),
            ];
        }""",
        [module, values, spans, scales],
    )
    with speaking(language):
        different = [
            (value, unit, text, str(units.quantity(value, unit)))
            for (value, unit), text in zip(values, shown, strict=True)
            if text != str(units.quantity(value, unit))
        ]
        assert different == []
        for (start, end, count), ticks in zip(spans, moments, strict=True):
            expected = [f"{tick.label}\n{tick.context}".rstrip() for tick in axis.time_ticks(start, end, count)]
            assert [label for _, label in ticks] == expected
        for (low, high, unit, log, zero), (title, labels) in zip(scales, found, strict=True):
            scale = axis.scale(low, high, unit, log=log, from_zero=zero and not log)
            assert (title, labels) == (scale.unit, [tick.label for tick in scale.ticks])
    await page.context.close()


async def test_zoom_asks_the_server_for_finer_points(browser: Browser, world: tuple[Any, Any], shelf: Shelf) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/hashrate?range=5y")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url.removeprefix(site.url))

    page.on("request", note)
    await page.evaluate("window.same = true")
    await over(page, 0.48)
    await page.mouse.down()
    await over(page, 0.52)
    await page.mouse.up()
    await expect(page.locator("#reset")).to_be_visible()
    chart = shelf.made["hashrate", "5y", 0]
    length = chart.end - chart.start
    query = parse_qs(urlsplit(page.url).query)
    start, end = int(query["from"][0]), int(query["to"][0])
    assert abs(start - (chart.start + 0.48 * length)) < length / 100
    assert abs(end - (chart.start + 0.52 * length)) < length / 100
    assert f"/api/v1/charts/hashrate?from={start}&to={end}" in asked
    finer = shelf.made["hashrate", "", start]
    before, after = (shown.figures[0].lines[0].points for shown in (chart, finer))
    assert len(after) > 10 * len([moment for moment, _ in before if start <= moment <= end]) > 0
    await expect(page.locator(".zoomed")).to_contain_text(" to ")
    await expect(page.locator(".more a")).to_have_attribute("href", re.compile(f"from={start}&to={end}&format=csv"))
    await over(page, 0.5)
    await expect(page.locator(".moment time, .moment .key-value").first).not_to_be_empty()
    # The address can be shared, also without the range that it came from; without a script it shows the same span.
    shared = await drawn(browser, page.url.partition("&range=")[0])
    await shared.locator("#reset").click()
    await expect(shared.locator("#range-1y")).to_have_attribute("aria-current", "true")
    await shared.context.close()
    other = await opened(browser, page.url, script=False)
    assert await other.locator(".zoomed span").inner_text() == await page.locator(".zoomed span").inner_text()
    await other.context.close()
    await page.locator("#reset").click()
    await expect(page.locator("#reset")).to_have_count(0)
    assert parse_qs(urlsplit(page.url).query) == {"range": ["5y"]}
    await over(page, 0.4)
    await page.mouse.down()
    await over(page, 0.6)
    await page.mouse.up()
    await expect(page.locator("#reset")).to_be_visible()
    await page.locator(".u-over").dblclick()
    await expect(page.locator("#reset")).to_have_count(0)
    assert await page.evaluate("window.same") is True
    assert complaints(page) == []
    await page.context.close()


async def test_what_a_zoom_cannot_get_leaves_the_picture(
    browser: Browser, world: tuple[Any, Any], shelf: Shelf
) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/hashrate?range=5y")
    before = page.url

    def gone(chart: Chart) -> Chart:
        raise Unavailable("Redis does not answer.")

    shelf.change = gone
    await over(page, 0.4)
    await page.mouse.down()
    await over(page, 0.6)
    await page.mouse.up()
    await expect(page.locator("#trouble")).to_contain_text("The picture is as it was")
    assert page.url == before
    await expect(page.locator(".plot canvas")).to_have_count(1)
    await page.context.close()


async def test_the_scale_is_switched_without_a_reload(browser: Browser, world: tuple[Any, Any], shelf: Shelf) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/difficulty?range=all")
    await page.evaluate("window.same = true")
    linear = await page.evaluate("document.querySelector('canvas').toDataURL()")
    await page.locator("#scale-log").click()
    await expect(page.locator("#scale-log")).to_have_attribute("aria-current", "true")
    await expect(page.locator('[data-figure="difficulty"] .axis-units')).to_contain_text("logarithmic")
    assert parse_qs(urlsplit(page.url).query) == {"range": ["all"], "scale": ["log"]}
    assert await page.evaluate("document.querySelector('canvas').toDataURL()") != linear
    assert await page.evaluate("document.activeElement.id") == "scale-log"
    assert "scale=log" in (await page.locator("#range-5y").get_attribute("href") or "")
    await page.locator("#scale-linear").click()
    await expect(page.locator("#scale-linear")).to_have_attribute("aria-current", "true")
    await expect(page.locator(".plot canvas")).to_have_count(2)
    assert await page.evaluate("window.same") is True
    assert complaints(page) == []
    await page.context.close()


async def test_colours_and_size_follow_the_page(browser: Browser, world: tuple[Any, Any], shelf: Shelf) -> None:
    _, site = world
    page = await drawn(browser, f"{site.url}/charts/hashrate", scheme="light")
    light = await page.evaluate("document.querySelector('canvas').toDataURL()")
    await page.locator("#theme").click()
    await page.wait_for_function("before => document.querySelector('canvas').toDataURL() !== before", arg=light)
    for width in (768, 360, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.wait_for_function(FITS)
    assert complaints(page) == []
    await page.context.close()


async def test_new_points_appear_by_themselves(browser: Browser, world: tuple[Any, Any]) -> None:
    """On real series: a block comes, chain-history says so, and the picture and its words go on."""
    writer, site = world
    keys, client = writer.keys, writer.redis
    first = await series_samples.fill(client, keys, blocks=3_000, mempool_days=1)
    await until(lambda: site.site.state.snapshot[HistoryView] is not None)
    page = await drawn(browser, f"{site.url}/charts/tx-volume?range=1h")
    await page.evaluate("window.same = document.querySelector('canvas')")
    await page.locator("[data-figure] details summary").first.click()
    newest = page.locator(".moment .key-value").first
    before = await newest.inner_text()
    points = re.compile(r"/api/v1/charts/tx-volume\?range=1h$")
    async with page.expect_response(lambda answer: bool(points.search(answer.url)) and answer.status == 200):
        await series_samples.fill(client, keys, blocks=3_001, end=first.end + 240, mempool_days=1)
    await expect(newest).not_to_have_text(before)
    assert await page.evaluate("window.same === document.querySelector('canvas')")  # not drawn from nothing
    assert await page.locator("[data-figure] details").first.evaluate("e => e.open")
    assert complaints(page) == []
    await page.context.close()


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_scrolls_sideways_and_no_label_is_cut(
    browser: Browser, world: tuple[Any, Any], shelf: Shelf, path: str
) -> None:
    _, site = world
    for script in (True, False):
        page = await opened(browser, site.url + path, width=360, script=script)
        for details in await page.locator("main details").all():
            await details.evaluate("e => e.open = true")
        for width in (1110, 910, 768, 360):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            await page.wait_for_function(FITS)
            wide = await page.evaluate(
                """(width) => [...document.querySelectorAll('main *')].filter(e => {
                    const r = e.getBoundingClientRect();
                    const beside = r.width && (r.right > width + 1 || r.left < -1);
                    return beside && !e.closest('thead') && !e.closest('.marks');
                }).map(e => e.outerHTML.slice(0, 80))""",
                width,
            )
            assert wide == []
            touching = await page.evaluate(
                """() => [...document.querySelectorAll('svg.drawing')].flatMap(svg => {
                    const seen = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()])
                        .filter(([, r]) => r.width);
                    const across = (p, q) => p.left < q.right && q.left < p.right;
                    const along = (p, q) => p.top + 2 < q.bottom && q.top + 2 < p.bottom;
                    return seen.flatMap(([a, p], i) => seen.slice(i + 1)
                        .filter(([, q]) => across(p, q) && along(p, q)).map(([b]) => `${a} | ${b}`));
                })"""
            )
            assert touching == []
        await page.context.close()


@pytest.mark.parametrize(
    ("path", "scheme"), [*((path, "light") for path in PATHS), ("/charts", "dark"), ("/charts/tx-amount", "dark")]
)
async def test_everyone_can_use_it(
    browser: Browser, world: tuple[Any, Any], shelf: Shelf, path: str, scheme: str
) -> None:
    _, site = world
    page = await opened(browser, site.url + path, scheme=scheme)
    if path != "/charts":
        await expect(page.locator(DRAWN)).to_have_count(1)
    only = {} if scheme == "light" else {"runOnly": ["color-contrast"]}  # the rest is the same in both
    results = await Axe().run(page, context={"exclude": [["[data-part=tables] tr:nth-child(n+4)"]]}, options=only)
    found = [
        (violation["id"], violation["impact"], [node["html"][:120] for node in violation["nodes"][:3]])
        for violation in results.response["violations"]
    ]
    assert found == []
    await page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_lines_and_layers_stand_out_from_the_surface(
    browser: Browser, world: tuple[Any, Any], shelf: Shelf, scheme: str
) -> None:
    _, site = world
    page = await opened(browser, f"{site.url}/charts", scheme=scheme)
    weak = await page.evaluate(
        """() => {
            const colour = name => {
                const probe = document.createElement('i');
                probe.style.color = `var(--${name})`;
                document.body.append(probe);
                const parts = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
                probe.remove();
                const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
                const [r, g, b] = parts.map(v => linear(v / 255));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const surface = colour('surface');
            const names = [...'0123'].map(n => `c${n}`).concat([...'01234567'].map(n => `q${n}`));
            return names.map(name => {
                const [low, high] = [surface, colour(name)].sort((a, b) => a - b);
                return [name, (high + 0.05) / (low + 0.05)];
            }).filter(([, contrast]) => contrast < 3);
        }"""
    )
    assert weak == []
    await page.context.close()


async def test_it_is_useful_without_a_script(browser: Browser, world: tuple[Any, Any], shelf: Shelf) -> None:
    _, site = world
    page = await opened(browser, f"{site.url}/charts", script=False)
    await page.locator("a", has_text="Transaction fees").click()
    await expect(page.locator("svg.drawing")).to_have_count(3)
    await page.locator("#range-1y").click()
    await expect(page.locator("#range-1y")).to_have_attribute("aria-current", "true")
    await page.locator("#scale-log").click()
    await expect(page.locator(".axis-units").first).to_contain_text("logarithmic")
    await page.locator("details[data-rest=feerates] summary").click()
    await expect(page.locator("details[data-rest=feerates] tbody tr")).to_have_count(30)
    await expect(page.locator("button:visible:not([type=submit])")).to_have_count(0)
    await page.context.close()


async def test_sparse_and_empty_charts_are_drawn_too(browser: Browser, world: tuple[Any, Any], shelf: Shelf) -> None:
    _, site = world
    shelf.change = lambda chart: partial(chart.metric, chart.range)
    page = await drawn(browser, f"{site.url}/charts/tx-fees?range=1y")
    await expect(page.locator(".notice.gap")).to_contain_text("still being fetched")
    await over(page, 0.1, "feerates")
    assert complaints(page) == []
    await page.context.close()
    shelf.made.clear()
    shelf.change = lambda chart: empty(chart.metric, chart.range)
    page = await opened(browser, f"{site.url}/charts/tx-fees?range=1y", width=360)
    await expect(page.locator(".plot-absent")).to_have_count(3)
    assert complaints(page) == []
    await page.context.close()

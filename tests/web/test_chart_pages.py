"""The pages of the charts as the server draws them: words, pictures, links, tables, states, bytes."""

from __future__ import annotations

import gzip
import json
import re
import time
from dataclasses import replace
from html import unescape
from typing import Any

import aiohttp
import pytest
import structlog

from support import chart_pages_samples as samples
from support.chart_pages_samples import NOW, Shelf, sample
from support.each import each
from support.markup import Balanced, text, words
from web.charts.chart import Chart, Figure
from web.charts.drawing import axis, marks, panel, units
from web.charts.drawing.figure import draw, drawable
from web.charts.drawing.marks import Canvas, thinned
from web.charts.metrics import METRICS
from web.charts.serving.store import Charts
from web.charts.span import Span
from web.http import assets
from web.http.answers import Unavailable
from web.pages.charts import answering as chart_pages

CASES = list(samples.every())


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf()
    monkeypatch.setattr(Charts, "chart", lambda self, metric, span, style="": shelf.chart(metric, span))
    return shelf


@pytest.fixture
async def charted(shelf: Shelf, http: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Web with the charts of the shelf."""
    return http


def figure_of(html: str, name: str) -> str:
    return html.split(f'data-figure="{name}"')[1].partition("</section>")[0]


def description_of(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="description">(.*?)</script>', html)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize(("metric", "span"), CASES)
async def test_every_chart_is_whole_and_says_what_it_shows(
    charted: aiohttp.ClientSession, shelf: Shelf, metric: str, span: str
) -> None:
    html = await text(charted, f"/charts/{metric}?range={span}")
    page = Balanced(html)
    assert page.inline == []
    chart = await shelf.chart(metric, Span(span, 0, 0))
    shown = words(html)
    money = "&amp;currency=USD" if METRICS[metric].in_currency else ""
    assert METRICS[metric].about in shown
    assert re.findall(r'<li><a id="range-(\w+)"[^>]*aria-current="true"', html) == [span]
    assert html.count('aria-current="page"') == 2  # Charts, in both navigations
    for figure in chart.figures:
        card = figure_of(html, figure.name)
        if not drawable(figure):  # no adjustment on that day
            assert "There is no point in this span of time." in words(card)
            continue
        label = re.search(r'<svg class="drawing" role="img" aria-label="([^"]+)"', card)
        assert label
        told = unescape(label[1])
        assert told.startswith(figure.title)
        for line in figure.lines:
            assert line.label in words(card)
            newest = panel.newest(line)
            assert newest
            assert str(units.quantity(newest[1], line.unit)) in words(card)
            assert f"{line.label}: from " in told
        assert f"/api/v1/charts/{metric}?range={span}{money}&amp;format=csv&amp;figure={figure.name}" in card
        assert figure.resolution in words(card)
        assert card.count("<tr>") - 1 == min(30, len({t for line in figure.lines for t, _ in line.points}))
        assert "NaN" not in card
    described = description_of(html)
    assert [figure["name"] for figure in described["figures"]] == [f.name for f in chart.figures if drawable(f)]
    assert described["query"] == f"range={span}{unescape(money)}"


async def test_figures_of_the_page_can_be_had_from_the_api(charted: aiohttp.ClientSession) -> None:
    html = await text(charted, "/charts/tx-fees?range=1m")
    described = description_of(html)
    async with charted.get(f"/api/v1/charts/tx-fees?{described['query']}") as response:
        assert response.status == 200
        answer = await response.json()
    there = {(series["figure"], series["name"]) for series in answer["series"]}
    assert {(figure["name"], line["name"]) for figure in described["figures"] for line in figure["lines"]} == there
    for link in re.findall(r'href="(/api/[^"]+)"', html):
        async with charted.get(link.replace("&amp;", "&")) as response:
            assert response.status == 200
            assert response.content_type == "text/csv"


async def test_a_logarithmic_scale_has_an_address(charted: aiohttp.ClientSession) -> None:
    html = await text(charted, "/charts/difficulty?range=all&scale=log")
    assert '<a id="scale-log" data-go href="/charts/difficulty?range=all&amp;scale=log" aria-current="true">' in html
    assert 'href="/charts/difficulty?range=5y&amp;scale=log"' in html
    card = figure_of(html, "difficulty")
    for label in ("1 K", "1 M", "1 G", "1 T"):
        assert f">{label}</text>" in card
    assert "logarithmic" in card
    assert "logarithmic" not in figure_of(html, "change")  # below zero there is no logarithm
    assert "scale-log" not in await text(charted, "/charts/tx-volume")


async def test_a_span_of_ones_own_has_an_address_and_a_way_back(charted: aiohttp.ClientSession) -> None:
    start, end = NOW - 3_000_000, NOW - 1_000_000
    html = await text(charted, f"/charts/hashrate?from={start}&to={end}&range=5y")
    assert '<a class="button" id="reset" data-go href="/charts/hashrate?range=5y">Reset zoom</a>' in html
    assert "29 Apr 2026, 22:00 to 23 May 2026, 01:33" in words(html)
    assert re.findall(r'id="range-\w+"[^>]*aria-current', html) == []
    assert f'href="/charts/hashrate?from={start}&amp;to={end}&amp;range=5y&amp;scale=log"' in html
    assert description_of(html)["query"] == f"from={start}&to={end}"
    assert description_of(html)["back"] == "5y"
    await text(charted, "/charts/hashrate?from=2024-04-20")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("range=2y", "has no range &#39;2y&#39;; there are 1d, 1w, 1m, 1y, 5y, 10y, all"),
        ("range=<script>alert(1)</script>", "has no range &#39;&lt;script&gt;"),
        ("from=yesterday&to=now", "Unix seconds or dates"),
        ('from="><script>', "Unix seconds or dates"),
        ("from=1700000000&to=1600000000", "is not before"),
        ("from=99999999999&to=1", "expected"),
    ],
)
async def test_a_wrong_span_is_told(charted: aiohttp.ClientSession, query: str, expected: str) -> None:
    html = await text(charted, f"/charts/hashrate?{query}", 400)
    assert expected in html
    assert "<script>alert" not in html
    assert Balanced(html).inline == []


async def test_a_metric_that_is_not_there(charted: aiohttp.ClientSession) -> None:
    assert "There is nothing at /charts/price2" in words(await text(charted, "/charts/price2", 404))
    async with charted.post("/charts/hashrate") as response:
        assert response.status == 405


async def test_the_index_shows_each_metric_at_a_glance(charted: aiohttp.ClientSession) -> None:
    html = await text(charted, "/charts")
    Balanced(html)
    for metric in METRICS.values():
        card = html.split(f'aria-labelledby="glance-{metric.name}"')[1].split("</section>")[0]
        assert f'<a href="/charts/{metric.name}">{metric.title}</a>' in card
        assert metric.about in words(card)
        assert '<svg class="spark"' in card
        assert re.search(r'<p class="mid"><span class="n">[\d.,]+</span>', card)
        assert 'class="change ' in card
    difficulty = html.split('aria-labelledby="glance-difficulty"')[1].split("</section>")[0]
    assert "at the last step" in difficulty  # and not the trillions of per cent since the beginning


async def test_tables_show_twenty_rows_and_hold_all(charted: aiohttp.ClientSession) -> None:
    html = await text(charted, "/charts/difficulty?range=all")
    tables = html.split('data-part="tables"')[1]
    assert tables.split("<details")[0].count("<tr>") == 1 + 20
    assert "454 more" in tables
    assert tables.count('scope="row"') == 474
    first = words(tables.split('scope="row"')[1].split("</tr>")[0])
    assert re.search(r"953,568.*28 May 2026, \d\d:\d\d.*T.*% *1\d d", first), first
    html = await text(charted, "/charts/tx-amount?range=1m")
    tables = html.split('data-part="tables"')[1]
    txid = str(sample("tx-amount", "1m").tables[0].rows[0][1])
    assert f'data-copy="{txid}"' in tables
    assert '<span title="12,857.14285714 BTC">' in tables
    assert tables.count('data-label="Value"') == 50


async def test_whatever_a_chart_says_is_text(charted: aiohttp.ClientSession, shelf: Shelf) -> None:
    evil = '</script><script>alert("x")</script>&'

    def poisoned(chart: Chart) -> Chart:
        figure = chart.figures[0]
        lines = [replace(line, label=evil, unit=evil) for line in figure.lines]
        figures = [replace(figure, title=evil, note=evil, resolution=evil, lines=lines)]
        return replace(chart, figures=figures, notice=evil, source=evil)

    shelf.change = poisoned
    html = await text(charted, "/charts/hashrate")
    assert Balanced(html).inline == []
    assert "<script>alert" not in html
    assert evil in words(html)
    assert description_of(html)["figures"][0]["lines"][0]["unit"] == evil
    Balanced(await text(charted, "/charts"))


async def test_what_is_missing_is_said_in_its_place(charted: aiohttp.ClientSession, shelf: Shelf) -> None:
    shelf.change = lambda chart: samples.empty(chart.metric, chart.range)
    html = await text(charted, "/charts/tx-fees")
    Balanced(html)
    for name in ("feerates", "reward", "congestion"):
        assert "The backfill has not begun." in words(figure_of(html, name))
    assert description_of(html)["figures"] == []
    assert "The backfill has not begun." in words(await text(charted, "/charts"))
    shelf.made.clear()
    shelf.change = lambda chart: samples.partial(chart.metric, chart.range)
    html = await text(charted, "/charts/tx-fees?range=1y")
    assert "Blocks before 12 August 2020 are still being fetched" in words(html.split("<h1")[0])
    lines = re.findall(r'<path class="stroke[^"]*" d="([^"]+)"', figure_of(html, "feerates"))
    assert len(lines) == 3
    layers = re.findall(r'<path class="layer[^"]*" d="([^"]+)"', figure_of(html, "congestion"))
    assert len(layers) == 8
    assert each(drawn.count("M") == 2 for drawn in (*lines, *layers))  # a gap is not drawn over


async def test_without_any_history_the_pages_say_why(charted: aiohttp.ClientSession, shelf: Shelf) -> None:
    def gone(chart: Chart) -> Chart:
        raise Unavailable("chain-history, which keeps the chain's history, is not running.")

    shelf.change = gone
    for path in ("/charts", "/charts/difficulty"):
        html = await text(charted, path)
        Balanced(html)
        assert "chain-history, which keeps the chain&#39;s history, is not running." in html
    assert 'id="description"' not in html
    shelf.change = lambda chart: chart
    assert 'id="description"' in await text(charted, "/charts/difficulty")


async def test_a_page_is_made_once_for_each_chart(
    charted: aiohttp.ClientSession, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real = panel.panel

    def counted(figure: Figure, chart: Chart, *, log: bool) -> panel.Panel:
        made.append(figure.name)
        return real(figure, chart, log=log)

    monkeypatch.setattr(panel, "panel", counted)
    for _ in range(5):
        await text(charted, "/charts/hashrate")
    assert made == ["hashrate"]
    async with charted.get("/charts/hashrate") as first:
        etag = first.headers["ETag"]
    async with charted.get("/charts/hashrate", headers={"If-None-Match": etag}) as second:
        assert second.status == 304
    shelf.made.clear()
    shelf.change = lambda chart: replace(chart, notice="Another one.")
    async with charted.get("/charts/hashrate", headers={"If-None-Match": etag}) as third:
        assert third.status == 200
        assert "Another one." in await third.text()
    assert made == ["hashrate"] * 2


async def test_pages_that_nobody_asks_for_any_more_are_let_go(
    charted: aiohttp.ClientSession, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart_pages, "KEPT", 3)
    for start in range(8):
        await text(charted, f"/charts/hashrate?from={NOW - 90_000_000 + start}&to={NOW - 80_000_000}")
    assert len(site.site.routes["/charts/{metric}"].__wrapped__.__self__._kept) == 3


async def test_the_largest_page_is_small_and_quick(charted: aiohttp.ClientSession, shelf: Shelf) -> None:
    path = "/charts/difficulty?range=all"
    page = await text(charted, path)
    needed = [*sorted(set(re.findall(r"/static/[\w.]+", page))), "/api/v1/charts/difficulty?range=all"]
    assert any("uplot" in name for name in needed)
    total = len(gzip.compress(page.encode(), 6))
    for name in needed:
        async with charted.get(name) as response:
            assert response.status == 200, name
            total += len(gzip.compress(await response.read(), 6))
    assert total < 150_000
    chart = sample("tx-fees", "1m")  # the one with the most to draw
    assert sum(len(line.points) for figure in chart.figures for line in figure.lines) > 8_000
    took = []
    for _ in range(5):
        begin = time.process_time()
        for figure in chart.figures:
            panel.panel(figure, chart, log=False)
        took.append(time.process_time() - begin)
    assert min(took) < 0.05  # some 15 ms; other tests may hold the processor


async def test_nothing_is_run_that_is_not_the_release(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    log = structlog.testing.CapturingLogger()
    whole = assets.Assets(log)  # type: ignore[arg-type] # takes the calls of a bound logger
    assert log.calls == []
    assert set(assets.VENDORED) <= set(whole.urls)
    package = tmp_path / "elsewhere"
    (package / "vendor").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(assets, "VENDOR", "elsewhere")
    for reason, event in (("", "vendored_file_missing"), ("changed", "vendored_file_differs")):
        if reason:
            for name in assets.VENDORED:
                (package / "vendor" / name).write_text(reason)
        log = structlog.testing.CapturingLogger()
        without = assets.Assets(log)  # type: ignore[arg-type] # as above
        assert [call.args for call in log.calls] == [(event,)]
        assert not set(assets.VENDORED) & set(without.urls)
        assert "chart.js" in without.urls


async def test_without_the_release_the_pictures_of_the_server_stay(charted: aiohttp.ClientSession, site: Any) -> None:
    for name in assets.VENDORED:
        del site.site._assets.urls[name]
    html = await text(charted, "/charts/hashrate")
    assert "uplot" not in html
    assert '<svg class="drawing"' in html


async def test_modules_find_each_other_under_their_hashes(charted: aiohttp.ClientSession) -> None:
    html = await text(charted, "/charts/hashrate")
    found = {name: re.findall(rf"/static/{name}\.\w+\.js", html) for name in ("axis", "plot", "chart")}
    assert each(len(addresses) == 1 for addresses in found.values())
    for module, imported in (("chart", "plot"), ("plot", "axis")):
        async with charted.get(found[module][0]) as response:
            assert f'from "{found[imported][0]}"' in await response.text()


# --- what the pictures are made of ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "length", "most", "expected"),
    [
        (NOW, 3_600, 5, "15:30/3 Jun 2026 15:45 16:00 16:15"),
        (NOW, 86_400, 5, "18:00 00:00/4 Jun 2026 06:00 12:00"),
        (NOW, 7 * 86_400, 5, "4 Jun/2026 6 Jun 8 Jun 10 Jun"),
        (NOW, 30 * 86_400, 5, "8 Jun/2026 15 Jun 22 Jun 29 Jun"),
        (NOW - 10 * 86_400, 365 * 86_400, 12, "Jun/2026 Jul Aug Sep Oct Nov Dec Jan/2027 Feb Mar Apr May"),
        (NOW, 5 * 365 * 86_400, 5, "2027 2028 2029 2030 2031"),
        (1_231_006_505, 17 * 365 * 86_400, 12, "2010 2012 2014 2016 2018 2020 2022 2024"),
    ],
)
def test_moments_on_the_axis(start: int, length: int, most: int, expected: str) -> None:
    ticks = axis.time_ticks(start, start + length, most)
    assert " ".join(tick.label + (f"/{tick.context}" if tick.context else "") for tick in ticks) == expected
    assert each(0 <= tick.at <= 1 for tick in ticks)
    assert len(ticks) <= most + 1


@pytest.mark.parametrize(
    ("low", "high", "unit", "log", "expected", "title"),
    [
        (0, 9.6e20, "H/s", False, "0 200 400 600 800 1,000", "EH/s"),
        (7e20, 9.6e20, "H/s", False, "700 800 900 1,000", "EH/s"),
        (1, 1.5e14, "", False, "0 50 100 150", "T"),
        (1, 1.5e14, "", True, "1 1 K 1 M 1 G 1 T", ""),
        (3.2, 140, "sat/vB", True, "2 5 10 20 50 100 200", "sat/vB"),
        (0.3, 2.9, "BTC", True, "1 2 3", "BTC"),
        (0, 2.4e6, "BTC", False, "0.0 0.5 1.0 1.5 2.0 2.5", "million BTC"),
        (0, 0.004, "BTC", False, "0 100 200 300 400", "thousand sat"),
        (-6, 31, "%", False, "−10 0 10 20 30 40", "%"),  # noqa: RUF001
        (0, 0, "vB", False, "0 0.2 0.4 0.6 0.8 1.0", "vB"),
        (12e6, 80e6, "vB", False, "0 20 40 60 80", "MvB"),
    ],
)
def test_values_on_the_axis(low: float, high: float, unit: str, log: bool, expected: str, title: str) -> None:
    scale = axis.scale(low, high, unit, log=log)
    assert " ".join(tick.label for tick in scale.ticks).replace("0.0 ", "0.0 ") == expected.replace("0.0 0.5", "0 0.5")
    assert scale.unit == title
    assert scale.low <= low <= high <= scale.high
    assert each(-1e-9 <= tick.at <= 1 + 1e-9 for tick in scale.ticks)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (124_932_866_006_548.16, "", "124.93 T"),
        (9.04e20, "H/s", "904 EH/s"),
        (1_234_567.891, "BTC", "1,234,568 BTC"),
        (3.125, "BTC", "3.125 BTC"),
        (0.00012, "BTC", "12,000 sat"),
        (7.5, "sat/vB", "7.5 sat/vB"),
        (-1.642, "%", "−1.64 %"),  # noqa: RUF001
        (854_000, "vB", "854 kvB"),
        (0, "vB", "0 vB"),
        (38_412, "tx", "38,412 tx"),
    ],
)
def test_values_in_the_legend(value: float, unit: str, expected: str) -> None:
    assert str(units.quantity(value, unit)) == expected


def test_a_drawn_line_has_few_points_and_every_extreme() -> None:
    points: list[tuple[int, float | None]] = [(t, float(t % 17)) for t in range(20_000)]
    points[7_003] = (7_003, 99.0)
    points[12_001] = (12_001, -5.0)
    points[15_000] = (15_000, None)
    thin = thinned(points)
    assert len(thin) <= marks.MOST + 1
    assert (7_003, 99.0) in thin
    assert (12_001, -5.0) in thin
    assert sum(value is None for _, value in thin) == 1
    assert [t for t, _ in thin] == sorted(t for t, _ in thin)
    assert thinned(points[:600]) == points[:600]


def test_places_in_the_picture() -> None:
    canvas, scale = Canvas(0, 100), axis.scale(0, 100, "BTC")
    assert marks.line([(0, 0.0), (50, 100.0), (100, 50.0)], canvas, scale) == "M0 1000L1000 0L2000 500"
    assert marks.steps([(0, 0.0), (50, 100.0)], canvas, scale) == "M0 1000H1000V0H2000"
    assert marks.bars([(0, 50.0), (50, 100.0)], canvas, scale) == "M0 1000V500h800V1000ZM1000 1000V0h800V1000Z"
    chart = sample("tx-amount", "1m")
    stack = [line for line in chart.figures[1].lines if line.style == "stack"]
    rows = marks.layered(stack)
    assert each(sums[-1] == pytest.approx(100) for _, sums in rows)
    areas = marks.layers(rows, Canvas(chart.start, chart.end), scale)
    assert len(areas) == 8
    tops = [y for _, y in re.findall(r"(\d+) (\d+)", areas[-1])[: marks.MOST_OF_STACK // 2]]
    assert set(tops) == {"0"}  # the last layer reaches the top


def test_axes_on_both_sides_are_each_their_own() -> None:
    chart = sample("tx-fees", "1m")
    reward = next(figure for figure in chart.figures if figure.name == "reward")
    picture = draw(reward, chart.start, chart.end, "words")
    assert (picture.left, picture.right) == ("BTC", "%")
    alone = replace(reward, lines=[line for line in reward.lines if line.axis == "right"])
    picture = draw(alone, chart.start, chart.end, "words")
    assert (picture.left, picture.right) == ("%", None)

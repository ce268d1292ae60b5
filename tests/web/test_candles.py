"""Candles of the price: what they are made of, how they are drawn, and how a reader chooses them."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from html import unescape
from typing import Any, Final

import aiohttp
import pytest

from shared.price_records import BAR, Bar
from shared.prices import BEGINNING, MILLION, NUMBERS
from shared.series import DAY, HOUR, MINUTE, PRICE_DAYS, PRICE_HOURS, WEEK
from support.each import each
from support.series_samples import bar, fill_prices, write
from support.web_harness import serving
from support.web_samples import Writer
from web.charts.chart import RANGES, Candles, Chart, Figure, Line
from web.charts.data.candles import NARROW, WIDE, grid, together
from web.charts.data.prices import Priced
from web.charts.drawing import axis, panel
from web.charts.drawing.candles import paths
from web.charts.drawing.figure import draw
from web.charts.drawing.marks import Canvas
from web.charts.span import Span

NOW: Final = int(time.time())
MONDAY: Final = 4 * DAY


def priced(at: int, *values: float | None) -> Priced:
    opened, high, low, close = values
    assert close is not None
    return Priced(at, opened, high, low, close, "bitstamp")


# --- what they are made of -------------------------------------------------------------------------------


def test_a_candle_opens_with_the_first_closes_with_the_last_and_holds_the_extremes_between() -> None:
    hours = [priced(0, 10, 14, 9, 12), priced(HOUR, 12, 13, 5, 6), priced(2 * HOUR, 6, 21, 6, 20)]
    assert together(hours, HOUR, 4 * HOUR, 0) == [priced(0, 10, 21, 5, 20)]
    assert together(hours, HOUR, 2 * HOUR, 0) == [priced(0, 10, 14, 5, 6), priced(2 * HOUR, 6, 21, 6, 20)]
    assert together(hours, HOUR, HOUR, 0) == hours
    assert together([], HOUR, DAY, 0) == []


def test_what_is_not_known_of_a_part_is_not_known_of_the_whole() -> None:
    whole, bare = priced(0, 10, 14, 9, 12), priced(HOUR, None, None, None, 11)
    assert together([whole, bare], HOUR, 2 * HOUR, 0) == [priced(0, None, None, None, 11)]
    assert together([bare], HOUR, HOUR, 0) == [bare]


def test_of_less_than_half_of_its_parts_no_candle_is_made() -> None:
    of = [priced(hour * HOUR, 10, 14, 9, 12) for hour in (0, 1, 8)]
    assert together(of, HOUR, 4 * HOUR, 0) == [priced(0, 10, 14, 9, 12), priced(8 * HOUR, 10, 14, 9, 12)]
    lonely = [of[0], priced(4 * HOUR, 12, 15, 11, 13)]
    assert together(lonely, HOUR, 4 * HOUR, 0) == [priced(0, None, None, None, 12), lonely[1]]


def test_weeks_begin_on_a_monday() -> None:
    days = [priced(day * DAY, day, day, day, day) for day in range(1, 30)]
    weeks = together(days, DAY, WEEK, MONDAY)
    assert each(time.gmtime(week.time).tm_wday == 0 for week in weeks)
    assert (weeks[1].open, weeks[1].close) == (4, 10)


@pytest.mark.parametrize("days", [30, 100, 365, 5_000])
def test_the_axis_begins_with_a_candle(days: int) -> None:
    found = grid(Span("", NOW - days * DAY, NOW), DAY if days > 62 else HOUR)
    begins = time.gmtime(found.after(NOW - days * DAY))
    assert (begins.tm_hour, begins.tm_min, begins.tm_sec) in ((0, 0, 0), (12, 0, 0))
    assert begins.tm_wday == 0 or found.narrow < WEEK
    assert (found.after(NOW) - found.origin) % found.narrow == 0


@pytest.mark.parametrize("seconds", [HOUR, *RANGES.values(), 6_000 * DAY, 3 * DAY + 7, 200 * DAY])
@pytest.mark.parametrize("step", [MINUTE, HOUR, DAY])
def test_there_are_as_many_as_have_room(seconds: int, step: int) -> None:
    found = grid(Span("", NOW - seconds, NOW), step)
    assert seconds <= WIDE * found.seconds
    assert seconds <= NARROW * found.narrow
    assert found.seconds % step == found.narrow % found.seconds == 0
    assert found.after(found.after(NOW)) == found.after(NOW)
    assert 0 <= found.after(NOW) - NOW < found.narrow


# --- how they are drawn ----------------------------------------------------------------------------------


def drawn(*rows: Priced, log: bool = False) -> dict[str, str]:
    """The paths of candles of 100 s in a plot of 1,000 s and values up to 100; 1 to 100 where it is logarithmic."""
    scale = axis.scale(1, 100, "USD", log=True) if log else axis.scale(0, 100, "USD")
    return dict(paths(rows, 100, Canvas(0, 1_000), scale))


def test_places_of_a_candle() -> None:
    assert drawn(priced(0, 20, 60, 10, 50)) == {"rose": "M100 400V500M100 800V900M30 500H170V800H30Z"}
    assert drawn(priced(0, 50, 60, 10, 20)) == {"fell": "M100 400V500M100 800V900M30 500H170V800H30Z"}
    assert drawn(priced(0, 1, 100, 1, 10), log=True) == {"rose": "M100 0V500M30 500H170V1000H30Z"}


def test_one_that_is_flat_is_not_one_of_which_only_the_close_is_known() -> None:
    flat, bare = drawn(priced(0, 50, 50, 50, 50)), drawn(priced(0, None, None, None, 50))
    assert flat == {"rose": "M30 500H170V500H30Z"}
    assert bare == {"tick": "M100 500H170"}


def figure_of(rows: Sequence[Priced], how: Candles) -> Figure:
    names = ("open", "high", "low", "close")
    lines = [Line(name, name, "USD", [(row.time, getattr(row, name)) for row in rows]) for name in names]
    return Figure("price", "Price", lines, "each hour", log=True, candles=how)


def test_a_narrow_screen_has_fewer_and_longer_ones() -> None:
    rows = [priced(hour * HOUR, 10 + hour, 20 + hour, 5 + hour, 11 + hour) for hour in range(8)]
    svg = str(draw(figure_of(rows, Candles(HOUR, 2 * HOUR, 0, "")), 0, 8 * HOUR, "words").svg)
    wide, narrow = svg.partition('<svg class="marks"')[2].split('<g class="narrow-only">')
    assert '<g class="wide-only">' in wide
    assert (wide.count("Z"), narrow.count("Z")) == (8, 4)
    assert 'class="candle rose"' in wide
    same = str(draw(figure_of(rows, Candles(HOUR, HOUR, 0, "")), 0, 8 * HOUR, "words").svg)
    assert same.partition('<svg class="marks"')[2].count("Z") == 8


def test_the_newest_is_never_told_with_the_figures_of_one_before() -> None:
    rows = [priced(0, 10, 20, 5, 11), priced(HOUR, None, None, None, 12)]
    figure = figure_of(rows, Candles(HOUR, HOUR, 0, ""))
    chart = Chart("price", "1d", 0, 2 * HOUR, "USD", [figure], [], "", 2 * HOUR)
    newest = {key.name: key.newest and str(key.newest) for key in panel.panel(figure, chart, log=False).legend}
    assert newest == {"open": None, "high": None, "low": None, "close": "12 USD"}


# --- how a reader chooses them ---------------------------------------------------------------------------


@pytest.fixture
async def web(valkey: str, writer: Writer) -> AsyncIterator[aiohttp.ClientSession]:
    """Web with prices since 2010; of one hour of last week only the close is known."""
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    await fill_prices(writer.redis, writer.keys, NOW)
    bare = Bar(0, 0, 0, 77_777 * MILLION, NUMBERS["bitstamp"])
    hours = PRICE_HOURS["USD"]
    place = NOW // DAY * 24 - 72
    known = [BAR.pack(bare if at == place else bar(at * HOUR)) for at in range(NOW // HOUR - 1_440, NOW // HOUR + 1)]
    await write(writer.redis, writer.keys, hours, NOW // HOUR - 1_440, known)
    async with serving(valkey) as running:
        await running.ready()
        async with aiohttp.ClientSession(running.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield session


async def page(web: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with web.get(path) as response:
        assert response.status == status, await response.text()
        return await response.text()


async def told(web: aiohttp.ClientSession, path: str) -> Any:
    return json.loads(await page(web, path))


async def test_json_has_true_candles(web: aiohttp.ClientSession) -> None:
    found = await told(web, "/api/v1/charts/price?range=1w&style=candles")
    assert [series["name"] for series in found["series"]] == ["open", "high", "low", "close"]
    assert each(series["resolution"] == "every 2 hours" for series in found["series"])
    rows = list(zip(*(series["points"] for series in found["series"]), strict=True))
    assert 80 <= len(rows) <= 85
    bare = NOW // DAY * DAY - 3 * DAY
    for opened, high, low, close in rows[:-1]:
        at = opened[0]
        assert [at % (2 * HOUR), high[0], low[0], close[0]] == [0, at, at, at]
        parts = [bar(at), bar(at + HOUR)]
        if at == bare:
            assert [opened[1], high[1], low[1]] == [None] * 3
            assert close[1] == parts[1].close / MILLION
            continue
        expected = [parts[0].open, max(one.high for one in parts), min(one.low for one in parts), parts[1].close]
        assert [point[1] for point in (opened, high, low, close)] == [value / MILLION for value in expected]
    assert bare in [close[0] for *_, close in rows]
    assert found["to"] >= rows[-1][0][0] + 2 * HOUR


async def test_a_line_has_the_opens_too_and_does_not_draw_them(web: aiohttp.ClientSession) -> None:
    found = await told(web, "/api/v1/charts/price?range=1m")
    assert [series["name"] for series in found["series"]] == ["price", "high", "low", "open"]
    points = {series["name"]: dict(series["points"]) for series in found["series"]}
    at = NOW // HOUR * HOUR - 100 * HOUR
    expected = bar(at)
    assert {name: of[at] * MILLION for name, of in points.items()} == {
        "price": expected.close, "high": expected.high, "low": expected.low, "open": expected.open,
    }  # fmt: skip
    html = await page(web, "/charts/price?range=1m")
    assert 'data-line="high"' in html
    assert 'data-line="open"' not in html
    assert 'class="candle' not in html


async def test_csv_has_a_column_of_each(web: aiohttp.ClientSession) -> None:
    text = await page(web, "/api/v1/charts/price?range=1w&style=candles&format=csv")
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["time", "iso_time", "open (USD)", "high (USD)", "low (USD)", "close (USD)"]
    [bare] = [row for row in rows if int(row[0]) == NOW // DAY * DAY - 3 * DAY]
    assert bare[2:5] == ["", "", ""]
    assert float(bare[5]) > 0
    line = await page(web, "/api/v1/charts/price?range=1w&format=csv")
    assert line.splitlines()[0].endswith("price (USD),high (USD),low (USD),open (USD)")


async def test_the_choice_is_a_link_and_every_link_keeps_it(web: aiohttp.ClientSession) -> None:
    html = await page(web, "/charts/price?range=1w&style=candles")
    links = {unescape(link) for link in re.findall(r'href="(/charts/price\?[^"]+)"', html)}
    assert "/charts/price?range=1y&currency=USD&style=candles" in links
    assert "/charts/price?range=1w&currency=USD&style=candles&scale=log" in links
    assert "/charts/price?range=1w&currency=EUR&style=candles" in links
    assert {link for link in links if "style" not in link} == {"/charts/price?range=1w&currency=USD"}, "the line's"
    assert "style=candles&amp;format=csv" in html
    assert re.search(r'id="style-candles"[^>]+aria-current="true"', html)
    usual = await page(web, "/charts/price?range=1w")
    assert 'id="style-candles" data-go href="/charts/price?range=1w&amp;currency=USD&amp;style=candles"' in usual
    own = await page(web, f"/charts/price?from={NOW - 5 * DAY}&to={NOW - DAY}&style=candles&scale=log")
    reset = re.search(r'id="reset" data-go href="([^"]+)"', own)
    assert reset
    assert unescape(reset[1]) == "/charts/price?range=1y&currency=USD&style=candles&scale=log"


@pytest.mark.parametrize("span", ["1d", "1w", "1m", "1y", "5y", "10y", "all"])
async def test_candles_need_no_script_and_lie_within_the_picture(web: aiohttp.ClientSession, span: str) -> None:
    for scale in ("", "&scale=log"):
        html = await page(web, f"/charts/price?range={span}&style=candles{scale}")
        found = re.findall(r'<path class="candle \w+" d="([^"]+)"', html.partition('class="marks"')[2])
        assert found
        across = [int(number) for path in found for number in re.findall(r"[MH](-?\d+)", path)]
        down = [int(number) for path in found for number in re.findall(r"(?:V|M-?\d+ )(-?\d+)", path)]
        assert (min(across) >= 0, max(across) <= 2_000) == (True, True)
        assert (min(down) >= 0, max(down) <= 1_000) == (True, True)
        legend = re.findall(r'data-line="(\w+)"', html)
        assert legend == ["open", "high", "low", "close"]


async def test_a_style_that_there_is_not_is_told(web: aiohttp.ClientSession) -> None:
    for path, known in (("price?style=dots", "line, candles"), ("hashrate?style=candles", "line")):
        assert f"expected one of {known}" in await page(web, f"/charts/{path}", 400)
        error = json.loads(await page(web, f"/api/v1/charts/{path}", 400))["error"]
        assert (error["code"], known in error["message"]) == ("bad_style", True)
    assert 'id="style-' not in await page(web, "/charts/hashrate")


async def test_days_of_which_only_the_close_is_known_are_ticks(web: aiohttp.ClientSession, writer: Writer) -> None:
    first = BEGINNING // DAY
    closes = (BAR.pack(Bar(0, 0, 0, bar(at * DAY).close, NUMBERS["bitstamp"])) for at in range(first, first + 60))
    await write(writer.redis, writer.keys, PRICE_DAYS["USD"], first, closes)
    html = await page(web, f"/charts/price?from={BEGINNING}&to={BEGINNING + 30 * DAY}&style=candles")
    kinds = set(re.findall(r'<path class="candle (\w+)"', html))
    assert kinds == {"tick"}
    assert html.count("not known") == 3, "open, highest and lowest"

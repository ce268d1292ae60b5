"""Mining pools as pages and JSON: what is shown, in which order, in which language, and what is refused."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from html import unescape
from typing import Any

import aiohttp
import pytest

from shared.networks import NETWORKS
from shared.pools import pool_id
from shared.records import Block
from shared.series import DAY
from shared.views import HistoryView
from support import series_samples
from support.each import each
from support.markup import LOOKED_UP, Balanced, followed, text, words
from support.series_samples import Chain
from support.web_harness import Running, until
from support.web_samples import POOLS, Writer
from web.api.miners import MinersApi
from web.miners.figures import SORTS, slug_of
from web.miners.reading import RANGES

NAMES = {pool_id(name): name for name in POOLS}
GERMAN = {"Accept-Language": "de"}


async def json_of(api: aiohttp.ClientSession, name: str) -> Any:
    async with api.get(f"/api/v1/network/miners?range={name}") as response:
        assert response.status == 200, await response.text()
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["ETag"]
        assert response.headers["Age"]
        return await response.json()


def names_shown(html: str) -> list[str]:
    """The pools of the table, from the top."""
    return [unescape(name) for name in re.findall(r'<a href="/network/miners/[^"]+">([^<]+)</a></th>', html)]


@pytest.mark.parametrize("name", RANGES)
async def test_json_tells_what_the_blocks_say(
    api: aiohttp.ClientSession, history: tuple[Running, Chain], name: str
) -> None:
    chain, before = history[1], int(time.time())
    found = await json_of(api, name)
    seconds = RANGES[name]
    now = found["to"]
    assert before <= now <= time.time() + 1
    start = 0 if seconds is None else now - seconds if seconds <= 7 * DAY else (now // DAY + 1) * DAY - seconds
    inside = [height for height in range(chain.blocks) if chain.times[height] >= start]
    by_pool: dict[str | None, list[Block]] = defaultdict(list)
    for height in inside:
        block = chain.block(height)
        by_pool[NAMES[block.pool] if block.pool else None].append(block)
    assert found["range"] == name
    assert (found["blocks"], found["known_blocks"]) == (len(inside), len(inside))
    assert (found["first_height"], found["last_height"]) == (inside[0], chain.tip)
    assert found["as_of"] == chain.end
    assert "notice" not in found
    assert found["hashrate"] > 0
    assert {row["name"] for row in found["pools"]} == set(by_pool)
    ranks = [row["rank"] for row in found["pools"] if row["name"] is not None]
    assert ranks == list(range(1, len(ranks) + 1))
    for row in found["pools"]:
        blocks = by_pool[row["name"]]
        assert row == {
            "rank": row["rank"] if row["name"] else None,
            "name": row["name"],
            "slug": slug_of(row["name"]) if row["name"] else "unknown",
            "blocks": len(blocks),
            "share_percent": pytest.approx(100 * len(blocks) / len(inside)),
            "hashrate": pytest.approx(found["hashrate"] * len(blocks) / len(inside)),
            "fees": sum(block.fees for block in blocks),
            "subsidy": sum(NETWORKS["main"].subsidy(0) for _ in blocks),
            "empty_blocks": sum(block.tx_count == 1 for block in blocks),
            "fullness_percent": pytest.approx(sum(block.weight for block in blocks) / len(blocks) / 40_000),
        }
    counts = [row["blocks"] for row in found["pools"]]
    assert counts == sorted(counts, reverse=True)


async def test_the_page_tells_the_same(api: aiohttp.ClientSession) -> None:
    for name in RANGES:
        found = await json_of(api, name)
        html = await text(api, f"/network/miners?range={name}")
        page, shown = Balanced(html), words(html)
        assert page.inline == []
        assert names_shown(html) == [row["name"] or "Unknown" for row in found["pools"]]
        assert f"{found['known_blocks']:,} known of {found['blocks']:,}" in shown
        assert f"{found['first_height']:,} to {found['last_height']:,}" in shown
        assert re.findall(r'<a id="range-(\w+)"[^>]*aria-current="true"', html) == [name]
        for row in found["pools"]:
            line = words(html.split(f'<tr data-key="{row["slug"]}"')[1].partition(">")[2].partition("</tr>")[0])
            assert f"{row['share_percent']:.2f} %" in unescape(line).replace("\xa0", " ")
            assert f"{row['fullness_percent']:.1f} %" in line.replace("\xa0", " ")
            assert f"{row['blocks']:,}" in line
        assert html.count('<svg class="bar"') == len(found["pools"])


@pytest.mark.parametrize("sort", SORTS)
async def test_every_column_sorts_by_a_link(api: aiohttp.ClientSession, sort: str) -> None:
    html = await text(api, f"/network/miners?range=1m&sort={sort}")
    found = await json_of(api, "1m")
    keys: dict[str, Any] = {
        "blocks": lambda row: -row["blocks"], "fees": lambda row: -row["fees"],
        "empty": lambda row: -row["empty_blocks"], "fullness": lambda row: -row["fullness_percent"],
        "name": lambda row: (row["name"] is None, (row["name"] or "").casefold()),
    }  # fmt: skip
    wanted = sorted(found["pools"], key=keys[sort])
    assert names_shown(html) == [row["name"] or "Unknown" for row in wanted]
    marked = re.findall(r'<th scope="col"[^>]* aria-sort="(\w+)"><a id="sort-(\w+)"', html)
    assert marked == [("ascending" if sort == "name" else "descending", sort)]
    others = re.findall(r'<a id="sort-\w+" href="([^"]+)"', html)
    way = {sort: f"&order={'descending' if sort == 'name' else 'ascending'}"}  # the one that is shown leads back
    assert {unescape(link) for link in others} == {
        "/network/miners?range=1m" + (f"&sort={one}" if one != "blocks" else "") + way.get(one, "") for one in SORTS
    }
    ranges = re.findall(r'<a id="range-1y" href="([^"]+)"', html)
    assert unescape(ranges[0]).endswith("range=1y" + (f"&sort={sort}" if sort != "blocks" else ""))


async def test_links_lead_somewhere(api: aiohttp.ClientSession) -> None:
    for path in ("/network/miners", "/network/miners/foundryusa", "/network/miners/unknown"):
        page = Balanced(await text(api, path))
        links = followed(page.links)
        assert len(links) > 10
        for link in links:
            async with api.get(link) as response:
                assert response.status in ((200, 202) if link.startswith(LOOKED_UP) else (200,)), link
    for path in ("/blocks", "/"):
        assert "/network/miners" in Balanced(await text(api, path)).links
    navigation = (await text(api, "/network/miners")).split('<nav class="bar"')[1].partition("</nav>")[0]
    assert "/network/miners" not in navigation
    assert '<a href="/blocks" aria-current="true">' in navigation


async def test_a_pools_page(api: aiohttp.ClientSession, history: tuple[Running, Chain]) -> None:
    chain = history[1]
    html = await text(api, "/network/miners/marapool")
    assert Balanced(html).inline == []
    assert "<h1>MARA Pool</h1>" in html
    heights = [h for h in range(chain.tip, -1, -1) if NAMES[chain.block(h).pool] == "MARA Pool" and chain.block(h).pool]
    rows = re.findall(r'<tr data-key="(\d+)">(.*?)</tr>', html)
    assert [int(height) for height, _ in rows] == heights[:20]
    newest = chain.block(heights[0])
    line = words(rows[0][1]).replace("\xa0", " ")
    assert f"{newest.tx_count:,}" in line
    assert f"{newest.weight / 40_000:.1f} %" in line
    for name in RANGES:
        found = next(row for row in (await json_of(api, name))["pools"] if row["name"] == "MARA Pool")
        line = words(html.split(f'<tr data-key="{name}">')[1].partition("</tr>")[0])
        assert f"{found['blocks']:,}" in line
        assert f"{found['share_percent']:.2f}" in line
    picture = html.split('<svg class="bars quiet"')[1].partition("</svg>")[0]
    assert picture.count("<rect") == 60
    today = sum(chain.times[h] // DAY == chain.end // DAY for h in heights)
    assert f": {today} block" in picture.rpartition("<title>")[2]


async def test_the_blocks_of_nobody_have_a_page(api: aiohttp.ClientSession) -> None:
    html = await text(api, "/network/miners/unknown")
    assert "<h1>Unknown</h1>" in html
    assert "Blocks whose pool nobody knows" in words(html)
    assert "Unbekannt" in words(await (await api.get("/network/miners/unknown", headers=GERMAN)).text())


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/network/miners/nosuchpool", 404, "was found by a pool of the name 'nosuchpool'"),
        ("/network/miners/%3Cscript%3E", 404, "'<script>'"),
        ("/network/miners/" + "x" * 3_000, 404, "'" + "x" * 40 + "'"),
        ("/network/miners/foundryusa/", 404, "There is nothing at"),
        ("/network/miners?range=2d", 400, "range='2d' is not known: expected one of 1d, 1w, 1m, 1y, all."),
        ("/network/miners?range=", 400, "range='' is not known"),
        ("/network/miners?range=<script>", 400, "range='<script>'"),
        ("/network/miners?sort=luck", 400, "sort='luck' is not known: expected one of blocks, fees, empty, fullness"),
        ("/network/miners?sort=" + "9" * 5_000, 400, "sort='" + "9" * 20 + "' is not known"),
    ],
)
async def test_what_there_is_not_is_said(api: aiohttp.ClientSession, path: str, status: int, expected: str) -> None:
    html = await text(api, path, status)
    assert expected in words(html)
    assert "<script>" not in html.replace('<script type="module"', "")


@pytest.mark.parametrize("name", ["2d", "", "1W", "<x>", "9" * 5_000])
async def test_json_refuses_what_is_no_range(api: aiohttp.ClientSession, name: str) -> None:
    async with api.get("/api/v1/network/miners", params={"range": name}) as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["code"] == "bad_span"
    assert error["message"].endswith("is not known: expected one of 1d, 1w, 1m, 1y, all.")
    assert len(error["message"]) < 150


async def test_both_languages(api: aiohttp.ClientSession) -> None:
    async with api.get("/network/miners?range=1y&sort=fullness", headers=GERMAN) as response:
        assert response.headers["Content-Language"] == "de"
        html = await response.text()
    shown = words(html)
    assert Balanced(html).inline == []
    for word in ("Mining-Pools", "Anteil", "Füllung", "Leer", "Unbekannt", "3.000 von 3.000 bekannt", "Gebühren"):
        assert word in shown, word
    assert "from=/network/miners%3Frange%3D1y%26sort%3Dfullness" in html, "the choice of a language leads back here"
    assert "Mining pools" in words(await text(api, "/network/miners"))
    async with api.get("/api/v1/network/miners", headers=GERMAN) as response:
        assert {row["name"] for row in (await response.json())["pools"]} == set(POOLS)


async def test_nothing_is_known_yet(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/network/miners") as response:
        assert response.status == 503
        assert response.headers["Retry-After"]
        assert (await response.json())["error"]["code"] == "not_available"
    for path in ("/network/miners", "/network/miners?range=all", "/network/miners/foundryusa"):
        html = await text(http, path)
        assert Balanced(html).inline == []
        assert "Not available" in words(html)
        assert 'class="n"' not in html.split("<main")[1].partition("</main>")[0]


async def test_an_incomplete_history_says_so(valkey: str, writer: Writer, history: tuple[Running, Chain]) -> None:
    running, chain = history
    partly = Chain(chain.blocks, end=chain.end, first_header=500, measured_from=2_600)
    await writer.redis.flushall()
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    await series_samples.fill_chain(writer.redis, writer.keys, partly)
    await series_samples.announced(writer.redis, writer.keys, partly)
    await until(lambda: (view := running.site.state.snapshot[HistoryView]) and view.first_header == 500)
    async with aiohttp.ClientSession(running.url) as api:
        found = {name: await json_of(api, name) for name in RANGES}
        assert (found["1d"]["blocks"], "notice" in found["1d"]) == (found["1d"]["known_blocks"], False)
        assert found["1w"]["blocks"] > found["1w"]["known_blocks"]
        assert (found["1y"]["blocks"], found["1y"]["known_blocks"]) == (None, 400)
        assert (found["all"]["blocks"], found["all"]["known_blocks"]) == (3_000, 400)
        assert each("older ones are being fetched" in found[name]["notice"] for name in ("1w", "1m", "1y", "all"))
        shown = words(await text(api, "/network/miners?range=all"))
        assert "400 known of 3,000" in shown
        assert found["all"]["notice"] in shown
        assert "400 known, of a number not known yet" in words(await text(api, "/network/miners?range=1y"))
        html = await text(api, "/network/miners/luxor")
        assert "400 of 3,000" in words(html)
        assert found["all"]["notice"] in words(html)
        days = html.split('<svg class="bars quiet"')[1].partition("</svg>")[0]
        assert days.count('class="gap"') > 50
        assert "not known</title>" in days


async def test_what_did_not_change_is_made_once(
    api: aiohttp.ClientSession, writer: Writer, history: tuple[Running, Chain]
) -> None:
    site, chain = history[0].site, history[1]
    path = "/api/v1/network/miners?range=all"
    async with api.get(path) as response:
        etag, first = response.headers["ETag"], await response.json()
    async with api.get(path, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    answering = next(one for one in site._series if isinstance(one, MinersApi))
    before, changes = answering.counts, site.state.changes["history"]
    await json_of(api, "all")
    assert answering.counts == (before[0] + 1, before[1]), "answered, and not made anew"
    await series_samples.write_views(writer.redis, writer.keys, Chain(chain.blocks, end=chain.end, unavailable=1))
    await series_samples.announced(writer.redis, writer.keys, chain)
    await until(lambda: site.state.changes["history"] > changes)
    again = (await json_of(api, "all"))["pools"]  # of which the hashrate follows the clock
    assert [pool | {"hashrate": None} for pool in again] == [pool | {"hashrate": None} for pool in first["pools"]]
    assert answering.counts == (before[0] + 2, before[1] + 1)

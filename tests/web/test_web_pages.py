from __future__ import annotations

import asyncio
import gzip
import re
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from shared import domains
from shared.views import HalvingView, MempoolView, TipView
from support.markup import LOOKED_UP, Balanced, followed, text, words
from support.web_harness import serving, until
from support.web_samples import chain, health, mempool
from web.http.document import _listed, _takes_gzip
from web.pages.found import PAGES
from web.state.disclosure import masked
from web.words import moments

PATHS = [page.path for page in PAGES.values()]
UNTOLD = ("/api/v1/fees/waits",)  # without an explorer


@pytest.mark.parametrize("path", PATHS)
async def test_every_page_is_whole_and_links_only_to_what_exists(http: aiohttp.ClientSession, path: str) -> None:
    page = Balanced(await text(http, path))
    assert page.inline == []
    for link in followed(page.links):
        async with http.get(link) as response:
            expected = (200, 202) if link.startswith(LOOKED_UP) else (503,) if link in UNTOLD else (200,)
            assert response.status in expected, link


async def test_the_overview_tells_everything_without_a_script(http: aiohttp.ClientSession, site: Any) -> None:
    html = await text(http, "/")
    shown = words(html)
    tip, halving = site.site.state.snapshot[TipView], site.site.state.snapshot[HalvingView]
    then = datetime.fromtimestamp(halving.upcoming[0].estimated_time, UTC)
    years = int(time.time() - tip.genesis_time) // moments.YEAR
    for expected in (
        "954,210", "9 sat/vB", "21.9 MvB", "38,412 transactions", "894 EH/s", "124.93 T", "95,790 blocks to go",
        "54.39 %", "+4.87 %", "1,374 blocks until 955,584", "9 min 32 s", f"{years} years",
        "20,044,409.38 BTC", "3.125 BTC then 1.5625 BTC", "2.36 kvB/s", "6.3 transactions a second",
        "market, which asks what a bitcoin costs, is not running", "Foundry USA", f"{then:%B %Y}", "1-2",
        "All 29 halvings", "5th", "33rd",
    ):  # fmt: skip
        assert expected in shown, expected
    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in html
    assert re.search(r'<time datetime="[0-9TZ:-]+" title="[0-9 :-]+ UTC" data-ago>4 min ago</time>', html)


async def test_mempool_blocks_and_status_tell_theirs(http: aiohttp.ClientSession, site: Any, writer: Any) -> None:
    await writer.redis.xgroup_create(writer.keys.stream(domains.METRICS), "reader", "0")
    shown = words(await text(http, "/mempool"))
    for expected in ("118 MB of 300 MB", "All the rest", "6.58–207 sat/vB", "1,358.19 BTC", "Equal to the node"):  # noqa: RUF001
        assert expected in shown, expected
    shown = words(await text(http, "/blocks"))
    assert "Last 144 blocks" in shown
    assert "954,067" in shown
    html = ""
    for _ in range(100):  # the lag is read every two seconds
        html = await text(http, f"{site.admin}/status")
        if "reader" in html:
            break
        await asyncio.sleep(0.05)
    shown = words(html)
    for expected in ("chain-ingest", "/Satoshi:29.0.0/", "{main:mempool}:txs", "reader: lag 1", "Valkey", "48.3 MB"):
        assert expected in shown, expected


async def test_headers_forbid_what_is_not_ours(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["Vary"] == "Accept-Encoding, Accept-Language, Cookie"
        assert response.headers["Date"].endswith("GMT")


@pytest.mark.parametrize("path", ["/", "/api/v1/overview", "/api/blocks/tip/hash"])
async def test_what_a_client_has_is_not_sent_again(
    http: aiohttp.ClientSession, writer: Any, site: Any, path: str
) -> None:
    for encoding in ("identity", "gzip"):
        async with http.get(path, headers={"Accept-Encoding": encoding}) as first:
            etag = first.headers["ETag"]
            assert not etag.startswith("W/")
        headers = {"Accept-Encoding": encoding, "If-None-Match": f'"other", {etag}'}
        async with http.get(path, headers=headers) as second:
            assert second.status == 304
            assert await second.read() == b""
            assert second.headers["ETag"] == etag
            assert "Content-Length" not in second.headers
    await writer.chain(chain(height=954_211))
    await until(lambda: site.site.state.snapshot[TipView].height == 954_211)
    async with http.get(path, headers={"If-None-Match": etag}) as third:
        assert third.status == 200
        assert third.headers["ETag"] != etag


async def test_compressed_bytes_are_the_same_page(site: Any) -> None:
    async with aiohttp.ClientSession(site.url, auto_decompress=False) as http:
        async with http.get("/blocks", headers={"Accept-Encoding": "identity"}) as response:
            plain = await response.read()
            assert "Content-Encoding" not in response.headers
            etag = response.headers["ETag"]
        async with http.get("/blocks", headers={"Accept-Encoding": "br, gzip;q=0.8"}) as response:
            packed = await response.read()
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["ETag"] != etag
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 4


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*", True),
        ("*;q=0", False),
        ("identity, *;q=0.1", True),
        ("gzip;q=0, *", False),
        ("br", False),
        ("deflate, gzip", True),
    ],
)
def test_accept_encoding(header: str | None, taken: bool) -> None:
    assert _takes_gzip(header) is taken


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ('"a-gzip"', True),
        ("*", True),
        ('"b"', False),
        ('"aa"', False),
    ],
)
def test_if_none_match(header: str, matches: bool) -> None:
    assert _listed("a", header) is matches


async def test_one_rendering_for_each_change(http: aiohttp.ClientSession, site: Any, writer: Any) -> None:
    async def load(times: int) -> set[bytes]:
        async def one() -> bytes:
            async with http.get("/") as response:
                return await response.read()

        return set(await asyncio.gather(*(one() for _ in range(times))))

    document = site.site.documents["/"]
    await load(1)
    before = document.renders
    assert len(await load(50)) == 1
    assert document.renders == before
    await writer.mempool(mempool(40_000))
    await until(lambda: site.site.state.snapshot[MempoolView].count == 40_000)
    assert document.renders == before  # nobody has asked yet
    [page] = await load(50)
    assert b"40,000" in page
    assert document.renders == before + 1


async def test_head_old_clients_and_closing_ones_get_the_same(site: Any) -> None:
    async def raw(request: str) -> tuple[str, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(site.url.rsplit(":", 1)[1]))
        writer.write(request.encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
        body = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
        return head, body

    head, body = await raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    length = int(re.search(r"Content-Length: (\d+)", head)[1])  # type: ignore[index]
    etag = re.search(r"ETag: (\S+)", head)[1]  # type: ignore[index]
    assert length == len(body) > 20_000
    old_head, old_body = await raw("GET / HTTP/1.0\r\n\r\n")
    assert old_body == body
    assert etag in old_head
    head, none = await raw("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert none == b""
    assert f"Content-Length: {length}" in head
    assert etag in head


async def test_requests_in_one_piece_are_answered_in_order(site: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.url.rsplit(":", 1)[1]))
    paths = ["/api/blocks/tip/height", "/nope", "/api/blocks/tip/hash", "/"]
    writer.write("".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths).encode())
    statuses = []
    for _ in paths:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
        await reader.readexactly(int(re.search(r"Content-Length: (\d+)", head)[1]))  # type: ignore[index]
        statuses.append(head.split()[1])
    assert statuses == ["200", "404", "200", "200"]
    writer.close()
    await writer.wait_closed()


async def test_static_files_are_kept_for_ever_under_their_hash(http: aiohttp.ClientSession) -> None:
    html = await text(http, "/")
    found = set(re.findall(r"/static/[\w.]+", html))
    assert len(found) == 11
    for path in found:
        assert re.search(r"\.[0-9a-f]{12}\.", path)
        async with http.get(path, headers={"Accept-Encoding": "gzip"}) as response:
            assert "immutable" in response.headers["Cache-Control"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    for wrong in (
        "/static/style.css",
        "/static/../app.py",
        "/static/%2e%2e%2fapp.py",
        "/static/style.000000000000.css",
    ):
        async with http.get(wrong) as response:
            assert response.status == 404


async def test_a_page_that_is_not_there(http: aiohttp.ClientSession) -> None:
    html = await text(http, "/no/such?<script>alert(1)</script>", 404)
    assert Balanced(html).inline == []
    assert "<script>alert" not in html
    assert "There is nothing at /no/such" in words(html)
    async with http.get("/no/<b>x", headers={"Accept": "application/json"}) as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "not_found"
    async with http.post("/") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"


async def test_a_fault_of_ours_is_a_page_too(
    http: aiohttp.ClientSession, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = site.site.documents["/blocks"]
    monkeypatch.setattr(document, "_build", lambda: 1 // 0)
    document.invalidate()
    shown = words(await text(http, "/blocks", 500))
    assert "Something went wrong" in shown
    assert "ZeroDivision" not in shown
    monkeypatch.setattr(site.site.documents["/api/mempool"], "_build", lambda: 1 // 0)
    site.site.documents["/api/mempool"].invalidate()
    async with http.get("/api/mempool") as response:
        assert response.status == 500
        assert (await response.json())["error"]["code"] == "internal_error"
    assert "954,210" in await text(http, "/")


async def test_an_empty_state_says_what_is_missing(bare: Any, writer: Any) -> None:
    await until(lambda: bare.site.state.snapshot.read_at)
    async with aiohttp.ClientSession(bare.url) as http:
        shown = words(await text(http, "/"))
        assert "chain-ingest is not running" in shown
        reason = "the node at http://127.0.0.1:8332 refuses user and password"
        await writer.health(
            health("chain-ingest", "degraded", reason=reason), health("chain-metrics"), health("mempool")
        )
        await until(lambda: len(bare.site.state.snapshot.services) == 3)
        for url, told in ((bare.url, masked(reason)), (bare.admin, reason)):
            for path in PATHS:
                html = await text(http, f"{url}{path}")
                Balanced(html)
                assert told in html  # the banner
            html = await text(http, f"{url}/")
            card = html.split('id="card-height"')[1].split("</section>")[0]
            assert told in card
            assert "tried again by itself" in card


@pytest.mark.parametrize(("height", "count"), [(0, 0), (1, 1), (431, 37), (149, 3)])
async def test_a_young_regtest_chain(valkey: str, writer: Any, height: int, count: int) -> None:
    writer.network, writer.keys = "regtest", type(writer.keys)("regtest")
    await writer.chain(chain("regtest", height))
    await writer.mempool(mempool(count, count * 220))
    await writer.all_well()
    async with serving(valkey, network="regtest", demo=True) as running:
        await running.ready()
        async with aiohttp.ClientSession(running.url) as http:
            for path in PATHS:
                Balanced(await text(http, path))
            shown = words(await text(http, "/"))
    assert "Demonstration:" in shown
    assert "this network never adjusts" in shown
    assert f"{height:,}" in shown


async def test_a_view_that_does_not_decode_is_told_and_the_rest_works(bare: Any, writer: Any) -> None:
    await writer.all_well()
    await writer.redis.hset(writer.keys.views(domains.CHAIN), "tip", b'{"height": "many"}')
    await writer.mempool()
    await until(lambda: bare.site.state.snapshot[MempoolView])
    await writer.chain({**chain(), "tip": chain()["tip"]})
    await until(lambda: bare.site.state.snapshot[TipView])
    await writer.redis.hset(writer.keys.views(domains.CHAIN), "halving", b"[]")
    await writer.redis.xadd(writer.keys.stream(domains.METRICS), {"type": "metrics.updated", "v": 1, "data": "{}"})
    await until(lambda: bare.site.state.snapshot.unreadable)
    async with aiohttp.ClientSession(bare.url) as http:
        shown = words(await text(http, "/"))
    assert "Something in Redis cannot be read" in shown
    assert "halving: Expected" in shown
    assert "954,210" in shown

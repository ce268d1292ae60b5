"""The search: where it leads, what it says is wrong, and that nothing of a key is repeated or logged."""

from __future__ import annotations

import logging
import re
from html import unescape
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from shared.errors import Unreadable
from shared.lookups import transaction
from shared.lookups.parts import Missing
from shared.scripts import reasons
from shared.views import BlocksView, LargestView, TipView
from support.answered import TIP, answered, block_found
from support.web_harness import Running
from support.web_samples import Writer
from web.lookups import refusals
from web.miners.figures import pool_path
from web.pages.found import PAGES
from web.words.language import LANGUAGES, speaking

ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
OLD = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
KEY = (
    "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6"
    "bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f"
)
TXID = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
LOW = "00000000" + "12" * 28
XPUB = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"
WIF = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
SEED = "legal winner thank year wave sausage worth useful legal winner thank yellow"


async def look(http: aiohttp.ClientSession, text: str, language: str = "en") -> tuple[int, str, str]:
    """Status, where it leads, and the page."""
    headers = {"Accept-Language": language}
    async with http.get(f"/search?q={quote(text)}", allow_redirects=False, headers=headers) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, answer.headers.get("Location", ""), unescape(await answer.text())


def test_each_reason_has_its_sentence() -> None:
    ours = set(refusals.SENTENCES) - {"checksum-at", "checksum-several"}
    assert ours == set(reasons.REASONS)
    for reason, text in reasons._SENTENCES.items():
        fields = set(re.findall(r"%\((\w+)\)s", text))
        told = set(re.findall(r"%\((\w+)\)s", refusals.SENTENCES[reason]))
        fields = {"character" if field in ("codepoint", "name") else field for field in fields}
        assert told == fields, reason


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_each_sentence_can_be_said(language: str) -> None:
    fields: dict[str, Any] = {
        name: "x" for text in reasons._SENTENCES.values() for name in re.findall(r"%\((\w+)\)s", text)
    }
    with speaking(LANGUAGES[language]):
        for reason in reasons.REASONS:
            said = str(refusals.sentence(Unreadable("", reason, (3, 5), {**fields, "looks_like": ("l", "I")})))
            assert "%(" not in said
            assert language == "en" or said != refusals.SENTENCES[reason], "it is translated"


async def test_every_page_has_the_search(http: aiohttp.ClientSession) -> None:
    for name, page in PAGES.items():
        async with http.get(page.path) as answer:
            text = await answer.text()
        assert 'action="/search" method="get" role="search"' in text, name
        assert 'id="search-field" name="q"' in text, name


async def test_a_page_that_is_missing_has_the_search_too(http: aiohttp.ClientSession) -> None:
    async with http.get("/nowhere") as answer:
        text = await answer.text()
    assert 'id="search-field"' in text
    assert "search.js" in text or "/search." in text


LEADS = [
    ("0", "/block/0"),
    (" block 1,000 ", "/block/1000"),
    (f"f{TXID[1:]}", f"/tx/f{TXID[1:]}"),
    (f"F{TXID[1:].upper()}", f"/tx/f{TXID[1:]}"),
    (f"{TXID}:0", f"/tx/{TXID}#output-0"),
    (f"{TXID}:{transaction.PAGE + 5}", f"/tx/{TXID}?page=1#output-{transaction.PAGE + 5}"),
    (ADDRESS, f"/address/{ADDRESS}"),
    (ADDRESS.upper(), f"/address/{ADDRESS}"),
    (f"bitcoin:{ADDRESS}?amount=1", f"/address/{ADDRESS}"),
    (OLD, f"/address/{OLD}"),
    (KEY, f"/address/{KEY}"),
    (f"https://mempool.space/tx/f{TXID[1:]}", f"/tx/f{TXID[1:]}"),
]


async def test_it_leads_there(http: aiohttp.ClientSession) -> None:
    for text, leads in LEADS:
        status, location, _ = await look(http, text)
        assert (status, location) == (303, leads), text


async def test_a_height_that_is_not_yet_is_said_to_be(http: aiohttp.ClientSession, site: Running) -> None:
    tip = site.site.state.snapshot[TipView]
    assert tip
    assert (await look(http, str(tip.height)))[:2] == (303, f"/block/{tip.height}")
    status, _, page = await look(http, str(tip.height + 1))
    assert status == 404
    assert f"There is no block {tip.height + 1:,} yet: the newest one is {tip.height:,}." in page


WRONG = [
    (f"{ADDRESS[:10]}p{ADDRESS[11:]}", "character 11 seems to be wrong", "p"),
    (f"{TXID[:5]}O{TXID[6:]}", "Character 6 is “O”, and no hexadecimal digit. Perhaps 0 was meant.", "O"),
    (f"{TXID[:5]}\u039f{TXID[6:]}", "GREEK CAPITAL LETTER OMICRON", "\u039f"),
    ("007", "no leading zero. Was 7 meant?", ""),
    ("-5", "not below 0", ""),
    ("1.5", "a whole number", ""),
    ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "another network", "t"),
    (TXID[:-1], "It has 63 hexadecimal digits", ""),
    ("nothing of the kind", "no height, hash, address, key or mining pool", ""),
    ("8\u202e4\u0000", "which cannot be part", "U+0000"),
    ("<script>alert(1)</script>", "no height, hash, address", ""),
    ("x" * 7_000, "no height, hash, address", ""),
]


async def test_it_says_what_is_wrong(http: aiohttp.ClientSession) -> None:
    for text, says, marked in WRONG:
        status, _, page = await look(http, text)
        assert status == 400, text
        assert says in page
        found = re.findall(r"<mark[^>]*>([^<]*)</mark>", page)
        assert found[:1] == ([marked] if marked else []), text


async def test_no_bytes_break_it(site: Running, http: aiohttp.ClientSession) -> None:
    for raw in ("%ED%A0%80", "%FF%FE", "%00", "%", "%zz", "a&q=b", "%F0%9F%98%80" * 600):
        for path in ("/search?q=", "/address/", "/api/v1/search?q="):
            async with http.get(URL(f"{site.url}{path}{raw}", encoded=True), allow_redirects=False) as answer:
                assert answer.status == 400 or (answer.status == 200 and "/api" in path), (path, raw)


async def test_what_was_entered_is_escaped(http: aiohttp.ClientSession) -> None:
    async with http.get("/search", params={"q": '"><script>alert(1)</script>'}) as answer:
        raw = await answer.text()
    assert "<script>alert" not in raw
    assert "&lt;script&gt;alert" in raw


async def test_it_says_it_in_german(http: aiohttp.ClientSession) -> None:
    _, _, page = await look(http, "007", "de")
    assert "keine führende Null" in page


SECRETS = [
    XPUB,
    XPUB[:-1] + "9",
    XPUB[:60],
    f" {XPUB[:50]} {XPUB[50:]}",
    f"look at {XPUB} please",
    f"wpkh({XPUB}/0/*)",
    f"wpkh({XPUB}/0/*)#aaaaaaaa",
    XPUB.replace("xpub", "xprv"),
    WIF,
    WIF[:-1] + "0",
    SEED,
    SEED.replace(" ", ", "),
    f"tpub{XPUB[4:]}",
]


async def test_nothing_of_a_key_is_repeated_or_logged(
    site: Running, http: aiohttp.ClientSession, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for text in SECRETS:
        for path in ("/search?q=", "/address/", "/api/v1/search?q="):
            async with http.get(URL(f"{site.url}{path}{quote(text, safe='')}", encoded=True)) as answer:
                page = await answer.text()
                assert answer.status == (200 if "/api" in path and len(text) <= 64 else 400), text
            for part in (text, XPUB[20:50], WIF[10:30], "sausage"):
                assert part not in page
    written = "".join(capfd.readouterr()) + caplog.text
    ours = [line for line in written.splitlines() if "aiohttp.client" not in line]
    assert not [line for line in ours if XPUB[20:50] in line or WIF[10:30] in line or "sausage" in line]


async def test_a_key_is_shown_the_way_to_the_page_of_wallets(http: aiohttp.ClientSession) -> None:
    status, _, page = await look(http, XPUB)
    assert status == 400
    assert 'href="/wallet"' in page
    assert "browser's history" in page


async def test_a_line_that_is_too_long_is_in_no_log(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aiohttp.server")
    async with http.get("/search", params={"q": XPUB * 400}) as answer:
        assert answer.status == 400
    assert not any(XPUB[20:50] in f"{one.getMessage()}{one.exc_text}{one.exc_info}" for one in caplog.records)


async def test_a_hash_leads_to_what_there_is(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    lookups = site.site.lookups
    lost = Missing(why="no-index")
    await answered(writer.redis, lookups, f"tx:{LOW}:0", lost)
    await answered(writer.redis, lookups, f"block:{LOW}:0:position", Missing(why="unknown"))
    status, _, page = await look(http, LOW)
    assert status == 404
    assert "neither a transaction nor a block" in page
    assert "txindex=1" in page
    assert f'value="{LOW}"' in page

    other = LOW[:-1] + "3"
    await answered(writer.redis, lookups, f"block:{other}:0:position", block_found(other))
    assert (await look(http, other))[:2] == (303, f"/block/{other}"), "the other question need not be answered"

    third = LOW[:-1] + "4"
    await answered(writer.redis, lookups, f"block:{third}:0:position", Missing(why="unknown"))
    await answered(
        writer.redis, lookups, f"tx:{third}:0", transaction.Gone(txid=third, timeline=[], tip=TIP, as_of_ms=1)
    )
    assert (await look(http, third))[:2] == (303, f"/tx/{third}")


async def test_what_is_known_is_told_while_one_types(http: aiohttp.ClientSession, site: Running) -> None:
    view = site.site.state.snapshot[BlocksView]
    assert view
    newest = view.blocks[0]
    for text in (str(newest.height), newest.hash, newest.hash[:40].upper()):
        async with http.get("/api/v1/search", params={"q": text}) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            [found] = (await answer.json())["results"]
        assert found["path"] == f"/block/{newest.hash}"
    async with http.get("/api/v1/search", params={"q": str(newest.height)[:2]}) as answer:
        assert 1 < len((await answer.json())["results"]) <= 8
    async with http.get("/api/v1/search", params={"q": "a" * 65}) as answer:
        assert answer.status == 400
    async with http.get("/api/v1/search") as answer:
        assert await answer.json() == {"results": []}


async def test_pools_are_found_by_their_names(history: tuple[Running, Any], api: aiohttp.ClientSession) -> None:
    async with api.get("/api/v1/network/miners?range=all") as answer:
        pools = [one for one in (await answer.json())["pools"] if one["name"]]
    pool = pools[0]
    async with api.get("/api/v1/search", params={"q": pool["name"][:4].lower()}) as answer:
        found = {one["path"]: one["value"] for one in (await answer.json())["results"]}
    assert found[f"/network/miners/{pool['slug']}"] == pool["name"]
    status, location, _ = await look(api, pool["name"].upper())
    assert (status, location) == (303, f"/network/miners/{pool['slug']}")


async def test_what_pages_name_leads_to_its_page(http: aiohttp.ClientSession, site: Running) -> None:
    state = site.site.state.snapshot
    tip, blocks, largest = state[TipView], state[BlocksView], state[LargestView]
    assert tip
    assert blocks
    assert largest
    newest = blocks.blocks[0]
    named = next(row for row in blocks.blocks[:3] if row.pool)
    for path, links in {
        "/": [
            f"/block/{tip.hash}",
            f"/block/{newest.hash}",
            pool_path(named.pool or ""),
            f"/tx/{largest.transactions[0].txid}",
        ],
        "/blocks": [f"/block/{tip.hash}", f"/block/{blocks.blocks[-1].hash}", pool_path(named.pool or "")],
        "/mempool": [f"/tx/{largest.transactions[-1].txid}"],
        "/status": [f"/block/{tip.hash}"],
    }.items():
        async with http.get(path) as answer:
            page = await answer.text()
        for link in links:
            assert f'href="{link}"' in page, (path, link)


async def test_figures_of_the_past_lead_to_their_blocks(
    history: tuple[Running, Any], api: aiohttp.ClientSession
) -> None:
    async with api.get("/api/v1/network/miners?range=all") as answer:
        pool = next(one for one in (await answer.json())["pools"] if one["name"])
    async with api.get(f"/network/miners/{pool['slug']}") as answer:
        assert re.search(r'<th scope="row"[^>]*><a href="/block/[0-9]+">', await answer.text())
    async with api.get("/charts/difficulty?range=all") as answer:
        assert re.search(r'<a href="/block/[0-9]+">', await answer.text())

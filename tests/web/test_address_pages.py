"""The page of an address, of answers that the tests write themselves."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import time
from html import unescape
from typing import Any

import aiohttp
import msgspec

from shared.keys import Keys
from shared.lookups.address import PAGE, Entry, Found, Point, Unspent, Working
from shared.lookups.parts import Away, Missing
from shared.networks import COIN, NETWORKS
from shared.prices import MILLION
from shared.scripts.address import Address, read
from shared.series import DAY
from support.answered import TIP, answered
from support.each import each
from support.series_samples import bar, fill_prices
from support.web_harness import Running, serving
from support.web_samples import Writer
from web.http.answers import PAGE_HEADERS
from web.words import formats

MAIN = NETWORKS["main"]
SEGWIT = read("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", MAIN)
GENESIS = read(
    "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61de"
    "b649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f",
    MAIN,
)
START = 1_600_000_000


def txid(number: int) -> str:
    return f"{number:064x}"


def found(named: Address, **changed: Any) -> Found:
    """What is known of an address where an Electrum server tells it, with 40 transactions."""
    entries = [
        Entry(
            txid=txid(40 - at), height=700_000 - at, time=START - at * 86_400, change=(-1) ** at * (at + 1) * 1_000,
            balance=5_000_000 - at, fee=141,
        )
        for at in range(PAGE)
    ]  # fmt: skip
    usual = Found(
        script=named.script.hex(), scripthash=named.scripthash, kind=named.kind,
        address=None if named.kind == "p2pk" else named.text, confirmed=5 * COIN, unconfirmed=-12_345,
        received=9 * COIN, sent=4 * COIN, tx_count=39, waiting_count=1, history=entries,
        coins=[Unspent(txid=txid(7), vout=130, value=5 * COIN, height=690_000, coinbase=True)], coin_count=1,
        points=[Point(time=START - 40 * 86_400, balance=COIN), Point(time=START, balance=5 * COIN)], tip=TIP,
        sources={"balance": "electrum", "coins": "electrum", "history": "electrum", "times": "node"},
        as_of_ms=TIP.time * 1000,
    )  # fmt: skip
    return msgspec.structs.replace(usual, **changed)


async def tell(writer: Writer, site: Running, named: Address, answer: Any, page: int = 0, coins: int = 0) -> None:
    await answered(writer.redis, site.site.lookups, f"address:{named.scripthash}:{page}:{coins}", answer, Keys("main"))


async def get(http: aiohttp.ClientSession, path: str, status: int = 200, **headers: str) -> str:
    async with http.get(path, headers=headers) as answer:
        text = await answer.text()
        assert answer.status == status, text
        if status == 200 and answer.content_type == "text/html":
            assert answer.headers["Content-Security-Policy"] == PAGE_HEADERS["Content-Security-Policy"]
            assert " style=" not in text
        return text


def plain(page: str) -> str:
    """What a page says, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", re.sub(r"</?span[^>]*>", "", page))).split())


async def test_an_address_is_shown(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    await tell(writer, site, SEGWIT, found(SEGWIT))
    page = await get(http, f"/address/{SEGWIT.text}")
    text = plain(page)
    assert f'data-lookup="{SEGWIT.scripthash}"' in page
    for said in ("5 BTC", "P2WPKH", "39 and 1 waiting", "Balance: from the Electrum server.", "Times: from your node."):
        assert said in text, said
    assert "−0.00012345 BTC" in text, "what the mempool takes has its sign"  # noqa: RUF001 - the minus sign of print
    assert '<svg viewBox="0 0 ' in page
    assert "QR code of the address" in page
    assert 'class="spark steps"' in page
    assert "at most 5 BTC" in text
    assert f'href="/tx/{txid(7)}?page=1#output-130"' in page
    assert each(f'href="/tx/{txid(40 - at)}"' in page for at in range(PAGE))
    assert "+0.00001000 BTC" in text
    assert "1 of 2" in text
    assert 'href="?page=1"' in page


async def test_its_other_pages_are_asked_for(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    second = found(SEGWIT, page=1, coins_page=2, coin_count=60, history=[Entry(txid=txid(99), height=None)])
    await tell(writer, site, SEGWIT, second, 1, 2)
    page = await get(http, f"/address/{SEGWIT.text}?page=1&coins=2")
    assert 'href="?page=0&amp;coins=2"' in page
    assert 'href="?coins=1&amp;page=1"' in page
    assert "waits in the mempool" in page
    for wrong in ("page=-1", "page=x", "coins=01"):
        assert "counted from 0" in await get(http, f"/address/{SEGWIT.text}?{wrong}", 400)


async def test_what_is_not_known_is_no_zero(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    bare = found(
        SEGWIT, unconfirmed=None, received=None, sent=None, tx_count=None, waiting_count=None, history=None,
        points=None, sources={"balance": "scan", "coins": "scan"}, without="electrum",
    )  # fmt: skip
    await tell(writer, site, SEGWIT, bare)
    page = await get(http, f"/address/{SEGWIT.text}")
    text = plain(page)
    assert "No Electrum server is configured" in text
    for label in ("Unconfirmed", "Received", "Sent", "Transactions"):
        assert f"{label} unknown" in text, label
    assert "nobody can tell it here" in text
    assert "spark steps" not in page
    assert "CSV" not in text
    assert "Balance: from a scan by your node." in text
    assert "takes an Electrum server" in await get(http, f"/address/{SEGWIT.text}.csv", 404)


async def test_each_thing_that_is_missing_is_told(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    for without, says in (("blockfilterindex", "blockfilterindex=1"), ("electrum-limit", "longer than the Electrum")):
        site.site.lookups.forget(SEGWIT.scripthash)
        await tell(writer, site, SEGWIT, found(SEGWIT, without=without))
        assert says in await get(http, f"/address/{SEGWIT.text}")


async def test_figures_of_a_server_that_is_behind_say_so(
    http: aiohttp.ClientSession, site: Running, writer: Writer
) -> None:
    height = f"{TIP.height:,}"
    await tell(writer, site, SEGWIT, found(SEGWIT))
    page = plain(await get(http, f"/address/{SEGWIT.text}"))
    assert f"As of block {height}." in page
    assert "has not read block" not in page
    site.site.lookups.forget(SEGWIT.scripthash)
    await tell(writer, site, SEGWIT, found(SEGWIT, behind=2))
    page = plain(await get(http, f"/address/{SEGWIT.text}"))
    assert f"As of block {height}. The Electrum server has not read block {TIP.height + 2:,} yet." in page


async def test_a_scan_tells_how_far_it_is(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    await tell(writer, site, SEGWIT, Working(progress=0.42, since_ms=START * 1000))
    page = await get(http, f"/address/{SEGWIT.text}", 202)
    assert "42.0 % done" in plain(page)
    assert 'http-equiv="refresh" content="3"' in page
    site.site.lookups.forget(SEGWIT.scripthash)
    await tell(writer, site, SEGWIT, Working(progress=None, since_ms=START * 1000, queued=2, at="turn"))
    assert "2 other scans come before" in plain(await get(http, f"/address/{SEGWIT.text}", 202))


async def test_while_nobody_has_answered_page_and_json_tell_how_far_the_scan_is(
    http: aiohttp.ClientSession, site: Running, writer: Writer
) -> None:
    site.site.lookups.forget(SEGWIT.scripthash)
    since, key = START * 1000, Keys("main").progress(SEGWIT.scripthash)
    await writer.redis.set(key, msgspec.json.encode(Working(progress=0.42, since_ms=since, at="coins")))

    async def json(path: str) -> tuple[int, str, str, Any]:
        async with http.get(path) as answer:
            return answer.status, answer.content_type, answer.headers["Retry-After"], await answer.json()

    page, told = await asyncio.gather(get(http, f"/address/{SEGWIT.text}", 202), json(f"/api/address/{SEGWIT.text}"))
    assert "42.0 % done" in plain(page)
    error = {"message": "It is being looked up", "progress": 0.42, "since": START, "at": "coins"}
    assert told == (503, "application/json", "2", {"error": error})
    await writer.redis.set(key, msgspec.json.encode(Working(progress=None, since_ms=since, at="node")))
    assert "waits until another scan of your node has ended" in plain(await get(http, f"/address/{SEGWIT.text}", 202))


async def test_who_is_away_is_told(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    await tell(writer, site, SEGWIT, Away(who="electrum", why="no connection"))
    assert "no connection" in await get(http, f"/address/{SEGWIT.text}", 503)
    site.site.lookups.forget(SEGWIT.scripthash)
    await tell(writer, site, SEGWIT, Missing(why="unknown", hint="blockfilterindex=1"))
    assert "blockfilterindex=1" in await get(http, f"/address/{SEGWIT.text}", 404)


async def test_a_public_key_is_an_address_too(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    await tell(writer, site, GENESIS, found(GENESIS))
    page = await get(http, f"/address/{GENESIS.text}")
    assert "P2PK" in plain(page)
    assert "QR code" not in page, "there is no address to draw"
    async with http.get(f"/address/{GENESIS.script.hex()}", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, f"/address/{GENESIS.text}")
    async with http.get(f"/address/{SEGWIT.text.upper()}.csv?a=b", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, f"/address/{SEGWIT.text}.csv?a=b")


async def test_a_wrong_address_is_told_precisely(http: aiohttp.ClientSession) -> None:
    wrong = f"{SEGWIT.text[:10]}p{SEGWIT.text[11:]}"
    page = await get(http, f"/address/{wrong}", 400)
    assert "character 11 seems to be wrong" in page
    assert re.findall(r"<mark[^>]*>(.)</mark>", page) == ["p"]
    assert "another network: testnet" in plain(
        await get(http, "/address/tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", 400)
    )
    for path in ("", ".csv"):
        assert await get(http, f"/address/{'1' * 33}{path}", 400)


async def test_the_history_is_a_file_of_all_its_pages(
    http: aiohttp.ClientSession, site: Running, writer: Writer
) -> None:
    first = found(SEGWIT)
    assert first.history
    rest = [*first.history[-2:], Entry(txid=txid(1), height=None)]  # two moved on to this page meanwhile
    await tell(writer, site, SEGWIT, first)
    await tell(writer, site, SEGWIT, found(SEGWIT, page=1, history=rest), 1)
    async with http.get(f"/address/{SEGWIT.text}.csv") as answer:
        assert answer.headers["Content-Type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["txid"] for row in rows] == [*(entry.txid for entry in first.history), txid(1)]
    assert rows[0]["time_utc"] == "2020-09-13T12:26:40Z"
    assert rows[0]["change_sat"] == "1000"
    assert rows[-1]["height"] == rows[-1]["balance_sat"] == "", "unknown is empty"


async def test_a_file_that_ends_too_early_says_so(http: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    await tell(writer, site, SEGWIT, found(SEGWIT))
    await tell(writer, site, SEGWIT, Away(who="electrum", why="gone"), 1)
    assert (await get(http, f"/address/{SEGWIT.text}.csv")).endswith("# the rest could not be looked up\r\n")
    site.site.lookups.forget(SEGWIT.scripthash)
    await tell(writer, site, SEGWIT, Away(who="electrum", why="gone"))
    assert "Ask again" in await get(http, f"/address/{SEGWIT.text}.csv", 503)


async def test_amounts_are_told_by_the_price_of_their_day(valkey: str, writer: Writer) -> None:
    await writer.chain()
    await writer.mempool()
    now = int(time.time())
    await fill_prices(writer.redis, writer.keys, now)
    async with serving(valkey) as site, aiohttp.ClientSession(site.url) as http:
        await site.ready()
        days = (30, 400, 2_000)
        history = [Entry(txid=txid(at), height=at, time=now - at * DAY, change=-COIN) for at in days]
        await tell(writer, site, SEGWIT, found(SEGWIT, history=history))
        text = plain(await get(http, f"/address/{SEGWIT.text}"))
        for at in days:
            close = bar((now - at * DAY) // DAY * DAY).close / MILLION
            assert f"{formats.money(close)} then" in text
        row = (await get(http, f"/address/{SEGWIT.text}.csv")).splitlines()[1]
        assert row.endswith(f",{bar((now - 30 * DAY) // DAY * DAY).close / MILLION:.2f}")

"""Rankings, treasuries and nodes as pages and as JSON, from what marketcap's own fold writes."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import aiohttp
import pytest

from marketcap.fold import SAMPLE_SUPPLY
from shared.domains import MARKETCAP
from shared.networks import COIN
from shared.price_views import PricesView
from support.each import each
from support.markup import Balanced, words
from support.ranking_samples import Rankings, rates
from support.web_harness import Running, serving, until
from support.web_samples import Writer
from web.words import formats

LISTS = ("all", "coins", "companies", "commodities", "currencies")
HOLDERS = ("companies", "countries", "funds")
PAGES = (*(f"/market-cap/{name}" for name in LISTS), "/market-cap", "/treasuries",
         *(f"/treasuries/{name}" for name in HOLDERS), "/network/nodes")  # fmt: skip
SORTED = ("/market-cap?sort=name", "/market-cap/coins?sort=change&order=ascending", "/market-cap?sort=price",
          "/treasuries?sort=date", "/treasuries/funds?sort=gain&currency=EUR")  # fmt: skip
API = (*(f"/api/v1/market-cap/{name}" for name in LISTS), *(f"/api/v1/treasuries/{name}" for name in HOLDERS),
       "/api/v1/network/nodes")  # fmt: skip


@pytest.fixture
async def rankings(writer: Writer) -> Rankings:
    """What the fold shows of the sample; two holders have said what their bitcoin cost."""
    return Rankings(writer, MSTR=48_000_000_000, MARA=8_000_000_000)


@pytest.fixture
async def ranked(site: Running, writer: Writer, rankings: Rankings) -> AsyncIterator[aiohttp.ClientSession]:
    """A client, at a price of $ 100,000 and rates of RATES_OF."""
    await rates(writer)
    await rankings.at(100_000)
    await until(lambda: site.site.state.snapshot.has(MARKETCAP.name) and site.site.state.snapshot[PricesView])
    async with aiohttp.ClientSession(site.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


async def html_of(http: aiohttp.ClientSession, path: str, **headers: str) -> str:
    async with http.get(path, headers=headers) as response:
        html = await response.text()
        assert response.status == 200, (path, html)
        return html


def keys_of(html: str) -> list[str]:
    """The rows of the first table, by their keys."""
    return re.findall(r'<tr data-key="([^"]+)"', html.partition("<tbody>")[2].partition("</tbody>")[0])


async def of(http: aiohttp.ClientSession, path: str) -> Any:
    async with http.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_json_tells_what_the_views_say(ranked: aiohttp.ClientSession) -> None:
    supply = SAMPLE_SUPPLY / COIN
    for name in LISTS:
        found = await of(ranked, f"/api/v1/market-cap/{name}")
        assert (found["class"], found["sample"]) == (name, True)
        [own] = [row for row in found["assets"] if row["class"] == "bitcoin"]
        assert (own["value_usd"], own["index"], own["rank"]) == (100_000 * supply, 1, found["bitcoin_rank"])
        for row in found["assets"]:
            assert row["value_usd"] == pytest.approx(row["price_usd"] * row["quantity"], rel=1e-9)
            assert row["index"] == pytest.approx(row["value_usd"] / own["value_usd"], rel=1e-5)
            assert row["parity_price_usd"] == pytest.approx(row["value_usd"] / supply, abs=0.01)
    every = await of(ranked, "/api/v1/market-cap/all")
    assert {row["class"] for row in every["assets"]} == {"bitcoin", "coin", "company", "commodity", "currency"}
    assert "USDT" not in {row["symbol"] for row in every["assets"]}, "what it stands for is listed itself"
    held = await of(ranked, "/api/v1/treasuries/companies")
    assert held["treasuries"][0]["satoshi"] == 650_000 * COIN
    assert held["satoshi"] == sum(row["satoshi"] for row in held["treasuries"])
    nodes = await of(ranked, "/api/v1/network/nodes")
    assert nodes["total"] == sum(row["nodes"] for row in nodes["countries"])
    assert each(row["percent"] > 0 for row in nodes["clients"])


@pytest.mark.parametrize("language", ["en", "de"])
async def test_every_page_shows_its_table_and_says_that_it_is_a_sample(
    ranked: aiohttp.ClientSession, language: str
) -> None:
    for path in (*PAGES, *SORTED):
        async with ranked.get(path, headers={"Accept-Language": language}) as response:
            html = await response.text()
            assert response.status == 200, (path, html)
        assert Balanced(html).inline == []
        assert 'class="badge sample"' in html, path
        assert "<tbody>" in html, path
        assert "cannot be shown" not in words(html), path


async def test_a_page_is_sorted_as_asked(ranked: aiohttp.ClientSession) -> None:
    by_value, by_name = [keys_of(await html_of(ranked, f"/market-cap/coins{query}")) for query in ("", "?sort=name")]
    assert by_value[:2] == ["bitcoin", "coin:ETH"]
    assert sorted(by_value) == sorted(by_name)
    assert by_name[:2] == ["bitcoin", "coin:BCH"]
    for query, known in (
        ("sort=colour", "value, name, price, change"), ("order=up", "ascending, descending"), ("sort=", "value, name"),
        ("sort=name&order=", "ascending"),
    ):  # fmt: skip
        async with ranked.get(f"/market-cap?{query}") as response:
            assert response.status == 400
            assert known in await response.text()


@pytest.mark.parametrize("sort", ["value", "name", "price", "change"])
async def test_every_order_goes_both_ways_with_what_is_not_known_last(ranked: aiohttp.ClientSession, sort: str) -> None:
    assets = (await of(ranked, "/api/v1/market-cap/all"))["assets"]
    field = {"value": "value_usd", "price": "price_usd", "change": "change_percent"}.get(sort, "name")

    def key(row: dict[str, Any]) -> Any:
        return row[field].casefold() if sort == "name" else row[field]

    unknown = [row["id"] for row in assets if row[field] is None]
    assert bool(unknown) == (sort == "change"), "the sample has assets of which nobody knows a change"
    for order in ("ascending", "descending"):
        known = [row for row in assets if row[field] is not None]
        wanted = [row["id"] for row in sorted(known, key=key, reverse=order == "descending")] + unknown
        html = await html_of(ranked, f"/market-cap?sort={sort}&order={order}")
        assert keys_of(html) == wanted
        heads = re.findall(r'<th scope="col"[^>]* aria-sort="(\w+)"><a id="sort-(\w+)" href="([^"]+)"', html)
        assert [head[:2] for head in heads] == [(order, sort)]
        back = await html_of(ranked, unescape(heads[0][2]))
        assert keys_of(back) == [*[row["id"] for row in sorted(known, key=key, reverse=order == "ascending")], *unknown]


# --- the reader's currency -------------------------------------------------------------------------------


def row_of(html: str, key: str) -> str:
    return unescape(words(html.split(f'<tr data-key="{key}"')[1].partition(">")[2].split("</tr>")[0]))


async def test_values_are_told_in_the_readers_currency(ranked: aiohttp.ClientSession) -> None:
    gold = next(row for row in (await of(ranked, "/api/v1/market-cap/all"))["assets"] if row["symbol"] == "XAU")
    plain = await html_of(ranked, "/market-cap")
    assert formats.money(gold["value_usd"], "USD") in row_of(plain, gold["id"])
    assert "European Central Bank" not in words(plain)
    for code, rate in (("EUR", 0.8), ("SEK", 8.8), ("JPY", 140.0)):
        for html in (
            await html_of(ranked, f"/market-cap?currency={code}"),
            await html_of(ranked, "/market-cap", Cookie=f"currency={code}"),
        ):
            shown = row_of(html, gold["id"])
            for field in ("value_usd", "price_usd", "parity_price_usd"):
                assert formats.money(gold[field] * rate, code).replace("\xa0", " ") in shown, (code, field)
            assert "$" not in shown
            told = words(html)
            assert f"here they are in {code}, by the European Central Bank's rate of" in told
            assert "29 May 2026" in told
            assert formats.price(rate, code).replace("\xa0", " ") in unescape(told)
            titles = "".join(
                re.findall(r"<title>[^<]+</title>", html.split('<svg class="treemap" role')[1].split("</svg>")[0])
            )
            assert "$" not in titles
            assert formats.money(gold["value_usd"] * rate, code) in unescape(titles)


async def test_holdings_cost_and_gain_are_told_in_it_as_well(ranked: aiohttp.ClientSession) -> None:
    html = await html_of(ranked, "/treasuries/companies?currency=EUR")
    strategy = row_of(html, "Strategy MSTR US")
    assert "€52.0 bn" in strategy  # 650,000 bitcoin at $ 100,000
    assert "€38.4 bn" in strategy  # that cost $ 48 bn
    assert "+35.42" in strategy  # 65 of 48, in US dollars
    assert "gains in per cent are those in US dollars" in words(html)
    assert "That is €66.5 bn" in unescape(words(html))


async def test_where_no_rate_is_known_it_is_usd_and_why(
    ranked: aiohttp.ClientSession, site: Running, writer: Writer
) -> None:
    html = await html_of(ranked, "/market-cap?currency=CZK")
    assert "not in CZK: the European Central Bank sets no rate for it" in words(html)
    assert "$" in row_of(html, "bitcoin")
    await rates(writer, {})
    await until(lambda: not getattr(site.site.state.snapshot[PricesView], "fx_rates", True))
    for path in ("/market-cap?currency=EUR", "/treasuries/funds?currency=EUR"):
        html = await html_of(ranked, path)
        assert "not in EUR: no rates of the European Central Bank are known yet" in words(html)
        assert "€" not in words(html)


async def test_a_rate_of_long_ago_says_so(ranked: aiohttp.ClientSession, site: Running, writer: Writer) -> None:
    def known(day: str) -> bool:
        return getattr(site.site.state.snapshot[PricesView], "fx_day", "") == day

    today = time.strftime("%Y-%m-%d", time.gmtime())
    await rates(writer, day=today)
    await until(lambda: known(today))
    assert "A newer rate is not known" not in words(await html_of(ranked, "/market-cap/coins?currency=EUR"))
    old = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 9 * 86_400))
    await rates(writer, day=old)
    await until(lambda: known(old))
    assert "A newer rate is not known" in words(await html_of(ranked, "/market-cap/companies?currency=EUR"))


async def test_json_stays_in_usd_and_says_so(ranked: aiohttp.ClientSession) -> None:
    for path in API[:-1]:
        plain = await of(ranked, path)
        assert plain["currency"] == "USD"
        assert await of(ranked, f"{path}?currency=EUR") == plain


async def test_links_of_a_page_keep_the_currency_that_its_address_asked_for(ranked: aiohttp.ClientSession) -> None:
    html = await html_of(ranked, "/market-cap/coins?sort=name&currency=EUR")
    links = [unescape(link) for link in re.findall(r'<a id="(?:sort|list)-\w+" href="([^"]+)"', html)]
    assert len(links) == 9
    assert each("currency=EUR" in link for link in links)
    choice = re.findall(r'<a href="/currency\?to=SEK&amp;from=([^"]+)"', html)
    assert choice, "another currency can be chosen"
    plain = await html_of(ranked, "/market-cap/coins?sort=name")
    assert "currency=EUR" not in plain


async def test_what_the_operator_chose_is_usual(valkey: str, writer: Writer, rankings: Rankings) -> None:
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    await rates(writer)
    await rankings.at(100_000)
    async with serving(valkey, currency="EUR") as site:
        await site.ready()
        await until(lambda: site.site.state.snapshot[PricesView])
        async with aiohttp.ClientSession(site.url, cookie_jar=aiohttp.DummyCookieJar()) as http:
            assert "€80,000" in row_of(await html_of(http, "/market-cap"), "bitcoin")
            assert "$100,000" in row_of(await html_of(http, "/market-cap", Cookie="currency=USD"), "bitcoin")
            both = await html_of(http, "/market-cap?currency=SEK", Cookie="currency=USD")
            assert "880,000 SEK" in row_of(both, "bitcoin")
            assert "$100,000" in row_of(
                await html_of(http, "/market-cap?currency=XXX", Cookie="currency=USD"), "bitcoin"
            )
            assert "€80,000" in row_of(await html_of(http, "/market-cap?currency=XXX"), "bitcoin")
            assert (await of(http, "/api/v1/market-cap/all"))["currency"] == "USD"
            async with http.get(f"{site.admin}/market-cap") as response:
                assert "€80,000" in row_of(await response.text(), "bitcoin")


async def test_what_is_not_known_is_said(site: Running) -> None:
    async with aiohttp.ClientSession(site.url) as http:
        for path in API:
            async with http.get(path) as response:
                assert response.status == 503, path
                assert "marketcap" in (await response.json())["error"]["message"]
        for path in PAGES:
            async with http.get(path) as response:
                html = await response.text()
                assert response.status == 200, path
                assert "is not running" in words(html), path

"""Rankings, treasuries and nodes as pages and as JSON, from what marketcap's own fold writes."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from marketcap import sample
from marketcap.board import Board
from marketcap.fold import SAMPLE_SUPPLY, RankingFold
from shared.clock import Moment
from shared.domains import MARKETCAP
from shared.events.prices import PriceUpdated
from shared.networks import COIN
from support.each import each
from support.markup import Balanced, words
from support.web_harness import Running, until
from support.web_samples import Writer

LISTS = ("all", "coins", "companies", "commodities", "currencies")
HOLDERS = ("companies", "countries", "funds")
PAGES = (*(f"/market-cap/{name}" for name in LISTS), "/market-cap", "/treasuries",
         *(f"/treasuries/{name}" for name in HOLDERS), "/network/nodes")  # fmt: skip
SORTED = ("/market-cap?sort=name", "/market-cap/coins?sort=change", "/market-cap?sort=price", "/treasuries?sort=date")
API = (*(f"/api/v1/market-cap/{name}" for name in LISTS), *(f"/api/v1/treasuries/{name}" for name in HOLDERS),
       "/api/v1/network/nodes")  # fmt: skip


@pytest.fixture
async def ranked(site: Running, writer: Writer) -> AsyncIterator[aiohttp.ClientSession]:
    """What the fold shows of the sample, at a price of $ 100,000."""
    now = int(time.time())
    board, fold = Board(writer.keys), RankingFold(writer.keys)
    board.pretend(sample.made(now))
    for event in board.flush(now * 1000).events:
        fold.apply(event)
    price = PriceUpdated(
        currency="USD", price=Decimal(100_000), change_24h_percent=1.5, how="direct", agreed=True, sources=["kraken"],
        rejected=[], time_ms=now * 1000, sample=True,
    )  # fmt: skip
    fold.apply(price)
    changes = fold.flush(Moment(0, 1))
    await writer.redis.hset(writer.keys.views(MARKETCAP), mapping=dict(fold.shown))
    await writer.add(writer.keys.stream(MARKETCAP.announces), *changes.events)
    await until(lambda: site.site.state.snapshot.has(MARKETCAP.name))
    async with aiohttp.ClientSession(site.url) as session:
        yield session


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
    async def names(path: str) -> list[str]:
        async with ranked.get(path) as response:
            return re.findall(r'<tr data-key="([^"]+)"', await response.text())

    by_value, by_name = await names("/market-cap/coins"), await names("/market-cap/coins?sort=name")
    assert by_value[:2] == ["bitcoin", "coin:ETH"]
    assert sorted(by_value) == sorted(by_name)
    assert by_name[0] == "bitcoin"
    assert by_name[1] == "coin:BCH"
    async with ranked.get("/market-cap?sort=colour") as response:
        assert response.status == 400
        assert "value, name, price, change" in await response.text()


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

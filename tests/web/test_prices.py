"""Prices as web tells them: on pages, as JSON, in the reader's currency, by what is kept and as old as it is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest

from shared.asset_views import AssetSourcesView
from shared.domains import MARKET, MARKETCAP
from shared.events.prices import Rejected
from shared.outside.standing import OutsideSource
from shared.price_records import BAR, RATES, Bar
from shared.price_views import MarketSourcesView, PastPrice, PriceNow, PricesView, QuoteNow
from shared.prices import BEGINNING, FX, MILLION, NUMBERS
from shared.series import DAY, FX_DAYS, HOUR, MINUTE, PRICE_DAYS
from support.series_samples import bar, fill_prices, write
from support.web_harness import Running, serving, until
from support.web_samples import Writer

NOW = int(time.time())
RATE = 8.8  # SEK for a dollar


def price(currency: str, amount: str, **other: Any) -> PriceNow:
    known: dict[str, Any] = {
        "time_ms": NOW * 1000, "how": "direct", "agreed": True, "sources": ["kraken", "coinbase", "gemini"],
        "rejected": [], "changes": {"24h": PastPrice(time=NOW - DAY, price=Decimal(1), percent=-2.5)},
    }  # fmt: skip
    return PriceNow(currency=currency, price=Decimal(amount), **(known | other))


def asked(name: str, **other: Any) -> OutsideSource:
    known: dict[str, Any] = {
        "title": name.capitalize(), "link": "https://example.org", "state": "ok", "connected": True, "asked": 7,
        "answered": 6, "failed": 1, "messages": 40, "refused": 2, "refused_why": "no price", "well_ms": NOW * 1000,
        "error": "status 503", "error_ms": NOW * 1000, "again_ms": None, "limits": [(1, 1.0)],
    }  # fmt: skip
    return OutsideSource(name=name, **(known | other))


async def put(writer: Writer, *prices: PriceNow, sample: bool = False) -> None:
    """What market shows."""
    view = PricesView(prices={one.currency: one for one in prices}, fx_day="2026-05-29", sample=sample)
    quotes = [
        QuoteNow(source="kraken", currency="USD", price=Decimal(97_000), heard_ms=NOW * 1000, verdict="used",
                 apart_percent=-0.1),
        QuoteNow(source="gemini", currency="USD", price=Decimal(130_000), heard_ms=NOW * 1000, verdict="outlier",
                 apart_percent=34.0),
    ]  # fmt: skip
    sources = MarketSourcesView(sources=[asked("kraken"), asked("ecb", state="open")], quotes=quotes)
    await writer.redis.hset(
        writer.keys.views(MARKET),
        mapping={"prices": msgspec.json.encode(view), "market_sources": msgspec.json.encode(sources), "seq": 1},
    )
    others = AssetSourcesView(sources=[asked("ecb"), asked("yahoo", state="failing")])
    await writer.redis.hset(
        writer.keys.views(MARKETCAP), mapping={"asset_sources": msgspec.json.encode(others), "seq": 1}
    )


def shown_in(running: Running) -> set[str]:
    """The currencies in which web knows a price."""
    view = running.site.state.snapshot[PricesView]
    return set(view.prices) if view else set()


USUAL = (price("USD", "97412.30"), price("EUR", "84000.60"), price("SEK", "857000", how="cross"))


@pytest.fixture
async def market(valkey: str, writer: Writer) -> AsyncIterator[Running]:
    """Web over mainnet, with prices of now and of the past."""
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    await put(writer, *USUAL)
    await fill_prices(writer.redis, writer.keys, NOW)
    rates = tuple(RATE if name == "SEK" else 1.0 for name in FX)
    today = NOW // DAY
    await write(writer.redis, writer.keys, FX_DAYS, today - 9, (RATES.pack(rates) for _ in range(6)))
    async with serving(valkey) as running:
        await running.ready()
        await until(lambda: running.site.state.snapshot[PricesView])
        yield running


@pytest.fixture
async def web(market: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(market.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


async def page(web: aiohttp.ClientSession, path: str, status: int = 200, **headers: str) -> str:
    async with web.get(path, headers=headers) as response:
        assert response.status == status, await response.text()
        return await response.text()


async def told(web: aiohttp.ClientSession, path: str) -> Any:
    return json.loads(await page(web, path))


def card(html: str, name: str) -> str:
    return re.sub(r"\s+", " ", html.split(f'id="card-{name}"')[1].split("</section>", maxsplit=1)[0])


# --- pages -----------------------------------------------------------------------------------------------


async def test_the_overview_tells_the_price_and_what_things_are_worth(web: aiohttp.ClientSession) -> None:
    html = await page(web, "/")
    assert "$97,412" in card(html, "price")
    assert "2.50" in card(html, "price")
    assert re.search(r'<span class="worth">\$[\d.,]+ (T|bn)</span>', card(html, "supply"))
    assert 'class="worth"' in card(html, "fees")
    assert "sample" not in card(html, "price")


async def test_a_currency_is_chosen_by_the_address_or_kept_by_a_cookie(web: aiohttp.ClientSession) -> None:
    assert "€84,001" in card(await page(web, "/?currency=EUR"), "price")
    assert "857,000 SEK" in card(await page(web, "/?currency=sek"), "price")
    async with web.get("/currency?to=EUR&from=/mempool", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/mempool")
        kept = response.cookies["currency"].value
    assert "€84,001" in card(await page(web, "/", Cookie=f"currency={kept}"), "price")
    assert "$97,412" in card(await page(web, "/?currency=USD", Cookie=f"currency={kept}"), "price")
    for odd in ("/?currency=XXX", "/?currency=", "/?currency=%00"):
        assert "$97,412" in card(await page(web, odd), "price")
    assert "expected USD" in await page(web, "/currency?to=XXX", 400)
    async with web.get("/currency?to=EUR&from=//elsewhere.example", allow_redirects=False) as response:
        assert response.headers["Location"] == "/"


async def test_one_currency_does_not_show_in_another_readers_page(web: aiohttp.ClientSession) -> None:
    for _ in range(2):
        assert "$" not in card(await page(web, "/?currency=EUR"), "supply")
        assert "€" not in card(await page(web, "/"), "supply")


async def test_a_price_that_is_old_disputed_or_made_up_says_so(market: Running, writer: Writer) -> None:
    async with aiohttp.ClientSession(market.url) as web:
        await put(writer, price("USD", "90000", time_ms=(NOW - 900) * 1000, agreed=False))
        await writer.redis.hincrby(writer.keys.views(MARKET), "seq", 1)
        known = market.site.state
        await until(
            lambda: (
                (known.snapshot[PricesView] or PricesView(prices={}, fx_day="", sample=False)).prices.keys() == {"USD"}
            )
        )
        shown = card(await page(web, "/"), "price")
        assert "$90,000" in shown
        assert "the sources disagree" in shown
        assert "No exchange has said anything since" in shown
        assert "There is no price in EUR now" in card(await page(web, "/?currency=EUR"), "price")
        await put(writer, price("USD", "80000", sample=True), sample=True)
        await writer.redis.hincrby(writer.keys.views(MARKET), "seq", 2)
        await until(lambda: getattr(known.snapshot[PricesView], "sample", False))
        html = await page(web, "/")
        assert 'class="badge sample"' in card(html, "price")
        await until(lambda: known.changes["worth"])
        assert (await told(web, "/api/v1/prices"))["sample"] is True
        assert (await told(web, "/api/v1/overview"))["prices"]["sample"] is True


async def test_sources_are_shown_with_what_became_of_what_they_said(web: aiohttp.ClientSession) -> None:
    html = await page(web, "/charts/price/sources")
    assert "far from the others" in card(html, "quotes")
    assert "$97,412" in card(html, "price_rule")
    status = card(await page(web, "/status"), "outside")
    for name in ("Kraken", "Ecb", "Yahoo"):
        assert status.count(f">{name}<") == 1


async def test_status_and_metrics_tell_the_sources_of_both_services(market: Running) -> None:
    async with aiohttp.ClientSession(market.admin) as desk:
        found = {one["name"]: one for one in (await told(desk, "/api/v1/status"))["sources"]}
        assert {name: one["state"] for name, one in found.items()} == {
            "kraken": "ok", "ecb": "open", "yahoo": "failing",
        }  # fmt: skip
        assert found["kraken"]["refused"] == 2
        metrics = await page(desk, "/metrics")
    assert 'outside_ok{source="kraken"} 1.0' in metrics
    assert 'outside_ok{source="yahoo"} 0.0' in metrics
    assert 'outside_failed_total{source="ecb"} 1.0' in metrics


# --- JSON ------------------------------------------------------------------------------------------------


async def test_prices_are_whole_and_what_is_not_known_is_left_out(web: aiohttp.ClientSession) -> None:
    assert await told(web, "/api/v1/prices") == {"time": NOW, "USD": 97_412, "EUR": 84_001}
    overview = (await told(web, "/api/v1/overview"))["prices"]
    assert overview == {"USD": 97_412.3, "EUR": 84_000.6, "time": NOW, "sample": False}


async def test_without_a_price_there_is_none(bare: Running) -> None:
    async with aiohttp.ClientSession(bare.url) as web:
        for path in ("/api/v1/prices", "/api/v1/historical-price", f"/api/v1/historical-price?timestamp={NOW - DAY}"):
            async with web.get(path) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "5"), path


@pytest.mark.parametrize(
    ("back", "step", "resolution"), [(HOUR, MINUTE, "minute"), (9 * DAY, HOUR, "hour"), (3_000 * DAY, DAY, "day")]
)
async def test_a_price_for_every_moment(web: aiohttp.ClientSession, back: int, step: int, resolution: str) -> None:
    moment = NOW - back
    found = await told(web, f"/api/v1/historical-price?currency=USD&timestamp={moment}")
    begins = moment // step * step
    assert found["prices"] == [{"time": begins, "USD": bar(begins).close / MILLION}]
    assert (found["resolution"], found["source"]) == ({"USD": resolution}, {"USD": "bitstamp"})


async def test_other_currencies_go_through_the_rate_of_the_day_or_a_few_days_before(web: aiohttp.ClientSession) -> None:
    moment = NOW - HOUR
    found = await told(web, f"/api/v1/historical-price?currency=SEK&timestamp={moment}")
    close = bar(moment // MINUTE * MINUTE).close / MILLION
    assert found["prices"][0]["SEK"] == pytest.approx(close * RATE, abs=0.01)
    assert found["source"] == {"SEK": "cross"}
    async with web.get(f"/api/v1/historical-price?currency=SEK&timestamp={NOW - 60 * DAY}") as response:
        assert response.status == 503  # no rate is known of that time


async def test_every_day_since_2010(web: aiohttp.ClientSession, writer: Writer) -> None:
    days = (await told(web, "/api/v1/historical-price?currency=USD"))["prices"]
    assert (days[0]["time"], days[-1]["time"]) == (NOW // DAY * DAY, BEGINNING)
    assert len(days) == NOW // DAY - BEGINNING // DAY + 1
    made_up = Bar(MILLION, MILLION, MILLION, MILLION, NUMBERS["sample"])
    await write(writer.redis, writer.keys, PRICE_DAYS["USD"], BEGINNING // DAY, [BAR.pack(made_up)])
    assert (await told(web, f"/api/v1/historical-price?currency=USD&timestamp={BEGINNING}"))["source"] == {
        "USD": "sample"
    }
    assert (await told(web, "/api/v1/historical-price?currency=SEK&timestamp=" + str(NOW - HOUR)))["source"] == {
        "SEK": "cross"
    }
    everything = await told(web, "/api/v1/historical-price")
    assert everything["sample"] is True


@pytest.mark.parametrize(
    "query",
    ["currency=XXX", f"timestamp={BEGINNING - 1}", f"timestamp={NOW + 10_000}", "timestamp=now", "timestamp=-5"],
    ids=["no currency", "before the beginning", "not yet", "no number", "negative"],
)
async def test_what_cannot_be_asked_is_said(web: aiohttp.ClientSession, query: str) -> None:
    text = await page(web, f"/api/v1/historical-price?{query}", 400)
    assert "expected" in text


# --- the chart -------------------------------------------------------------------------------------------


async def test_the_chart_is_another_in_each_currency(web: aiohttp.ClientSession) -> None:
    dollars = await told(web, "/api/v1/charts/price?range=1d")
    crowns = await told(web, "/api/v1/charts/price?range=1d&currency=SEK")
    assert (dollars["unit"], crowns["unit"]) == ("USD", "SEK")
    last = [found["series"][0]["points"][-1][1] for found in (dollars, crowns)]
    assert last[1] == pytest.approx(last[0] * RATE)
    html = await page(web, "/charts/price?range=1m&currency=SEK")
    assert "Price of one bitcoin in SEK" in html
    assert "range=1y&amp;currency=SEK" in html
    assert (await told(web, "/api/v1/charts/price?range=1d"))["unit"] == "USD"


async def test_a_rejected_quote_is_named(market: Running, writer: Writer) -> None:
    left_out = Rejected(source="bitfinex", price=Decimal(50_000), why="frozen")
    await put(writer, price("USD", "97000", rejected=[left_out]))
    await writer.redis.hincrby(writer.keys.views(MARKET), "seq", 1)
    async with aiohttp.ClientSession(market.url) as web:
        await until(lambda: shown_in(market) == {"USD"})
        assert "says the same over and over" in card(await page(web, "/charts/price/sources"), "price_rule")

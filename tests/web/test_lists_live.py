"""Lists over the live stream: what is another and no more, once a second at most, made once for all and never for
nobody."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from shared.asset_views import RANKINGS
from shared.domains import MARKETCAP
from support.each import each
from support.ranking_samples import Rankings, rates
from support.web_harness import Events, Running, until
from support.web_samples import Writer
from web.pages.found import CARDS, LIVE, LONG
from web.pages.rendering import LONG_KEPT, Pages, Rendered
from web.push import live
from web.push.rows import thinned
from web.words.currency import CURRENCIES, counting

COINS = "market_cap_coins"


@pytest.fixture
async def rankings(site: Running, writer: Writer) -> Rankings:
    """At a price of $ 100,000."""
    found = Rankings(writer)
    await rates(writer)
    await found.at(100_000)
    await until(lambda: site.site.state.snapshot.has(MARKETCAP.name))
    return found


@contextlib.asynccontextmanager
async def listening(site: Running, pages: str, currency: str = "USD") -> AsyncIterator[Events]:
    async with (
        aiohttp.ClientSession(site.url, read_bufsize=2**22) as http,
        http.get("/live", params={"pages": pages, "currency": currency, "language": "en"}) as response,
    ):
        assert response.status == 200, await response.text()
        yield Events(response)


async def card(events: Events, name: str = COINS) -> str:
    """The next state of a card."""
    async with asyncio.timeout(10):
        while True:
            message = await events.next()
            if message.event == "cards" and name in message.data:
                return str(message.data[name])


async def moved(site: Running, rankings: Rankings, price: float) -> None:
    """The price is another, and web knows."""
    await rankings.at(price)

    def known() -> bool:
        view: Any = site.site.state.snapshot[RANKINGS["coins"]]
        return bool(view and float(view.rows[0].price_usd) == price)

    await until(known)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The long cards that were rendered, by their names."""
    found: list[str] = []
    original = Pages._made

    def counted(self: Pages, declared: Any, **instead: Any) -> Rendered:
        rendered = original(self, declared, **instead)
        if declared.long:
            render = rendered._render

            def counting_render() -> str:
                found.append(declared.name)
                return render()

            rendered._render = counting_render
        return rendered

    monkeypatch.setattr(Pages, "_made", counted)
    return found


async def test_an_open_page_is_sent_the_rows_that_are_others(site: Running, rankings: Rankings) -> None:
    async with listening(site, "market_cap.coins") as events:
        whole = await card(events)
        keys = re.findall(r'<tr data-key="([^"]+)"', whole)
        assert "data-same" not in whole
        assert "$100,000" in whole
        await moved(site, rankings, 101_000)
        part = await card(events)
        assert re.findall(r'<tr data-key="([^"]+)"', part) == keys, "every row is named, in its place"
        sent = set(re.findall(r'<tr data-key="([^"]+)" data-place', part))
        assert "bitcoin" in sent
        assert "$101,000" in part
        assert len(part) < len(whole)
        assert set(re.findall(r'<tr data-key="([^"]+)" data-same>', part)) == {*keys} - sent


async def test_it_is_sent_once_a_second_at_most_and_the_last_state_in_the_end(
    site: Running, rankings: Rankings
) -> None:
    async with listening(site, "market_cap.coins") as events:
        await card(events)
        moments: list[float] = []

        async def heard(price: str) -> None:
            while price not in (part := await card(events)):
                moments.append(time.monotonic())
                assert "bitcoin" in part
            moments.append(time.monotonic())

        waiting = asyncio.create_task(heard("$104,900"))
        for price in range(100_100, 105_000, 100):
            await moved(site, rankings, price)
        await asyncio.wait_for(waiting, 5)
        assert len(moments) > 1
        assert each(late - early > 0.8 for early, late in itertools.pairwise(moments))


async def test_who_comes_between_two_sendings_is_not_left_behind(site: Running, rankings: Rankings) -> None:
    async with listening(site, "market_cap.coins") as one:
        await card(one)
        await moved(site, rankings, 101_000)
        assert "$101,000" in await card(one)
        await moved(site, rankings, 102_000)  # is sent a second later
        async with listening(site, "market_cap.coins") as other:
            assert "$102,000" in await card(other)
            await moved(site, rankings, 101_000)  # what the first one has, and the other one does not
            back = await card(other)
            assert "$101,000" in back
            assert "data-same" not in back, "of what it has nobody knows enough to leave anything out"


async def test_one_rendering_serves_all_readers_of_a_kind(made: list[str], site: Running, rankings: Rankings) -> None:
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(listening(site, "market_cap.coins")) for _ in range(5)]
        firsts = [await card(events) for events in clients]
        assert len(set(firsts)) == 1
        made.clear()
        await moved(site, rankings, 101_000)
        parts = [await card(events) for events in clients]
        assert len(set(parts)) == 1
        assert made == [COINS]
        async with aiohttp.ClientSession(site.url) as http:
            for _ in range(3):
                async with http.get("/market-cap/coins") as response:
                    assert "$101,000" in await response.text()
        assert made == [COINS], "the page is made of the same card"
        async with listening(site, "market_cap.coins", "EUR") as events:
            assert "€80,800" in await card(events)
        assert made == [COINS, COINS]


async def test_nothing_is_rendered_for_nobody(made: list[str], site: Running, rankings: Rankings) -> None:
    async with listening(site, "market_cap.coins") as events:
        await card(events)
    await until(lambda: not any(one.clients for one in site.site._live.audiences()))
    async with listening(site, "treasuries.funds") as events:
        await card(events, "treasuries_funds")
        made.clear()
        await moved(site, rankings, 101_000)
        await card(events, "treasuries_funds")
        assert set(made) == {"treasuries_funds"}
    await until(lambda: not any(one.clients for one in site.site._live.audiences()))
    made.clear()
    async with aiohttp.ClientSession(site.url) as http, http.get("/readyz") as response:
        await response.read()
    await moved(site, rankings, 102_000)
    assert made == []


async def test_few_are_kept(site: Running, rankings: Rankings) -> None:
    del rankings
    pages = site.site._pages
    for currency in CURRENCIES:
        with counting(currency):
            for name in LONG:
                assert pages.cards([name])[name].html
    kept = [one for cards in pages._cards.values() for name, one in cards.items() if name in LONG and one.html]
    assert len(CURRENCIES) * len(LONG) > LONG_KEPT
    assert len(kept) == LONG_KEPT
    with counting(CURRENCIES[0]):
        assert "bitcoin" in pages.cards([COINS])[COINS].html, "what was forgotten is made again"


async def test_audiences_of_nobody_are_forgotten(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "AUDIENCES", 3)
    async with listening(site, "blocks") as stays:
        await stays.next()
        for page in ("mempool", "status", "api", "charts", "overview"):
            async with listening(site, page) as events:
                await events.next()
            await until(lambda: not any(one.held for one in site.site._live.audiences() if not one.clients))
        assert len(list(site.site._live.audiences())) <= 4
        assert any(one.clients for one in site.site._live.audiences())


async def test_each_list_is_a_view_of_its_page() -> None:
    assert LIVE["market_cap.coins"][-1] == COINS
    assert {name for name in LIVE if "." in name} == {
        *(f"market_cap.{name}" for name in ("all", "coins", "companies", "commodities", "currencies")),
        *(f"treasuries.{name}" for name in ("companies", "countries", "funds")),
    }
    assert each(CARDS[name].long for name in LONG)


LINES = ["<div>", '<tr data-key="a" class="own"><td>1</td></tr>', '<tr data-key="b"><td>2</td></tr>', "</div>"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda lines: lines, ["a", "b"]),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], ["b", "a"]),  # in another order
        (lambda lines: [*lines[:2], lines[2].replace("2", "3"), lines[3]], ["a"]),
        (lambda lines: [*lines[:2], lines[2].replace("</td>", "</td>\n"), lines[3]], ["a"]),  # no row of one line
    ],
)
def test_rows_that_are_as_before_are_named(change: Callable[[list[str]], list[str]], same: list[str]) -> None:
    html = "\n".join(change(LINES))
    found = thinned(html, html, "\n".join(LINES))
    assert re.findall(r'<tr data-key="(\w)" data-same></tr>', found) == same
    assert found.startswith("<div>")
    assert found.endswith("</div>")


def test_a_card_of_which_nobody_can_tell_the_lines_is_sent_whole() -> None:
    html = "\n".join(LINES)
    assert thinned(html, html + "\nmore", html) == html

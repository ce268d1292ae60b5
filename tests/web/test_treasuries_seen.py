"""What was seen at published addresses, beside the claim: as a page, as JSON, and on an open page."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from marketcap import published
from shared.domains import MARKETCAP, MOVES, TREASURIES
from shared.events.treasuries import TreasuriesSeen
from shared.explorer_views import SeenAddress, SeenHolder, SeenMove, SeenTreasuriesView, Unseen
from shared.keys import FOLDED_SEQ
from shared.networks import COIN
from support.markup import Balanced, words
from support.ranking_samples import Rankings
from support.web_harness import Events, Running, until
from support.web_samples import Writer
from web.state.checked import WHY

KEY = "country:el salvador"
[ADDRESS] = [one.address for one in published.addresses()[KEY]]
CLAIM = 7_500 * COIN
TXID = "ab" * 32


@pytest.fixture
async def http(site: Running, writer: Writer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client; marketcap has told of El Salvador, which published an address."""
    await Rankings(writer).at(100_000)
    await until(lambda: site.site.state.snapshot.has(MARKETCAP.name))
    async with aiohttp.ClientSession(site.url) as session:
        yield session


def holder(confirmed: int | None, *further: SeenAddress, why: Unseen = "", **more: Any) -> SeenHolder:
    known = confirmed is not None
    now_ms = int(time.time() * 1000)
    address = SeenAddress(
        address=ADDRESS, confirmed=confirmed, unconfirmed=0 if known else None, height=958_000 if known else None,
        as_of_ms=now_ms if known else None, since_ms=now_ms if known else None, why=why,
    )  # fmt: skip
    told = {"unconfirmed": address.unconfirmed, "moves": [], "seen": int(known)} | more
    return SeenHolder(
        key=KEY, name="El Salvador", addresses=[address, *further], confirmed=confirmed, height=address.height,
        as_of_ms=address.as_of_ms, since_ms=address.since_ms, **told,
    )  # fmt: skip


async def seen(site: Running, writer: Writer, *holders: SeenHolder, source: Any = "electrum", seq: int = 1) -> None:
    """The explorer says so, and web knows."""
    view = SeenTreasuriesView(holders=list(holders), source=source)
    fields = {"seen_treasuries": msgspec.json.encode(view), FOLDED_SEQ: seq}
    await writer.redis.hset(writer.keys.views(TREASURIES), mapping=fields)
    event = TreasuriesSeen(holders=1, addresses=1, seen=1, height=958_000, time_ms=int(time.time() * 1000))
    await writer.add(writer.keys.stream(MOVES), event)
    await until(lambda: site.site.state.snapshot[SeenTreasuriesView] == view)


async def row(http: aiohttp.ClientSession) -> dict[str, Any]:
    async with http.get("/api/v1/treasuries/countries") as response:
        found = await response.json()
    [told] = [one for one in found["treasuries"] if one["name"] == "El Salvador"]
    assert [one["address"] for one in told["addresses"]] == [ADDRESS]
    assert next(one["seen"] for one in found["treasuries"] if not one["addresses"]) is None
    return dict(told)


async def page(http: aiohttp.ClientSession, language: str = "en") -> str:
    async with http.get("/treasuries/countries", headers={"Accept-Language": language}) as response:
        html = await response.text()
    assert response.status == 200
    assert Balanced(html).inline == []
    assert "cannot be shown" not in words(html)
    return html


def of_row(html: str) -> str:
    return words(html.split(f'<tr data-key="seen {KEY}"')[1].partition(">")[2].split("</tr>")[0]).replace("\xa0", " ")


async def test_what_lies_there_stands_beside_the_claim(
    site: Running, writer: Writer, http: aiohttp.ClientSession
) -> None:
    move = SeenMove(
        address=ADDRESS, confirmed_delta=-COIN, unconfirmed_delta=0, height=957_990, time_ms=1_780_000_000_000,
        txid=TXID,
    )  # fmt: skip
    await seen(site, writer, holder(7_400 * COIN, unconfirmed=-COIN // 2, moves=[move]))
    told = (await row(http))["seen"]
    assert (told["confirmed"], told["difference"], told["unconfirmed"]) == (7_400 * COIN, -100 * COIN, -COIN // 2)
    assert (told["height"], told["source"], told["why"], told["addresses"]) == (958_000, "electrum", None, 1)
    assert told["moves"][0]["txid"] == TXID
    html = await page(http)
    shown = of_row(html)
    for text in ("7,500.00 BTC", "7,400.00 BTC", "−100 BTC", "height 958,000", "by an Electrum server"):  # noqa: RUF001
        assert text in shown, text
    assert "−0.5 BTC in the mempool" in shown  # noqa: RUF001
    assert "−1 BTC" in shown  # noqa: RUF001
    assert f'href="/tx/{TXID}"' in html
    assert "seen: 7,400.00 BTC" in words(html).replace("\xa0", " ")
    assert "Unterschied" in words(await page(http, "de"))


async def test_without_a_move_it_says_since_when_and_a_scan_is_named(
    site: Running, writer: Writer, http: aiohttp.ClientSession
) -> None:
    await seen(site, writer, holder(CLAIM, unconfirmed=None), source="scan")
    told = (await row(http))["seen"]
    assert (told["difference"], told["unconfirmed"], told["source"], told["moves"]) == (0, None, "scan", [])
    shown = of_row(await page(http))
    assert "by a scan of the node's coins" in shown.replace("&#39;", "'")
    assert "none since" in shown


@pytest.mark.parametrize("why", [why for why in WHY if why != "absent"])
async def test_what_is_not_seen_says_why_and_is_no_zero(
    site: Running, writer: Writer, http: aiohttp.ClientSession, why: Unseen
) -> None:
    await seen(site, writer, holder(None, why=why))
    told = await row(http)
    assert (told["seen"]["confirmed"], told["seen"]["difference"], told["seen"]["why"]) == (None, None, why)
    assert (told["addresses"][0]["confirmed"], told["addresses"][0]["why"]) == (None, why)
    html = await page(http)
    assert of_row(html).count("unknown") == 3
    assert WHY[why] in of_row(html)
    assert (f'href="/address/{ADDRESS}"' in html) == (why not in ("network", "unreadable"))
    assert " 0 sat" not in of_row(html)


async def test_one_of_two_that_is_not_seen_leaves_the_difference_unknown(
    site: Running, writer: Writer, http: aiohttp.ClientSession
) -> None:
    other = SeenAddress(
        address="other", confirmed=None, unconfirmed=None, height=None, as_of_ms=None, since_ms=None, why="refused"
    )
    await seen(site, writer, holder(7_400 * COIN, other))
    told = (await row(http))["seen"]
    assert (told["confirmed"], told["difference"], told["why"]) == (7_400 * COIN, None, "refused")
    shown = of_row(await page(http))
    assert "at 1 of 2 addresses" in shown
    assert WHY["refused"] in shown


async def test_where_nobody_looks_it_says_so(http: aiohttp.ClientSession) -> None:
    told = await row(http)
    assert (told["seen"]["why"], told["seen"]["confirmed"], told["addresses"][0]["why"]) == ("absent", None, "absent")
    assert WHY["absent"] in of_row(await page(http))


async def test_an_open_page_is_told_at_once(site: Running, writer: Writer, http: aiohttp.ClientSession) -> None:
    await seen(site, writer, holder(7_400 * COIN))
    query = {"pages": "treasuries.countries", "language": "en"}
    async with http.get("/live", params=query) as response:
        events = Events(response)

        async def card(text: str) -> None:
            while True:
                message = await events.next()
                if message.event == "cards" and text in str(message.data.get("treasuries_countries", "")):
                    return

        await card("7,400.00")
        await seen(site, writer, holder(7_300 * COIN), seq=2)
        await card("7,300.00")
    told = (await row(http))["seen"]
    assert told["confirmed"] == 7_300 * COIN

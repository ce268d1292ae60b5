"""Ranks of the past: as marketcap keeps them, read for pages and JSON; a day that is not known is a gap."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Final

import aiohttp
import msgspec
import pytest

from marketcap import sample
from marketcap.board import Board
from marketcap.fold import RankingFold
from shared.asset_views import RANKINGS, RankingView
from shared.assets import LISTS
from shared.clock import Moment
from shared.domains import MARKETCAP
from shared.events.base import Event
from shared.events.prices import PriceUpdated
from shared.events.rankings import AssetsTold
from shared.keys import Keys
from shared.series import DAY
from support.web_harness import Running, until
from support.web_samples import Writer
from web.pages.market_cap import ranks as pictures
from web.ranks.past import Past, Place
from web.ranks.store import TOGETHER

NOW: Final = int(time.time())
TODAY: Final = NOW // DAY


def fold_of(keys: Keys) -> RankingFold:
    """What sources say of a few assets, as if it were not made up, at a price of $ 100,000."""
    board, fold = Board(keys), RankingFold(keys)
    board.pretend(sample.made(NOW))
    for event in board.flush(NOW * 1000).events:
        fold.apply(msgspec.structs.replace(event, sample=False) if isinstance(event, AssetsTold) else event)
    price = PriceUpdated(
        currency="USD", price=Decimal(100_000), change_24h_percent=1.5, how="direct", agreed=True, sources=["kraken"],
        rejected=[], time_ms=NOW * 1000,
    )  # fmt: skip
    fold.apply(price)
    return fold


async def put(writer: Writer, *, made_up: bool = False) -> dict[str, RankingView]:
    """Write what the fold shows and what it remembers of today; returns the lists."""
    fold = fold_of(writer.keys)
    fold.kept.own = msgspec.structs.replace(fold.kept.own, height=954_210, sample=made_up)
    changes = fold.flush(Moment(0, 1))
    lists = {name: msgspec.json.decode(fold.shown[f"ranking_{name}"], type=RANKINGS[name]) for name in LISTS}
    arguments = list(changes.commands.arguments)
    while arguments:
        length = int(arguments[0])
        command, index, *rest = arguments[1 : length + 1]
        del arguments[: length + 1]
        await writer.redis.execute_command(str(command), changes.commands.keys[int(index) - 3], *rest)
    events: list[Event] = changes.events
    await writer.add(writer.keys.stream(MARKETCAP.announces), *events)
    return lists


async def keep(writer: Writer, name: str, day: int, *ranked: tuple[str, int]) -> None:
    """The ranks of a day, as they were written then."""
    rows = [(asset, rank, 10**12) for asset, rank in ranked]
    await writer.redis.hset(writer.keys.ranks(name), str(day), msgspec.json.encode(rows))


@pytest.fixture
async def lists(writer: Writer, site: Running) -> dict[str, RankingView]:
    found = await put(writer)
    await until(lambda: site.site.state.snapshot.has(MARKETCAP.name))
    return found


@pytest.fixture
async def web(site: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as session:
        yield session


async def page(web: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with web.get(path) as response:
        assert response.status == status, await response.text()
        return await response.text()


async def told(web: aiohttp.ClientSession, path: str) -> Any:
    return json.loads(await page(web, path))


def row_of(html: str, asset: str) -> str:
    return html.split(f'<tr data-key="{asset}"')[1].partition("</th>")[0]


# --- JSON ------------------------------------------------------------------------------------------------


async def test_what_marketcap_writes_is_what_web_reads(
    web: aiohttp.ClientSession, lists: dict[str, RankingView], writer: Writer
) -> None:
    for name, view in lists.items():
        found = await told(web, f"/api/v1/market-cap/{name}/history")
        [own] = [row for row in view.rows if row.kind == "bitcoin"]
        expected = {"time": TODAY * DAY, "rank": view.bitcoin_rank, "value_usd": round(own.value_usd)}
        assert found == {"class": name, "bitcoin": [expected], "ranks": {"1d": None, "1w": None, "1m": None}}


async def test_days_that_are_not_known_are_left_out(
    web: aiohttp.ClientSession, lists: dict[str, RankingView], writer: Writer
) -> None:
    for back in (300, 30, 7, 2):
        await keep(writer, "all", TODAY - back, ("gold", 1), ("bitcoin", back))
    await keep(writer, "all", TODAY - 5, ("gold", 1))
    await writer.redis.hset(writer.keys.ranks("all"), str(TODAY - 4), b"[[1]]")
    found = await told(web, "/api/v1/market-cap/all/history")
    assert [(one["time"] // DAY - TODAY, one["rank"]) for one in found["bitcoin"]] == [
        (-300, 300), (-30, 30), (-7, 7), (-2, 2), (0, lists["all"].bitcoin_rank),
    ]  # fmt: skip
    assert found["ranks"] == {"1d": None, "1w": {"gold": 1, "bitcoin": 7}, "1m": {"gold": 1, "bitcoin": 30}}


async def test_a_list_that_there_is_not(web: aiohttp.ClientSession) -> None:
    assert "expected one of all, coins" in await page(web, "/api/v1/market-cap/houses/history", 404)
    assert (await told(web, "/api/v1/market-cap/coins/history"))["bitcoin"] == []


async def test_years_are_read_once_and_then_only_the_newest_days(
    site: Running, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for back in range(200):
        await keep(writer, "all", TODAY - back, ("bitcoin", 8))
    store, asked = site.site._ranks, []
    client = store._client
    whole = client.hmget

    async def counted(key: str, days: list[int]) -> Any:
        asked.append(len(days))
        return await whole(key, days)

    monkeypatch.setattr(client, "hmget", counted)
    first = await store.past("all")
    assert len(first.places) == 200
    assert max(asked) <= TOGETHER
    assert sum(asked) == 200 + 3
    asked.clear()
    monkeypatch.setattr(store, "_now", lambda: NOW + 60)
    assert await store.past("all") is first, "nothing is another: pages made of it stand"
    assert sum(asked) <= 2 + 3
    await keep(writer, "all", TODAY, ("bitcoin", 3))
    await writer.redis.hdel(writer.keys.ranks("all"), str(TODAY - 199))
    monkeypatch.setattr(store, "_now", lambda: NOW + 120)
    later = await store.past("all")
    assert (len(later.places), later.places[-1].rank) == (199, 3)


async def test_without_redis_the_last_that_was_known_is_shown(
    web: aiohttp.ClientSession, site: Running, lists: dict[str, RankingView], writer: Writer
) -> None:
    await writer.redis.delete(writer.keys.ranks("coins"))
    await writer.redis.set(writer.keys.ranks("coins"), "no hash")
    async with web.get("/api/v1/market-cap/coins/history") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
    html = await page(web, "/market-cap/coins")
    assert "<tbody>" in html
    assert "plot small" not in html


# --- pages -----------------------------------------------------------------------------------------------


async def test_pages_show_the_rank_over_time_and_how_it_moved(
    web: aiohttp.ClientSession, lists: dict[str, RankingView], writer: Writer
) -> None:
    for name, view in lists.items():
        now = {row.id: row.rank for row in view.rows}
        others = [asset for asset in now if asset != "bitcoin"]
        moved = {"bitcoin": now["bitcoin"] + 2, others[0]: now[others[0]], others[1]: now[others[1]] - 1}
        await keep(writer, name, TODAY - 7, *moved.items())
        await keep(writer, name, TODAY - 30, ("bitcoin", now["bitcoin"] + 1))
        html = await page(web, f"/market-cap/{name}")
        assert re.search(
            r'<div class="plot small"><svg class="drawing" role="img" aria-label="Bitcoin&#39;s rank', html
        )
        assert f"/api/v1/market-cap/{name}/history" in html
        assert "against a week ago" in html
        own = row_of(html, "bitcoin")
        assert 'class="moved change up"' in own
        assert "▲&nbsp;2<" in own
        assert "2 places up against a week ago; 1 place up against a month ago" in own
        assert ">=</span>" in row_of(html, others[0])
        assert "▼&nbsp;1<" in row_of(html, others[1])
        for asset in others[2:]:
            assert "moved" not in row_of(html, asset), asset


async def test_made_up_ranks_are_compared_with_nothing(
    web: aiohttp.ClientSession, site: Running, writer: Writer
) -> None:
    await put(writer, made_up=True)
    assert not await writer.redis.exists(writer.keys.ranks("all"))
    await keep(writer, "all", TODAY - 7, ("bitcoin", 1))
    await until(lambda: site.site.state.snapshot.has(MARKETCAP.name))
    html = await page(web, "/market-cap")
    assert 'class="badge sample"' in html
    assert "plot small" not in html
    assert 'class="moved' not in html


def past(*places: tuple[int, int]) -> Past:
    return Past("all", tuple(Place(day, rank, 1) for day, rank in places), {})


def test_the_first_rank_is_on_top_and_gaps_stay_gaps() -> None:
    svg = str(pictures.picture(past((100, 1), (101, 4), (110, 2), (113, 2))))
    [path] = re.findall(r'<path class="stroke c0" d="([^"]+)"', svg)
    assert path == "M0 125H143V875H286V875M1429 375H1571V375M1857 375H2000"
    assert re.findall(r'<text class="v"[^>]*>(\d+)<', svg) == ["4", "3", "2", "1"]
    assert pictures.picture(past()) == ""


def test_one_day_alone_is_a_step_too() -> None:
    svg = str(pictures.picture(past((100, 9))))
    assert re.search(r'd="M1857 \d+H2000"', svg)


@pytest.mark.parametrize("worst", [1, 2, 3, 9, 17, 40, 101, 1_234])
def test_few_ranks_are_named(worst: int) -> None:
    svg = str(pictures.picture(past((1, 1), (2, worst))))
    named = [int(label) for label in re.findall(r'<text class="v"[^>]*>(\d+)<', svg)]
    assert named[0] >= worst
    assert named[-1] == 1
    assert len(named) <= 6
    assert named == sorted(set(named), reverse=True)


def test_each_period_is_marked_if_none_better_is_known() -> None:
    known: dict[str, dict[str, int]] = {"1m": {"x": 5}}
    assert Past("all", (), known).marked == "1m"
    known["1d"] = {"x": 4}
    assert Past("all", (), known).marked == "1d"
    known["1w"] = {"x": 9}
    found = Past("all", (), known)
    assert (found.marked, found.moves("x", 6), found.moves("y", 6)) == ("1w", {"1m": -1, "1d": -2, "1w": 3}, {})
    assert Past("all", (), {}).marked == ""

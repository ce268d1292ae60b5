"""Rankings: the page of 250 coins, from state and again, and the memory of marketcap with full tables."""

from __future__ import annotations

import contextlib
import gzip
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

import aiohttp
from aiohttp import web
from msgspec.structs import replace as _with

from bench.figures import Figure, percentile
from shared.asset_views import RANKINGS, TREASURIES, NodesView, RankingView
from shared.assets import MOST
from shared.domains import MARKETCAP
from support.full_sources import FullSources, prices
from support.stack import Stack, memory, until
from support.web_harness import Running, serving
from web.app import keep

PAGE: Final = "/market-cap/coins"
TIMES: Final = 200
FIRST_TARGET_MS, AGAIN_TARGET_MS = 50.0, 5.0
MEMORY_TARGET_MB: Final = 80.0


async def measure(stack: Stack) -> list[Figure]:
    """On a stack whose price is known: marketcap asks sources as large as the true ones."""
    async with FullSources() as world:
        await stack.redis.hset(stack.keys.asset_answers, "shares", prices(int(time.time())))
        await stack.start("marketcap", OUTSIDE="on", OUTSIDE_URL=world.url)
        await until(lambda: _full(stack), 60, "all tables are full")
        used = memory(stack.pid("marketcap")) / 1e6
        async with serving(stack.valkey.url, network="regtest") as site:
            keep()  # as the service does
            figures = await _page(site)
        return [*figures, Figure("memory of marketcap, with full tables", used, "MB", MEMORY_TARGET_MB)]


async def _full(stack: Stack) -> bool:
    """Whether every list, table and count is there."""
    lists = [await stack.view(RANKINGS[name]) for name in ("coins", "companies", "commodities", "currencies")]
    holders = [await stack.view(kind) for kind in TREASURIES.values()]
    nodes = await stack.view(NodesView)
    return all(lists) and all(holders) and nodes is not None and len(lists[0].rows if lists[0] else ()) >= MOST


async def _page(site: Running) -> list[Figure]:
    kind, state = RANKINGS["coins"], site.site.state

    async def known() -> bool:
        return state.snapshot[kind] is not None

    await until(known, 10, "web knows the ranking")
    async with aiohttp.ClientSession(auto_decompress=False) as session:  # as it comes: the client's work is not web's
        _, body = await _get(session, site.url + PAGE)
        rows = gzip.decompress(body).count(b"<tr data-key=")
        assert rows >= MOST, rows
        async with _bare(body) as bare:
            first, bitcoin, again, alone = list[float](), list[float](), list[float](), list[float]()
            for turn in range(TIMES):
                for times, which in ((first, _all_moved), (bitcoin, _bitcoin_moved)):
                    view = state.snapshot[kind]
                    assert isinstance(view, RankingView)
                    moved = which(view, Decimal(1) + Decimal(turn % 7 - 3) / 1_000)
                    views = {**state.snapshot.views, kind: moved}  # as after an event
                    state.snapshot = replace(state.snapshot, views=views)
                    state._announce({MARKETCAP.name})  # so that the card is made anew as well
                    times.append((await _get(session, site.url + PAGE))[0])
                again.append((await _get(session, site.url + PAGE))[0])
                alone.append((await _get(session, bare))[0])
    name = f"{PAGE} ({rows} rows, {len(body):,} B gzip)"
    return [
        Figure(f"{name}, {how}, p{share} of {TIMES}", percentile(times, share), "ms", target if share == 99 else None,
               baseline=percentile(alone, share), baseline_name="ms bare handler")
        for how, times, target in (
            ("every price another", first, FIRST_TARGET_MS),
            ("Bitcoin's price another", bitcoin, FIRST_TARGET_MS),
            ("again", again, AGAIN_TARGET_MS),
        )
        for share in (50, 99)
    ]  # fmt: skip


def _all_moved(view: RankingView, factor: Decimal) -> RankingView:
    rows = [_with(row, value_usd=row.value_usd * factor, price_usd=row.price_usd * factor) for row in view.rows]
    return _with(view, rows=rows)


def _bitcoin_moved(view: RankingView, factor: Decimal) -> RankingView:
    """What others are worth stays, and is another part of what bitcoin is worth."""
    rows = [
        _with(row, value_usd=row.value_usd * factor, price_usd=row.price_usd * factor)
        if row.kind == "bitcoin"
        else _with(row, index=row.index and row.index / factor)
        for row in view.rows
    ]
    return _with(view, rows=rows)


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[float, bytes]:
    """Milliseconds, and the body."""
    began = time.perf_counter()
    async with session.get(url) as response:
        body = await response.read()
        assert response.status == 200, body[:200]
    return (time.perf_counter() - began) * 1000, body


@contextlib.asynccontextmanager
async def _bare(body: bytes) -> AsyncIterator[str]:
    """The address of a handler that answers with these bytes and does nothing else, in the same process as web."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/html", headers={"Content-Encoding": "gzip"})

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()

"""Prices: from an exchange's message to a client, messages taken in a second, the whole chart; and rankings."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from bench import asset_load
from bench.figures import Figure, percentile
from shared.domains import MARKET
from shared.price_views import MarketSourcesView, PricesView
from shared.prices import DIRECT
from support.exchanges import START, Exchanges
from support.stack import Stack, memory, until

ROUNDS: Final = 60
FLOOD_SECONDS: Final = 5.0
AGAIN: Final = 200

AROUND: Final = {"kraken": 0.99, "bitstamp": 0.995, "bitfinex": 1.005, "gemini": 1.01}
"""Coinbase is the median, so that what it says is the price."""


async def measure(folder: Path) -> list[Figure]:
    """All figures of prices and rankings, on a stack of their own."""
    folder.mkdir()
    async with Exchanges(pace=5, factors=dict(AROUND)) as world, Stack(folder) as stack:
        stack.extra_env |= {"LOG_LEVEL": "info", "OUTSIDE": "on", "OUTSIDE_URL": world.url}
        await stack.start("market", "web")
        await stack.serves()
        await until(lambda: _sources(stack, 3), 60, "exchanges are heard")
        figures = await _latency(stack, world)
        figures.append(await _taken_in(stack, world))
        figures += await _chart(stack)
        figures.append(Figure("memory of market, with its history", memory(stack.pid("market")) / 1e6, "MB", 80.0))
        figures += await asset_load.measure(stack)
    return figures


async def _sources(stack: Stack, many: int) -> bool:
    raw = await stack.redis.hget(stack.keys.views(MARKET), "prices")
    view = msgspec.json.decode(raw, type=PricesView) if raw else None
    return view is not None and "USD" in view.prices and len(view.prices["USD"].sources) >= many


async def _latency(stack: Stack, world: Exchanges) -> list[Figure]:
    """From the moment at which the exchange sends to the one at which a client of the event stream has the price."""
    times: list[float] = []
    bare: list[float] = []
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{stack.url}/api/v1/events?streams=prices") as events,
        session.ws_connect(f"{world.url}/ws-feed.exchange.coinbase.com/") as socket,
    ):
        for at in range(ROUNDS):
            await asyncio.sleep(1.15)  # at most one price a second is published
            world.prices["USD"] = START["USD"] + (1 + at % 2) * 10 + at / 100
            wanted = f"{world.prices['USD']:.2f}"
            listening = asyncio.create_task(_said(socket, wanted))
            seeing = asyncio.create_task(_seen(events, Decimal(wanted)))
            await asyncio.sleep(0)
            sent = time.perf_counter()
            await world.say("coinbase", "USD")
            bare.append((await listening - sent) * 1000)
            times.append((await seeing - sent) * 1000)
    return [
        Figure(f"price from exchange to client, {share} %", percentile(times, share), "ms", target,
               baseline=percentile(bare, share), baseline_name="ms, the message alone")
        for share, target in ((50, 5.0), (99, 20.0))
    ]  # fmt: skip


async def _said(socket: aiohttp.ClientWebSocketResponse, price: str) -> float:
    async with asyncio.timeout(10):
        async for message in socket:
            if price in message.data:
                return time.perf_counter()
    raise AssertionError("the conversation ended")


async def _seen(events: aiohttp.ClientResponse, wanted: Decimal) -> float:
    async with asyncio.timeout(10):
        async for line in events.content:
            if line.startswith(b"data:"):
                told = json.loads(line[5:], parse_float=Decimal)
                if told.get("currency") == "USD" and Decimal(told["price"]) == wanted:
                    return time.perf_counter()
    raise AssertionError("the stream of events ended")


async def _taken_in(stack: Stack, world: Exchanges) -> Figure:
    """Messages of one exchange as fast as they are read."""
    before, began = await _messages(stack), time.perf_counter()
    sent = 0
    while time.perf_counter() - began < FLOOD_SECONDS:
        for _ in range(50):
            world.prices["USD"] += 0.01
            await world.say("coinbase", "USD")
            sent += 1
    await until(lambda: _heard(stack, before + sent), 30, "all of it is taken in")
    rate = sent / (time.perf_counter() - began)
    return Figure("messages of an exchange taken in", rate, "/s", 5_000.0, "more")


async def _messages(stack: Stack) -> int:
    raw = await stack.redis.hget(stack.keys.views(MARKET), "market_sources")
    view = msgspec.json.decode(raw, type=MarketSourcesView)
    return next(one.messages for one in view.sources if one.name == "coinbase")


async def _heard(stack: Stack, many: int) -> bool:
    return await _messages(stack) >= many


async def _chart(stack: Stack) -> list[Figure]:
    """`/charts/price?range=all` as it is built from the series, and again."""
    await until(lambda: _past(stack), 60, "the past is there")
    first: list[float] = []
    again: list[float] = []
    async with aiohttp.ClientSession() as session:
        for currency in DIRECT:
            for times, rounds in ((first, 1), (again, AGAIN // len(DIRECT))):
                for _ in range(rounds):
                    began = time.perf_counter()
                    async with session.get(f"{stack.url}/charts/price?range=all&currency={currency}") as answer:
                        body = await answer.read()
                        assert answer.status == 200, body[:200]
                    times.append((time.perf_counter() - began) * 1000)
    return [
        Figure("/charts/price, all of it, from state, slowest", max(first), "ms", 50.0),
        Figure("/charts/price, all of it, again, 99 %", percentile(again, 99), "ms", 5.0),
    ]


async def _past(stack: Stack) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{stack.url}/api/v1/charts/price?range=all&currency=JPY") as answer,
    ):
        return answer.status == 200 and len((await answer.json())["series"][0]["points"]) > 500

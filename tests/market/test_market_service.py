"""The service on loopback exchanges: what it publishes, and that nothing that they do moves the price or stops it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from local_run.valkey import EmbeddedValkey
from market import app, state
from market.app import run
from market.exchanges import EXCHANGES
from shared import redis
from shared.domains import MARKET
from shared.events.prices import PRICES, PriceUpdated
from shared.outside import allowance
from shared.outside.standing import OutsideSource
from shared.price_views import MarketSourcesView, PriceNow, PricesView
from shared.prices import DIRECT
from shared.service import Service
from support.exchanges import NAMES, Exchanges
from support.ledger import KEYS, running
from support.stack import until

VIEWS = KEYS.views(MARKET)


@contextlib.asynccontextmanager
async def market(valkey: EmbeddedValkey, world: Exchanges, **env: str) -> AsyncIterator[Service]:
    async with running(valkey.url, run, "market", OUTSIDE_URL=world.url, **env) as it:
        yield it


async def view(client: redis.Client, name: str, kind: Any) -> Any:
    raw = await client.hget(VIEWS, name)
    return None if raw is None else msgspec.json.decode(raw, type=kind)


async def prices(client: redis.Client) -> dict[str, PriceNow]:
    found: PricesView | None = await view(client, "prices", PricesView)
    return found.prices if found else {}


async def source(client: redis.Client, name: str) -> OutsideSource:
    found: MarketSourcesView | None = await view(client, "market_sources", MarketSourcesView)
    assert found is not None
    return next(one for one in found.sources if one.name == name)


async def events(client: redis.Client) -> list[PriceUpdated]:
    entries = await client.xrange(KEYS.stream(MARKET.announces))
    found = [PRICES.decode(fields[b"type"], fields[b"data"]) for _, fields in entries]
    return [one for one in found if isinstance(one, PriceUpdated)]


async def well(client: redis.Client, sources: int = 5, limit: float = 20) -> PriceNow:
    """Wait until the price in USD rests on so many sources."""

    async def there() -> PriceNow | None:
        dollar = (await prices(client)).get("USD")
        return dollar if dollar is not None and len(dollar.sources) >= sources else None

    found = await until(there, limit, f"{sources} sources make the price")
    assert found is not None
    return found


async def test_the_median_of_five_in_every_currency(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Exchanges() as world, market(valkey, world) as it:
        dollar = await well(client)
        assert dollar.price == Decimal(100_000)
        assert sorted(dollar.sources) == sorted(NAMES)

        async def all_there() -> bool:
            found = await prices(client)
            here = set(DIRECT) <= set(found) and "SEK" in found and it.health.state == "ok"
            return here and found["CHF"].how == "direct"  # of one exchange, and through the ECB's rates until it speaks

        await until(all_there, 10, "every currency has a price")
        found = await prices(client)
        assert (found["CHF"].sources, found["CHF"].how) == (["kraken"], "direct")
        assert (found["SEK"].price, found["SEK"].how) == (Decimal(880_000), "cross")
        world.prices["USD"] = 101_000.0

        async def moved() -> bool:
            return (await prices(client))["USD"].price == Decimal(101_000)

        await until(moved, 15, "the price follows")
        told = [one for one in await events(client) if one.currency == "USD"]
        assert told[-1].price == Decimal(101_000)
        confirmed = await client.hgetall(KEYS.confirmed("market"))
        assert abs(int(confirmed[b"time_ms"]) - time.time() * 1000) < 10_000


async def test_at_most_one_price_a_second_and_none_is_published_twice(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with Exchanges(pace=0.02) as world, market(valkey, world):
        await well(client)
        for _ in range(40):
            world.prices["USD"] += 10
            await asyncio.sleep(0.1)
        entries = await client.xrange(KEYS.stream(MARKET.announces))
    times: dict[str, list[int]] = {}
    for entry, fields in entries:
        told = PRICES.decode(fields[b"type"], fields[b"data"])
        assert isinstance(told, PriceUpdated)
        times.setdefault(told.currency, []).append(int(entry.partition(b"-")[0]))
    gaps = [later - earlier for earlier, later in zip(times["USD"], times["USD"][1:], strict=False)]
    assert len(gaps) >= 3
    assert min(gaps) > 900  # by the ids of the entries, which Redis gives when they arrive
    assert [int(fields[b"seq"]) for _, fields in entries] == [*range(1, len(entries) + 1)]


_ALWAYS = ("429", "html", "absurd", "late", "silent", "flood", "redirect")
_ALIKE = (
    "429 with a wish", "error body", "null", "swapped", "hang", "503", "truncated", "NaN", "words", "negative", "early",
)  # fmt: skip
BAD = (*_ALWAYS, *(pytest.param(mode, marks=pytest.mark.full) for mode in _ALIKE))


@pytest.mark.parametrize("mode", BAD)
async def test_one_source_that_fails_moves_nothing_and_is_counted(
    valkey: EmbeddedValkey, client: redis.Client, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each honest source is a little off; the price stays within what they say."""
    monkeypatch.setattr("shared.outside.client.ANSWER_SECONDS", 1.0)
    bad = "coinbase" if mode != "swapped" else "kraken"
    honest = {name: 1 + at / 10_000 for at, name in enumerate(name for name in NAMES if name != bad)}
    async with Exchanges(factors=honest) as world:
        world.modes[bad] = mode
        async with market(valkey, world) as it:
            await well(client, sources=5 if mode == "flood" else 4)

            async def counted() -> bool:
                one = await source(client, bad)
                dollar = (await prices(client))["USD"]
                if mode == "flood":
                    return one.messages > 5_000
                if mode in ("late", "early"):
                    return any(said.source == bad and "clock" in said.why for said in dollar.rejected)
                if mode in ("hang", "silent"):
                    return one.state in ("failing", "waiting", "open") and one.asked > 0 and not one.connected
                return one.failed + one.refused > 0

            await until(counted, 15, f"{bad} is counted as one that is wrong")
            for one in await events(client):
                if one.currency == "USD" and bad not in one.sources:
                    assert Decimal(100_000) <= one.price <= Decimal(100_030), one
                if one.currency == "USD":
                    assert Decimal(99_999) <= one.price <= Decimal(100_030), one
            world.modes.clear()
            if mode in ("late", "early", "flood"):
                await well(client, sources=5)
            assert it.health.state == "ok"


async def test_lies_of_three_in_different_directions(valkey: EmbeddedValkey, client: redis.Client) -> None:
    lies = {"coinbase": 1.3, "bitstamp": 0.7, "gemini": 1.31}
    async with Exchanges(factors=lies) as world, market(valkey, world):

        async def all_heard() -> PriceNow | None:
            dollar = (await prices(client)).get("USD")
            return dollar if dollar and len(dollar.rejected) == 3 else None

        dollar = await until(all_heard, 20, "all five are heard")
        assert dollar is not None
        assert (dollar.price, dollar.agreed, sorted(dollar.sources)) == (
            Decimal(100_000),
            False,
            ["bitfinex", "kraken"],
        )
        assert {one.source for one in dollar.rejected} == set(lies)


async def test_three_that_lie_alike_are_said_to_disagree(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Exchanges(factors={"coinbase": 1.3, "bitstamp": 1.3, "gemini": 1.3}) as world, market(valkey, world):

        async def said() -> bool:
            dollar = (await prices(client)).get("USD")
            return bool(dollar and len(dollar.sources) == 3 and not dollar.agreed and len(dollar.rejected) == 2)

        await until(said, 20, "it says that the sources disagree")


async def test_without_any_source_the_last_price_stays_and_grows_old(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SILENT_MS", 2_000)
    async with Exchanges() as world:
        async with market(valkey, world) as it:
            before = await well(client)
            world.modes = dict.fromkeys(NAMES, "503")
            for sockets in world.sockets.values():
                for socket in list(sockets):
                    await socket.close()

            async def degraded() -> bool:
                return it.health.state == "degraded"

            await until(degraded, 10, "it is said")
            assert it.health.reason == app.SILENT
            after = (await prices(client))["USD"]
            assert after.price == before.price
            assert after.time_ms < time.time() * 1000 - 1_900
        async with market(valkey, world) as it:  # started anew, it has the same price of the same moment

            async def silent() -> bool:
                return it.health.state == "degraded"

            await until(silent, 10, "it is said again")
            assert (await prices(client))["USD"].time_ms == after.time_ms


async def test_outside_off_asks_nobody_and_says_so(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Exchanges() as world, market(valkey, world, OUTSIDE="off") as it:

        async def said() -> bool:
            return bool((await client.hget(KEYS.confirmed("market"), "incomplete")) == app.OFF.encode())

        await until(said, 10, "it says that nobody is asked")
        assert it.health.state == "ok"
        assert sum(map(len, world.asked.values())) == 0
        assert (await source(client, "kraken")).state == "off"
        assert await prices(client) == {}


async def test_two_replicas_and_kills_stay_within_every_budget(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Exchanges(talks=False) as world:
        for _ in range(4):
            async with market(valkey, world), market(valkey, world):
                await well(client, sources=3, limit=40)
        for exchange in EXCHANGES:
            asked = [at for at, _ in world.asked[exchange.provider.name]]
            assert asked
            for limit in exchange.provider.limits:
                for place in range(len(asked) - limit.requests):
                    assert asked[place + limit.requests] - asked[place] >= limit.seconds, exchange.provider.name


async def test_a_wish_to_be_left_alone_is_heeded(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Exchanges() as world:
        world.modes["gemini"] = "429 with a wish"
        async with market(valkey, world):
            await well(client, sources=4)

            async def asked_again() -> bool:
                return world.requests("gemini") >= 2

            await until(asked_again, 15, "it is asked again")
    first, second = (at for at, _ in world.asked["gemini"][:2])
    assert second - first >= 3


@pytest.mark.full
async def test_a_circuit_opens_and_one_trial_closes_it(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "_FAILED", allowance._FAILED.replace("60000", "1500").replace("1000,", "10,"))
    async with Exchanges() as world:
        world.modes["gemini"] = "503"
        async with market(valkey, world):

            async def is_open() -> bool:
                found = await view(client, "market_sources", MarketSourcesView)
                return found is not None and (await source(client, "gemini")).state == "open"

            await until(is_open, 60, "its circuit opens")
            world.modes.clear()

            async def closed() -> bool:
                return (await source(client, "gemini")).state == "ok"

            await until(closed, 60, "one trial closes it")
    assert state.PACE_MS == 1_000

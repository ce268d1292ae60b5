"""Prices that are made up: in the demonstration alone, marked everywhere, and gone when a source answers."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import msgspec
import pytest

from local_run.valkey import EmbeddedValkey
from market import sample
from market.app import OFF, run
from market.past import FIRST_DAY, Past
from market.sample import dollars, fill, possible
from shared import redis, series
from shared.domains import MARKET
from shared.events.prices import PRICES, PriceUpdated
from shared.keys import Keys
from shared.price_views import PricesView
from shared.prices import DIRECT, NUMBERS
from shared.series import DAY, HOUR, MINUTE, PRICE_DAYS, PRICE_HOURS, PRICE_MINUTES
from support.exchanges import NAMES, Exchanges
from support.ledger import KEYS, running, service
from support.stack import until

NETWORKS = ("main", "test", "testnet4", "signet", "regtest")
SAMPLE = NUMBERS["sample"]


@pytest.fixture
def demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHBOARD_DEMO", "1")
    monkeypatch.setattr(sample, "AFTER_SECONDS", 0.2)


async def shown(client: redis.Client, keys: Keys = KEYS) -> PricesView | None:
    raw = await client.hget(keys.views(MARKET), "prices")
    return None if raw is None else msgspec.json.decode(raw, type=PricesView)


async def numbers(client: redis.Client, keys: Keys = KEYS) -> dict[int, int]:
    """How many bars there are of each source, in all series."""
    found: dict[int, int] = {}
    now = int(time.time())
    for one in itertools.chain(PRICE_MINUTES.values(), PRICE_HOURS.values(), PRICE_DAYS.values()):
        first = {MINUTE: now // MINUTE - 3_000, HOUR: now // HOUR - 2_200, DAY: FIRST_DAY}[one.step]
        for _, bar in await series.read(client, keys, one, first, now // one.step):
            found[bar.source] = found.get(bar.source, 0) + 1
    return found


async def made_up(client: redis.Client) -> bool:
    found = await shown(client)
    return found is not None and set(DIRECT) <= set(found.prices) and found.sample


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("demo", [True, False])
async def test_it_is_possible_in_the_demonstration_alone(network: str, demo: bool) -> None:
    it = service("redis://127.0.0.1:9", "market", BITCOIN_NETWORK=network)
    assert possible(it, demo) == (demo and network == "regtest")
    await it.close()


@pytest.mark.parametrize(("network", "demo"), [("regtest", ""), ("regtest", "0"), ("regtest", "true"), ("main", "1")])
async def test_nothing_is_made_up_in_a_run_that_is_configured(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch, network: str, demo: str
) -> None:
    monkeypatch.setenv("DASHBOARD_DEMO", demo)
    monkeypatch.setattr(sample, "AFTER_SECONDS", 0.0)
    keys = Keys(service(valkey.url, BITCOIN_NETWORK=network).keys.network)
    async with running(valkey.url, run, "market", OUTSIDE="off", BITCOIN_NETWORK=network) as it:

        async def off() -> bool:
            return bool((await client.hget(keys.confirmed("market"), "incomplete")) == OFF.encode())

        await until(off, 10, "it says that nobody is asked")
        await asyncio.sleep(0.5)
        found = await shown(client, keys)
        assert found is not None
        assert (found.prices, found.sample, it.health.state) == ({}, False, "ok")
        assert await numbers(client, keys) == {}


@pytest.mark.usefixtures("demonstration")
async def test_every_price_is_marked_and_the_past_as_well(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with running(valkey.url, run, "market", OUTSIDE="off") as it:
        await until(lambda: made_up(client), 15, "prices are made up")

        async def more() -> list[Any]:
            entries = await client.xrange(KEYS.stream(MARKET.announces))
            return entries if len(entries) > 45 else []

        found = [PRICES.decode(fields[b"type"], fields[b"data"]) for _, fields in await until(more, 15, "more are")]
        assert [one for one in found if isinstance(one, PriceUpdated) and not one.sample] == []
        view = await shown(client)
        assert view is not None
        assert [name for name, one in view.prices.items() if not one.sample] == []
        assert len(view.prices) > 20
        kept = await numbers(client)
        assert set(kept) == {SAMPLE}
        assert kept[SAMPLE] > 7 * 5_000
        assert it.health.state == "ok"
        assert await client.hget(KEYS.confirmed("market"), "node") == b"sample"


@pytest.mark.usefixtures("demonstration")
async def test_it_ends_and_leaves_nothing_when_a_source_answers(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Exchanges() as world:
        world.modes = dict.fromkeys((*NAMES, "mempool.space", "blockchain.info"), "503")
        async with running(valkey.url, run, "market", OUTSIDE_URL=world.url):
            await until(lambda: made_up(client), 15, "prices are made up")
            world.modes.clear()
            await until(lambda: real(client), 40, "every price is a real one")
            assert SAMPLE not in await numbers(client)


async def real(client: redis.Client) -> bool:
    found = await shown(client)
    return (
        found is not None
        and not found.sample
        and "USD" in found.prices
        and not any(one.sample for one in found.prices.values())
        and SAMPLE not in await numbers(client)
    )


@pytest.mark.full
@pytest.mark.usefixtures("demonstration")
@pytest.mark.parametrize("what", ["another demonstration", "a configured run"])
async def test_what_was_made_up_before_is_gone_as_soon_as_it_may_not_be(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Where sources answer before anything is made up again, and where nothing may be."""
    async with running(valkey.url, run, "market", OUTSIDE="off"):
        await until(lambda: made_up(client), 15, "prices are made up")
    if what == "a configured run":
        monkeypatch.delenv("DASHBOARD_DEMO")
    else:
        monkeypatch.setattr(sample, "AFTER_SECONDS", 2.0)
    async with Exchanges(pace=0.05) as world, running(valkey.url, run, "market", OUTSIDE_URL=world.url):
        await until(lambda: real(client), 15, "every price is a real one")


@pytest.mark.full
@pytest.mark.usefixtures("demonstration")
async def test_prices_that_are_still_those_of_before_are_still_marked(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(valkey.url, run, "market", OUTSIDE="off"):
        await until(lambda: made_up(client), 15, "prices are made up")
    await client.hdel(KEYS.views(MARKET), "market_sources")
    monkeypatch.setattr(sample, "AFTER_SECONDS", 60.0)
    async with running(valkey.url, run, "market", OUTSIDE="off"):

        async def written() -> bool:
            return bool(await client.hexists(KEYS.views(MARKET), "market_sources"))

        await until(written, 10, "it has written its views")
        assert await made_up(client)


def test_the_curve_is_plausible_at_every_time() -> None:
    for day in range(FIRST_DAY, 30_000, 7):
        assert 0.02 < dollars(day * DAY) < 500_000


async def test_making_the_past_up_never_keeps_the_event_loop() -> None:
    past, lag = Past(KEYS), 0.0
    filling = asyncio.ensure_future(fill(past, dict.fromkeys(DIRECT, 1.0), 1_790_000_000))
    while not filling.done():
        began = time.thread_time()
        await asyncio.sleep(0)
        lag = max(lag, time.thread_time() - began)
    assert lag < 0.2  # of the processor's time, whatever else the machine does
    assert past.get(DAY, "AUD", FIRST_DAY) is not None
    assert past.get(MINUTE, "USD", 1_790_000_000 // MINUTE - 1) is not None

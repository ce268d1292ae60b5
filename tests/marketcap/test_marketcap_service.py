"""The service on loopback sources: what it ranks, and that one source that fails takes nothing with it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from local_run.valkey import EmbeddedValkey
from marketcap import desk, fold, sample
from marketcap.app import run
from marketcap.questions import ASKED
from shared import anew, redis
from shared.asset_views import MARKETCAP_VIEWS, AssetSourcesView, NodesView, RankedAsset, RankingView, TreasuriesView
from shared.domains import ASSETS, MARKETCAP, METRICS, PRICES, RANKINGS, Stream
from shared.events import rankings
from shared.events.base import Event, entry_fields
from shared.events.derived import MetricsUpdated
from shared.events.prices import PriceUpdated
from shared.events.rankings import RankingUpdated, TreasuryChanged
from shared.networks import COIN, NETWORKS
from shared.service import Service
from shared.views import View
from support.asset_sources import AssetSources
from support.each import each
from support.ledger import KEYS, running, sequence
from support.processes import started
from support.stack import until

V = TypeVar("V", bound=View)
HEIGHT = 1_000
SUPPLY = Decimal(NETWORKS["regtest"].supply(HEIGHT)) / COIN


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "PRICE_MS", 500)
    monkeypatch.setattr(fold, "PACE_MS", 200)
    monkeypatch.setattr(desk, "PACE_SECONDS", 0.2)
    monkeypatch.setattr(desk, "SOURCES_MS", 500)


@contextlib.asynccontextmanager
async def marketcap(valkey: EmbeddedValkey, world: AssetSources, **env: str) -> AsyncIterator[Service]:
    async with running(valkey.url, run, "marketcap", OUTSIDE_URL=world.url, **env) as it:
        yield it


async def tell(client: redis.Client, stream: Stream, event: Event) -> None:
    """As the stream's own service does."""
    key = KEYS.stream(stream)
    last = await client.xrevrange(key, count=1)
    flat = list(entry_fields(event, int(last[0][1][b"seq"]) + 1 if last else 1))
    await client.xadd(key, dict(zip(flat[::2], flat[1::2], strict=True)))


async def price(client: redis.Client, dollars: int) -> None:
    event = PriceUpdated(
        currency="USD", price=Decimal(dollars), change_24h_percent=1.5, how="direct", agreed=True, sources=["kraken"],
        rejected=[], time_ms=int(time.time() * 1000),
    )  # fmt: skip
    await tell(client, PRICES, event)


async def bitcoin(client: redis.Client, dollars: int = 100_000) -> None:
    """What market and chain-metrics say."""
    await tell(client, METRICS, MetricsUpdated(views=["tip"], height=HEIGHT, hash="0" * 64))
    await price(client, dollars)


async def view(client: redis.Client, name: str, kind: type[V]) -> V | None:
    raw = await client.hget(KEYS.views(MARKETCAP), name)
    return None if raw is None else msgspec.json.decode(raw, type=kind)


async def rows(client: redis.Client, name: str) -> dict[str, RankedAsset]:
    found = await view(client, f"ranking_{name}", RankingView)
    return {row.symbol: row for row in found.rows} if found else {}


async def shown(client: redis.Client, *symbols: str) -> dict[str, RankedAsset]:
    """Wait until the list of all assets has these."""

    async def there() -> dict[str, RankedAsset] | None:
        found = await rows(client, "all")
        return found if set(symbols) <= set(found) else None

    found = await until(there, 15, f"{', '.join(symbols)} are ranked")
    assert found is not None
    return found


async def events(client: redis.Client, kind: type[Event]) -> list[Event]:
    found = [
        rankings.RANKINGS.decode(fields[b"type"], fields[b"data"])
        for _, fields in await client.xrange(KEYS.stream(RANKINGS))
    ]
    return [one for one in found if isinstance(one, kind)]


async def test_every_list_and_bitcoin_in_it(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with AssetSources() as world, marketcap(valkey, world, COINGECKO_API_KEY="a-key") as it:
        await bitcoin(client)
        found = await shown(client, "BTC", "ETH", "AAPL", "XAU", "XAG", "HG", "USD", "EUR")
        own = found["BTC"]
        assert (own.index, own.value_usd, own.quantity) == (Decimal(1), 100_000 * SUPPLY, SUPPLY)
        assert found["ETH"].value_usd == 2_000 * 10**8
        assert found["ETH"].parity_usd == round(2_000 * 10**8 / SUPPLY, 2)
        assert found["AAPL"].value_usd == 200 * 15_000 * 10**6
        assert found["AAPL"].sources[0].name == "Yahoo Finance"
        assert not found["XAU"].estimate
        assert found["HG"].estimate
        assert found["EUR"].price_usd == Decimal("1.25")
        ordered = sorted(found.values(), key=lambda row: -row.value_usd)
        assert [row.rank for row in ordered] == sorted(row.rank for row in ordered)
        assert ordered[0].rank == 1
        assert set(await rows(client, "coins")) == {"BTC", "ETH"}
        assert world.headers["coingecko"]["x-cg-demo-api-key"] == "a-key"
        assert not world.asked["coinpaprika"], "with a key it is CoinGecko that is asked"

        async def all_there() -> bool:
            fields = await client.hkeys(KEYS.views(MARKETCAP))
            return {name.encode() for name in MARKETCAP_VIEWS} <= set(fields) and it.health.state == "ok"

        await until(all_there, 10, "everything is shown")
        held = await view(client, "treasuries_companies", TreasuriesView)
        assert held is not None
        assert (held.rows[0].name, held.satoshi, held.value_usd) == (
            "Strategy",
            600_000 * COIN,
            Decimal(60_000_000_000),
        )
        nodes = await view(client, "nodes", NodesView)
        assert nodes is not None
        assert (nodes.counts.total, nodes.counts.countries[0].name) == (1, "DE")
        ranks = msgspec.json.decode(await client.hget(KEYS.ranks("all"), str(int(time.time()) // 86_400)) or b"[]")
        assert len(ranks) >= 3
        assert each(len(one) == 3 for one in ranks)
        await price(client, 200_000)

        async def follows() -> bool:
            return (await rows(client, "all"))["BTC"].value_usd == 200_000 * SUPPLY

        await until(follows, 10, "Bitcoin's own row follows its price")
        told = [one for one in await events(client, RankingUpdated) if isinstance(one, RankingUpdated)]
        assert {one.asset_class for one in told} == {"all", "coins", "companies", "commodities", "currencies"}
        assert (await client.hgetall(KEYS.confirmed("marketcap")))[b"node"] == b"sources"
        confirmed, folded = await asyncio.gather(
            client.hget(KEYS.confirmed("marketcap"), "seq"), client.hget(KEYS.views(MARKETCAP), "seq")
        )
        assert int(folded or 0) >= int(confirmed or 0) - 1 > 0


@pytest.mark.parametrize("mode", ["503", "html"])
async def test_a_source_that_fails_takes_nothing_with_it(
    valkey: EmbeddedValkey, client: redis.Client, mode: str
) -> None:
    async with AssetSources() as world:
        world.modes |= {"coinpaprika": mode, "coingecko": mode}
        async with marketcap(valkey, world) as it:
            await bitcoin(client)
            found = await shown(client, "BTC", "XAU", "USD")
            assert "ETH" not in found

            async def counted() -> bool:
                sources = await view(client, "asset_sources", AssetSourcesView)
                return sources is not None and {one.name for one in sources.sources if one.failed} >= {
                    "coinpaprika", "coingecko",
                }  # fmt: skip

            await until(counted, 10, "both are counted as failing")
            assert it.health.state == "ok"
            assert await client.hget(KEYS.views(MARKETCAP), "ranking_coins") is None


async def test_what_was_heard_stays_with_its_age_and_a_restart_asks_nobody(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with AssetSources() as world:
        async with marketcap(valkey, world):
            await bitcoin(client)
            before = (await shown(client, "ETH", "AAPL", "EUR"))["ETH"]

            async def asked() -> bool:
                return world.asked["bitnodes"] != [] and bool(await client.hexists(KEYS.asset_answers, "nodes"))

            await until(asked, 10, "nodes are kept")
        world.modes |= dict.fromkeys(ASKED, "503")
        world.asked.clear()
        await client.delete(KEYS.state(MARKETCAP), KEYS.views(MARKETCAP), KEYS.checkpoint(MARKETCAP))
        async with marketcap(valkey, world) as it:
            after = (await shown(client, "ETH", "AAPL", "EUR", "BTC"))["ETH"]
            assert (after.value_usd, after.as_of) == (before.value_usd, before.as_of)
            assert it.health.state == "ok"
            assert set(world.asked) <= {"yahoo"}, "only shares that are not known yet are asked for"


async def test_outside_off_asks_nobody_and_says_so(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with AssetSources() as world, marketcap(valkey, world, OUTSIDE="off") as it:
        await bitcoin(client)

        async def said() -> bool:
            incomplete = await client.hget(KEYS.confirmed("marketcap"), "incomplete")
            return incomplete == desk.OFF.encode() and it.health.state == "ok"

        await until(said, 10, "it says that nobody is asked")
        sources = await view(client, "asset_sources", AssetSourcesView)
        assert sources is not None
        assert each(one.state == "off" for one in sources.sources)
        assert not world.asked
        assert not await rows(client, "all")


async def test_the_sample_is_marked_and_ends_with_the_first_answer(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHBOARD_DEMO", "1")
    monkeypatch.setattr(sample, "AFTER_SECONDS", 0.2)
    monkeypatch.setattr(sample, "LOOK_SECONDS", 0.2)
    async with AssetSources(modes=dict.fromkeys(ASKED, "503")) as world, marketcap(valkey, world):
        await bitcoin(client)
        await shown(client, "BTC", "ETH", "XAU", "NVDA", "EUR")
        for name, kind in MARKETCAP_VIEWS.items():
            if name != "asset_sources":
                marked = await view(client, name, kind)
                assert getattr(marked, "sample", False), name
        world.modes.clear()

        async def ended() -> bool:
            found = await view(client, "ranking_all", RankingView)
            return found is None or not found.sample

        await until(ended, 20, "what is made up is gone")
        assert not await client.exists(KEYS.ranks("companies"))


async def test_a_kill_of_the_active_replica_loses_and_doubles_nothing(
    valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path
) -> None:
    async with AssetSources() as world:
        env = {"REDIS_URL": valkey.url, "BITCOIN_NETWORK": "regtest", "OUTSIDE_URL": world.url}
        async with (
            started("marketcap", tmp_path / "one", INSTANCE="one", **env) as one,
            started("marketcap", tmp_path / "two", INSTANCE="two", **env) as two,
        ):
            await bitcoin(client)
            await shown(client, "BTC", "ETH", "XAU")
            coins = len(world.asked["coinpaprika"])

            async def active() -> list[str]:
                beats = {name.decode(): raw for name, raw in (await client.hgetall(KEYS.health)).items()}
                found = [name for name, raw in beats.items() if msgspec.json.decode(raw)["state"] == "ok"]
                return found if len(beats) == 2 else []

            [name, *_] = await until(active, 10, "one of them is active")
            process = {"one": one, "two": two}[name].process
            assert process is not None
            process.kill()
            await price(client, 300_000)

            async def follows() -> bool:
                return (await rows(client, "all"))["BTC"].value_usd == 300_000 * SUPPLY

            await until(follows, 20, "the other goes on")

            async def confirmed() -> bool:
                moment = int(await client.hget(KEYS.confirmed("marketcap"), "time_ms") or 0)
                return abs(moment - time.time() * 1000) < 1_500

            await until(confirmed, 20, "and asks")
        assert len(world.asked["coinpaprika"]) == coins, "what was heard is not asked again before its time"
    for stream in (ASSETS, RANKINGS):
        told = await sequence(client, KEYS.stream(stream))
        assert told == [*range(1, len(told) + 1)]


async def test_a_change_of_a_holder_is_told_once(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketcap.questions.HOUR", 1)
    monkeypatch.setattr(desk, "LONGEST_SECONDS", 0.5)
    async with AssetSources() as world, marketcap(valkey, world):
        await bitcoin(client)

        async def held() -> TreasuriesView | None:
            found = await view(client, "treasuries_companies", TreasuriesView)
            countries = await view(client, "treasuries_countries", TreasuriesView)
            return found if found and countries else None

        await until(held, 10, "holders are shown")
        world.strategy = 600_001.5

        async def changed() -> bool:
            found = await held()
            return found is not None and found.changes != []

        await until(changed, 10, "the change is shown")
        found = await held()
        assert found is not None
        [change] = found.changes
        assert (change.name, change.before, change.after) == ("Strategy", 600_000 * COIN, 600_001 * COIN + COIN // 2)
        [told] = await events(client, TreasuryChanged)
        assert isinstance(told, TreasuryChanged)
        assert (told.holder, told.asset_class, told.after) == ("Strategy", "company", change.after)


@pytest.mark.parametrize("wish", [anew.AGAIN, anew.FORGET])
async def test_a_rebuild_asks_everybody_again_and_what_is_shown_stays_meanwhile(
    valkey: EmbeddedValkey, client: redis.Client, wish: str
) -> None:
    key, old = KEYS.resync(ASSETS), "19000"
    async with AssetSources() as world, marketcap(valkey, world):
        await bitcoin(client)
        before = await shown(client, "BTC", "ETH", "XAU", "JPY")

        async def written() -> bool:
            return bool(await client.hlen(KEYS.ranks("coins")))

        await until(written, 10, "ranks are written")
        await client.hset(KEYS.ranks("coins"), old, "[]")
        world.ethereum = 2_500.0
        world.modes["goldapi"] = "503"
        world.asked.clear()
        await client.set(key, wish)

        async def asked() -> bool:
            row = (await rows(client, "all"))["ETH"]
            return row.price_usd == 2_500 and {"boj", "sec", "bitnodes", "coinpaprika"} <= set(world.asked)

        await until(asked, 15, "everybody is asked again, and believed")
        assert not await client.exists(key)
        gold = (await rows(client, "all"))["XAU"]
        assert (gold.value_usd, gold.sources) == (before["XAU"].value_usd, before["XAU"].sources), "it stays"
        kept = await client.hkeys(KEYS.ranks("coins"))
        assert (old.encode() in kept) == (wish == anew.AGAIN)
        assert str(int(time.time()) // 86_400).encode() in kept, "today's are there all the same"


async def test_what_redis_loses_is_written_again(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with AssetSources() as world, marketcap(valkey, world):
        await bitcoin(client)
        before = await shown(client, "BTC", "ETH", "XAU")
        await client.delete(KEYS.views(MARKETCAP), KEYS.state(MARKETCAP))
        after = await shown(client, "BTC", "ETH", "XAU")
        assert after["BTC"] == before["BTC"]

        async def kept() -> bool:
            return {b"coin", b"commodity", b"own"} <= set(await client.hkeys(KEYS.state(MARKETCAP)))

        await until(kept, 5, "the state is there again")

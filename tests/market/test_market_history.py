"""The past from loopback exchanges: complete, each point from the best that tells it, and asked for once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from local_run.valkey import EmbeddedValkey
from market import history
from market.aggregates import AGGREGATES, mempool_space
from market.app import run
from market.exchange import Candle
from market.exchanges import EXCHANGES
from market.history import Asked, History
from market.past import FIRST_DAY, Past
from shared import anew, redis, series
from shared.domains import MARKET
from shared.errors import OutsideMalformed
from shared.outside import allowance
from shared.outside.client import Outside
from shared.outside.provider import Provider
from shared.outside.tally import Tally
from shared.price_records import Bar
from shared.prices import DIRECT, NUMBERS, SOURCES
from shared.series import DAY, HOUR, MINUTE, PRICE_DAYS, PRICE_HOURS, PRICE_MINUTES, QUOTE_MINUTES
from shared.service import Service
from support.each import each
from support.exchanges import Exchanges
from support.ledger import KEYS, running, service
from support.stack import until

PASTS = ("candles", "OHLC", "ohlc", "charts", "historical")
PAIRS = [(step, currency) for step in (MINUTE, HOUR, DAY) for currency in DIRECT]


@dataclass
class Rounds:
    """What each round of each history came to: whether anything was asked."""

    ended: list[bool] = field(default_factory=list)

    async def quiet(self, limit: float = 20) -> None:
        """Wait until a round that began from now on asks nothing."""
        before = len(self.ended) + 1

        async def there() -> bool:
            return not each_asked(self.ended[before:])

        await until(there, limit, "there is nothing left to ask for")


def each_asked(rounds: list[bool]) -> bool:
    return not rounds or False not in rounds


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """At full speed: the pace has tests of its own."""
    found, original = Rounds(), History._round

    async def counted(self: History) -> bool:
        asked = await original(self)
        found.ended.append(asked or bool(self.outside.allowance.__dict__.pop("refused", False)))
        return asked

    async def ask(self: allowance.Allowance, provider: Any) -> None:
        """Within the same scripts, a hundred times as fast."""
        try:
            await asks(self, provider)
        except Exception:
            self.__dict__["refused"] = True
            raise

    asks = allowance.Allowance.ask
    monkeypatch.setattr(allowance.Allowance, "ask", ask)
    monkeypatch.setattr(allowance, "MARGIN", 0.01)
    monkeypatch.setattr(allowance, "LATE_MS", 0)
    monkeypatch.setattr(history, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(history, "REST_SECONDS", 0.05)
    monkeypatch.setattr(History, "_round", counted)
    return found


@contextlib.asynccontextmanager
async def market(valkey: EmbeddedValkey, world: Exchanges) -> AsyncIterator[Service]:
    async with running(valkey.url, run, "market", OUTSIDE_URL=world.url) as it:
        yield it


def questions(world: Exchanges) -> list[tuple[str, str]]:
    """What was asked of the past, in order: source and path."""
    asked = sorted((at, name, path) for name, all_of in world.asked.items() for at, path in all_of)
    return [(name, path) for _, name, path in asked if any(word in path for word in PASTS)]


async def stored(client: redis.Client, step: int, currency: str, back: int) -> dict[int, Bar]:
    """The newest `back` spans that are over for certain, as Redis has them."""
    one = {MINUTE: PRICE_MINUTES, HOUR: PRICE_HOURS, DAY: PRICE_DAYS}[step][currency]
    last = (int(time.time()) - history.LATE_SECONDS) // step - 1
    return dict(await series.read(client, KEYS, one, last - back + 1, last))


async def gaps(client: redis.Client) -> dict[str, int]:
    """How many points are missing of what there must be, by step and currency; without those that miss none."""
    days = int(time.time()) // DAY - FIRST_DAY - 1
    found = {}
    for step, currency in PAIRS:
        back = {MINUTE: 715, HOUR: 715, DAY: days}[step]  # Kraken, alone in some, tells 720 up to now
        if step != DAY and currency in ("USD", "EUR", "GBP", "JPY"):
            back = history.BACK[step] - 1
        missing = back - len(await stored(client, step, currency, back))
        if missing:
            found[f"{step} {currency}"] = missing
    return found


async def whole(client: redis.Client, limit: float = 25) -> None:
    """Wait until nothing is missing; looking costs more than what is looked at."""
    deadline = time.monotonic() + limit
    while missing := await gaps(client):
        assert time.monotonic() < deadline, missing
        await asyncio.sleep(0.3)


async def sources(client: redis.Client, currency: str, first: int, last: int) -> set[str]:
    return {SOURCES[bar.source] for _, bar in await series.read(client, KEYS, PRICE_DAYS[currency], first, last)}


async def test_everything_since_2010_from_the_best_source_and_asked_once(
    valkey: EmbeddedValkey, client: redis.Client, rounds: Rounds
) -> None:
    """Until Redis has lost it all, while the service is stopped."""
    first_bitstamp = 1_313_625_600 // DAY
    async with Exchanges() as world:
        async with market(valkey, world):
            await whole(client)
            yesterday = int(time.time()) // DAY - 1
            assert await sources(client, "USD", 0, FIRST_DAY) == {"blockchain.info"}
            assert await sources(client, "USD", FIRST_DAY, first_bitstamp - 1) == {"blockchain.info"}
            assert await sources(client, "USD", first_bitstamp, yesterday) == {"bitstamp"}
            assert await sources(client, "EUR", FIRST_DAY, first_bitstamp - 1) == {"cross"}
            assert await sources(client, "EUR", first_bitstamp, first_bitstamp + 1_000) == {"mempool.space"}
            assert await sources(client, "EUR", 17_000, yesterday) <= {"bitstamp", "coinbase"}
            assert await sources(client, "JPY", FIRST_DAY, first_bitstamp - 1) == {"cross"}
            assert await sources(client, "JPY", 18_000, yesterday) == {"bitfinex"}
            assert await sources(client, "CHF", yesterday - 700, yesterday) == {"kraken"}
            assert "cross" not in await sources(client, "CHF", first_bitstamp, yesterday)
            for day, bar in await series.read(client, KEYS, PRICE_DAYS["USD"], FIRST_DAY, yesterday):
                price = int(world.past(day * DAY)) * 1_000_000
                ratio = 1.002 if bar.open else 1.0  # the close of a candle, or a day's price
                assert abs(bar.close - price * ratio) <= 1_000_000, day
        asked, minute = len(questions(world)), int(time.time()) // MINUTE
        assert len(set(questions(world))) == asked
        async with market(valkey, world):
            await rounds.quiet()
            turned = int(time.time()) // MINUTE - minute
            assert len(questions(world)) - asked <= 21 * turned  # what was not over before
        assert not await gaps(client)
        await client.flushall()
        async with market(valkey, world):
            await whole(client)


@pytest.mark.full
async def test_what_is_lost_of_the_past_is_written_again_from_memory(
    valkey: EmbeddedValkey, client: redis.Client, rounds: Rounds
) -> None:
    """Segments, the record of what was asked, or all that Redis has: nobody is asked for it again."""
    async with Exchanges() as world, market(valkey, world):
        await rounds.quiet()
        await whole(client)
        asked, minute = len(questions(world)), int(time.time()) // MINUTE
        await client.delete(KEYS.series("market", "price-days-USD", 0), KEYS.state(MARKET))
        for segment in range(1, 40):
            await client.delete(KEYS.series("market", "price-days-EUR", segment))
        await whole(client)

        async def recorded() -> bool:
            return bool(await client.hexists(KEYS.state(MARKET), "asked"))

        await until(recorded, 5, "the record is there again")
        await rounds.quiet()
        assert len(questions(world)) - asked <= 21 * (int(time.time()) // MINUTE - minute)
        await client.flushall()
        await whole(client)
        await rounds.quiet()
        assert len(questions(world)) - asked <= 21 * (int(time.time()) // MINUTE - minute)


@pytest.mark.parametrize("mode", ["503", *(pytest.param(mode, marks=pytest.mark.full) for mode in ("html", "hang"))])
async def test_others_fill_what_one_that_fails_leaves(
    valkey: EmbeddedValkey, client: redis.Client, rounds: Rounds, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The one who would be asked first, and an aggregate; each is left alone a while after it failed."""
    monkeypatch.setattr("shared.outside.client.ANSWER_SECONDS", 0.3)
    async with Exchanges() as world:
        world.modes = dict.fromkeys(("bitstamp", "mempool.space"), mode)
        async with market(valkey, world):
            await whole(client)
            yesterday = int(time.time()) // DAY - 1
            assert await sources(client, "USD", 17_000, yesterday) == {"bitfinex"}
            assert await sources(client, "GBP", 17_000, yesterday) == {"coinbase"}
            failed = [name for name, _ in questions(world) if name in world.modes]
            assert failed.count("bitstamp") <= 9  # once for each currency and step
            assert failed.count("mempool.space") == 1


# --- what is kept of it ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def alone(valkey: EmbeddedValkey) -> AsyncIterator[History]:
    it = service(valkey.url, "market", OUTSIDE_URL="http://127.0.0.1:9")
    try:
        async with Outside(it) as outside:
            yield History(it, outside, EXCHANGES, Past(KEYS), {"kraken": Tally()})
    finally:
        await it.close()


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"a b":1}', b'{"a b":[1]}', b'{"\xff b":[1,2]}', b'{"a b":[1e99,2]}', b"null"]
)
async def test_a_record_of_nonsense_is_asked_for_anew(valkey: EmbeddedValkey, raw: bytes) -> None:
    async with alone(valkey) as it:
        it.restored(raw)
        assert it.asked == {}
        assert it.told_at == {}


async def test_what_is_kept_is_what_was_asked(valkey: EmbeddedValkey) -> None:
    async with alone(valkey) as it, alone(valkey) as other:
        it.asked, it.told_at = {"kraken USD 60": Asked(1, 2)}, {"mempool.space": 5}
        other.restored(it.kept())
        assert (other.asked, other.told_at) == (it.asked, it.told_at)


@pytest.mark.parametrize("first_back", [10, -5])
async def test_a_span_that_ends_in_the_future_counts_for_nothing(valkey: EmbeddedValkey, first_back: int) -> None:
    """It was asked by another clock: what came to be known since must be asked for."""
    now = 1_790_000_000
    last = (now - history.LATE_SECONDS) // HOUR - 1
    bitstamp = next(one for one in EXCHANGES if one.provider.name == "bitstamp")
    async with alone(valkey) as it:
        it.restored(msgspec.json.encode({"bitstamp USD 3600": Asked(last - first_back, last + 1_000)}))
        chunk = await it._next(bitstamp, "USD", HOUR, now)
        assert chunk is not None
        assert (chunk.last, chunk.last - chunk.first + 1) == (last, 1_000)
        it._seen("bitstamp USD 3600", chunk)
        assert it.asked["bitstamp USD 3600"] == Asked(last - 999, last)


async def test_an_aggregate_that_was_told_in_the_future_is_asked(valkey: EmbeddedValkey) -> None:
    now = int(time.time())
    async with Exchanges() as world:
        it = service(valkey.url, "market", OUTSIDE_URL=world.url)
        async with Outside(it) as outside:
            found = History(it, outside, (), Past(KEYS), {}, told_at=dict.fromkeys(["mempool.space"], now + 10**6))
            aggregate = next(one for one in AGGREGATES if one.provider is mempool_space.PROVIDER)
            assert await found._all_of(aggregate, now)
            assert found.told_at["mempool.space"] == now
            assert not await found._all_of(aggregate, now)
        await it.close()


async def test_what_is_forgotten_is_what_its_own_source_tells_again(valkey: EmbeddedValkey) -> None:
    """Kraken tells 720 spans, minutes are fetched for two days, and what was published here nobody tells."""
    now = int(time.time())
    today, minute = now // DAY, now // MINUTE
    put = {
        (DAY, "CHF", today - 700): "kraken",
        (DAY, "CHF", today - 800): "kraken",
        (DAY, "CHF", today - 900): "mempool.space",
        (DAY, "CHF", today - 901): "cross",
        (DAY, "CHF", today - 5): "market",
        (DAY, "USD", today - 2_000): "bitstamp",
        (MINUTE, "USD", minute - 1_000): "bitstamp",
        (MINUTE, "USD", minute - 3_000): "bitstamp",
        (MINUTE, "USD", minute - 3): "market",
    }
    async with alone(valkey) as it:
        for (step, currency, index), source in put.items():
            it.past.bars[step, currency].put(index, Bar(1, 1, 1, 1, NUMBERS[source]))
        it.asked, it.told_at = {"kraken CHF 86400": Asked(1, 2)}, {"mempool.space": now}
        it.forget(now)
        kept = {place for place in put if it.past.get(*place) is not None}
        assert kept == {
            (DAY, "CHF", today - 800),
            (DAY, "CHF", today - 5),
            (MINUTE, "USD", minute - 3_000),
            (MINUTE, "USD", minute - 3),
        }
        assert (it.asked, it.told_at, it.changed, it.cross_due) == ({}, {}, True, True)


@pytest.mark.parametrize("wish", [anew.AGAIN, anew.FORGET])
async def test_a_rebuild_fetches_what_sources_tell_and_keeps_what_they_do_not(
    valkey: EmbeddedValkey, client: redis.Client, rounds: Rounds, wish: str
) -> None:
    key, yesterday = KEYS.resync(MARKET.announces), int(time.time()) // DAY - 1
    days, quotes = PRICE_DAYS["USD"], int(time.time()) // MINUTE // QUOTE_MINUTES.segment - 5
    own = Bar(7, 7, 7, 7, NUMBERS["market"])
    async with Exchanges() as world:
        async with market(valkey, world):
            await whole(client)
        for day, bar in ((yesterday - 30, own), (yesterday - 31, own._replace(source=NUMBERS["bitstamp"]))):
            segment, place = divmod(day, days.segment)
            at = days.layout.width * place
            await client.setrange(KEYS.series("market", days.name, segment), at, days.layout.pack(bar))
        await client.set(KEYS.series("market", "quote-minutes", quotes), b"kept")
        await client.sadd(KEYS.series_index("market"), f"quote-minutes:{quotes}")
        async with market(valkey, world):
            await rounds.quiet()
            await client.set(key, wish)

            async def done() -> bool:
                return not await client.exists(key)

            await until(done, 15, "the wish is carried out")
            await whole(client)
            bars = dict(await series.read(client, KEYS, days, yesterday - 31, yesterday))
            assert SOURCES[bars[yesterday - 31].source] == "bitstamp"
            assert bars[yesterday - 31].close > 10**10, "the bar that was wrong is fetched again"
            assert (bars[yesterday - 30] == own) == (wish == anew.AGAIN)
            kept = await client.get(KEYS.series("market", "quote-minutes", quotes)) or b""
            assert kept.startswith(b"kept") == (wish == anew.AGAIN)


@pytest.mark.full
async def test_what_fails_rests_and_others_have_their_turn(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange whose quotes are fine, so that nothing else holds it back."""
    asked: list[str] = []

    async def get(self: Outside, provider: Provider, path: str, *about: Any, **more: Any) -> list[Any]:
        asked.append(f"{provider.name} {path.partition('start')[0]}")
        if provider.name in ("bitstamp", "mempool.space", "blockchain.info"):
            raise OutsideMalformed("no candles today")
        return []

    monkeypatch.setattr(Outside, "get", get)
    async with alone(valkey) as it:
        for _ in range(300):
            await it._round()
    failed = [one for one in asked if not one.startswith(("bitfinex", "kraken", "coinbase", "gemini"))]
    assert len(failed) == len(set(failed)) == 9 + 2  # three currencies, three steps, and two aggregates
    assert len(asked) - len(failed) > 100
    assert it.tallies["bitstamp"].refused == 9


async def test_what_came_to_be_seen_in_part_is_asked_for_again(valkey: EmbeddedValkey) -> None:
    now = 1_790_000_000
    last = (now - history.LATE_SECONDS) // HOUR - 1
    bitstamp = next(one for one in EXCHANGES if one.provider.name == "bitstamp")
    async with alone(valkey) as it:
        for index in range(last - history.BACK[HOUR], last + 1):
            it.past.bars[HOUR, "USD"].put(index, Bar(1, 1, 1, 1, NUMBERS["market"]))
        assert await it._next(bitstamp, "USD", HOUR, now) is None
        it.past._gap("USD", last * HOUR - 1_800, last * HOUR)
        it.reopen()
        assert not it.past.reopened
        chunk = await it._next(bitstamp, "USD", HOUR, now)
        assert chunk is not None
        assert (chunk.first, chunk.last) == (last - 1, last)
        it._seen("bitstamp USD 3600", chunk)
        assert await it._next(bitstamp, "USD", HOUR, now) is None


async def test_no_round_keeps_the_event_loop(valkey: EmbeddedValkey) -> None:
    """Working through sixteen years takes a few milliseconds at a time."""
    async with alone(valkey) as it:
        days = dict.fromkeys(range(FIRST_DAY, 20_700), 100)
        it.past.closes("USD", msgspec.convert(days, dict[int, Any]), NUMBERS["blockchain.info"])
        it.past.put_rates({day: tuple([1.5] * 32) for day in range(FIRST_DAY, 20_700)})
        slowest = 0.0
        for first in range(FIRST_DAY, 20_700, history.CROSSED_AT_ONCE):
            began = time.perf_counter()
            it.past.cross_days("EUR", first, first + history.CROSSED_AT_ONCE - 1)
            slowest = max(slowest, time.perf_counter() - began)
        assert slowest < 0.05
        assert each(it.past.get(DAY, "EUR", day) for day in range(FIRST_DAY, 20_700, 500))


async def test_what_is_forgotten_while_it_is_taken_in_is_asked_for_again(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Candles come in by the hundred, with others' turns between."""
    now = 1_790_000_000
    last = (now - history.LATE_SECONDS) // HOUR - 1
    bitstamp = next(one for one in EXCHANGES if one.provider.name == "bitstamp")
    candles = [Candle((last - back) * HOUR, *[Decimal(5)] * 4) for back in range(300)]

    async def told(*_: Any, **__: Any) -> list[Candle]:
        return candles

    async with alone(valkey) as it:
        monkeypatch.setattr(it.outside, "get", told)
        chunk = history.Chunk(last - 299, last, 0)
        for forgets in (True, False):
            fetching = asyncio.ensure_future(it._fetch(bitstamp, "USD", HOUR, chunk))
            turns = 0
            while not fetching.done():
                await asyncio.sleep(0)
                turns += 1
                if turns == 2 and forgets:
                    it.forget(now)
            assert await fetching
            assert turns >= len(candles) // history.AT_ONCE
            assert ("bitstamp USD 3600" in it.asked) is not forgets
        assert each(it.past.get(HOUR, "USD", last - back) is not None for back in (0, 150, 299))

"""The market as it stands: what is read back is not trusted, clocks are set back, and prices go on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

import msgspec
import pytest

from local_run.valkey import EmbeddedValkey
from market import telling
from market.app import Desk, run
from market.book import FRESH_MS
from market.exchange import HIGHEST, Quotes, Said, priced
from market.exchanges import EXCHANGES
from market.state import AGAIN_MS, CROSS_MS, PATIENCE_MS, Market
from market.telling import Listener
from shared import redis
from shared.clock import now
from shared.domains import MARKET
from shared.errors import OutsideMalformed
from shared.events.prices import PriceUpdated
from shared.outside import ecb
from shared.outside.client import Outside
from shared.outside.ecb import Rates
from shared.outside.provider import Provider
from shared.outside.tally import Tally
from shared.price_views import PriceNow, PricesView
from support.exchanges import Exchanges, ecb_archive
from support.ledger import KEYS, running, service
from support.stack import until

NOW = 1_790_000_000_000
SOURCES = ("coinbase", "kraken", "bitstamp")


def price_now(currency: str = "USD", price: str = "100", time_ms: int = NOW, **more: Any) -> PriceNow:
    return PriceNow(
        currency=currency, price=Decimal(price), time_ms=time_ms, how="direct", agreed=True, sources=["kraken"],
        rejected=[], changes={}, **more,
    )  # fmt: skip


def view(*prices: PriceNow) -> PricesView:
    return PricesView(prices={one.currency: one for one in prices}, fx_day="", sample=False)


def told(market: Market, now_ms: int) -> list[PriceUpdated]:
    return [one for one in market.flush(now_ms).events if isinstance(one, PriceUpdated)]


def hear(market: Market, now_ms: int, price: str, *sources: str, currency: str = "USD") -> None:
    for source in sources or SOURCES:
        market.hear(source, Said(currency, Decimal(price), None), now_ms)


def test_the_rates_that_values_are_told_by_are_shown_with_their_day() -> None:
    market = Market(KEYS)
    market.rated(Rates(20_000, {"USD": Decimal("1.25"), "SEK": Decimal(11)}, {}))
    hear(market, NOW, "100")
    written = market.flush(NOW).commands.arguments
    raw = written[written.index("prices") + 1]
    assert isinstance(raw, bytes)
    shown = msgspec.json.decode(raw, type=PricesView)
    assert (shown.fx_day, shown.fx_rates) == ("2024-10-04", {"USD": Decimal("1.25"), "SEK": Decimal(11)})


# --- the clock -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back_ms", [3, 1_500, 3_600_000, 400 * 86_400_000])
def test_a_clock_that_was_set_back_delays_no_price(back_ms: int) -> None:
    market = Market(KEYS)
    market.rated(Rates(20_000, {"USD": Decimal("1.25"), "SEK": Decimal(11)}, {}))
    hear(market, NOW, "100")
    assert {one.currency for one in told(market, NOW)} == {"USD", "EUR", "SEK"}
    now = NOW - back_ms
    market.flush(now)
    assert market.now["USD"].time_ms <= now
    assert market.due_ms(now) <= now + AGAIN_MS
    hear(market, now + 1_100, "101")
    assert [one.price for one in told(market, now + 1_100) if one.currency == "USD"] == [Decimal(101)]
    again = told(market, now + CROSS_MS + 1)
    assert "SEK" in [one.currency for one in again]


def test_what_was_heard_by_a_clock_ahead_grows_old_by_the_one_that_is_right() -> None:
    market = Market(KEYS)
    hear(market, NOW, "100")
    market.flush(NOW)
    now = NOW - 3_600_000
    market.flush(now)
    assert market.fresh_ms == now
    assert [one.held_against for one in market.book.opinions("USD", now + FRESH_MS)] == [None] * 3
    assert [one.held_against for one in market.book.opinions("USD", now + FRESH_MS + 1)] == ["late"] * 3


def test_the_pace_is_that_of_what_is_published() -> None:
    """However long it takes to write a price down, the next one is a second later."""
    market = Market(KEYS)
    hear(market, NOW, "100")
    market.flush(NOW)
    market.written(NOW + 700)
    hear(market, NOW + 750, "101")
    assert market.due_ms(NOW + 750) == NOW + 1_700
    assert told(market, NOW + 1_699) == []
    assert [one.currency for one in told(market, NOW + 1_700)] == ["USD"]


# --- what is read back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["0", "-5", "NaN", "sNaN", "Infinity", "1e30", "0.001"])
def test_a_price_that_cannot_be_is_not_read_back(wrong: str) -> None:
    market = Market(KEYS)
    market.restored(view(price_now(price=wrong), price_now("EUR", "90")), NOW)
    assert set(market.now) == {"EUR"}
    hear(market, NOW, "100")
    assert [one.price for one in told(market, NOW) if one.currency == "USD"] == [Decimal(100)]
    assert [one.apart_percent for one in market.quotes_now if one.currency == "USD"] == [0.0] * 3


def test_a_price_of_the_future_is_of_now_at_the_latest() -> None:
    market = Market(KEYS)
    market.restored(view(price_now(time_ms=NOW + 10**9), price_now("EUR", time_ms=NOW - 5)), NOW)
    assert (market.now["USD"].time_ms, market.now["EUR"].time_ms) == (NOW, NOW - 5)
    wrong = {"EUR": price_now("USD")}
    market = Market(KEYS)
    market.restored(PricesView(prices=wrong, fx_day="", sample=False), NOW)
    market.restored(None, NOW)
    assert market.now == {}


NONSENSE = (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"prices":{"\xff":1},"fx_day":"","sample":false}',
            b'{"prices":{"USD":{"currency":"USD","price":"0"}},"fx_day":"","sample":false}')  # fmt: skip


@pytest.mark.parametrize("raw", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense_in_redis_ends_nothing(valkey: EmbeddedValkey, client: redis.Client, raw: bytes) -> None:
    await client.hset(KEYS.views(MARKET), "prices", raw)
    await client.hset(KEYS.state(MARKET), "asked", raw)
    async with Exchanges(pace=0.05) as world, running(valkey.url, run, "market", OUTSIDE_URL=world.url) as it:

        async def there() -> bool:
            found = await client.hget(KEYS.views(MARKET), "prices")
            return found != raw and it.health.state == "ok" and b'"USD"' in found

        await until(there, 15, "it tells prices")


# --- the first quotes after a start ----------------------------------------------------------------------


def test_one_alone_waits_for_others_and_then_speaks_for_itself() -> None:
    market = Market(KEYS)
    hear(market, NOW, "100", "kraken")
    assert told(market, NOW) == []
    assert [one.price for one in told(market, NOW + PATIENCE_MS)] == [Decimal(100)]


@pytest.mark.parametrize(("price", "age_ms", "at_once"), [("101.9", 60_000, True), ("102.1", 60_000, False),
                                                          ("100", 400_000, False)])  # fmt: skip
def test_the_last_price_speaks_for_one_who_says_nearly_the_same(price: str, age_ms: int, at_once: bool) -> None:
    market = Market(KEYS)
    market.restored(view(price_now(time_ms=NOW - age_ms)), NOW)
    hear(market, NOW, price, "kraken")
    assert bool(told(market, NOW)) == at_once


# --- what is no price ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "0", "-1", "0.009", "NaN", "sNaN", "Infinity", str(HIGHEST), "1e-400"])
def test_no_price(value: str | None) -> None:
    with pytest.raises(OutsideMalformed):
        priced(None if value is None else Decimal(value), "somebody")


def test_a_price_of_many_digits_is_kept_short() -> None:
    assert len(str(priced(Decimal("50000." + "1" * 100_000), "somebody"))) < 40


async def test_a_message_of_which_nobody_thought_is_refused_and_counted(valkey: EmbeddedValkey) -> None:
    """One message of many: the conversation goes on."""

    def heard(raw: str | bytes) -> Quotes:
        return [Said("USD", {"good": Decimal(5)}[str(raw)], None)]

    good: list[bool] = []
    it = service(valkey.url, "market")

    class Talking(Outside):
        async def converse(self, provider: Provider, talk: Any, heard: Callable[[str | bytes], bool]) -> NoReturn:
            good.extend([heard("odd"), heard("good")])
            it.stopping.set()
            raise OutsideMalformed("it is over")

    exchange = dataclasses.replace(EXCHANGES[0], conversation=lambda: heard)
    listener = Listener(it, Talking(it), exchange, Market(KEYS), Tally(), lambda: None)
    await listener._talk()
    await it.close()
    assert good == [False, True]
    assert (listener.tally.messages, listener.tally.refused) == (2, 1)
    assert "KeyError" in listener.tally.refused_why
    assert listener.market.book.heard_ms(exchange.provider.name, "USD") > 0


async def test_conversations_that_do_not_last_leave_others_their_budget(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    it = service(valkey.url, "market")

    class Talking(Outside):
        async def converse(self, provider: Provider, talk: Any, heard: Callable[[str | bytes], bool]) -> NoReturn:
            heard("{}")
            raise OutsideMalformed("it is over")

    async def rest(event: Any, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            event.set()

    monkeypatch.setattr(telling, "pause", rest)
    exchange = dataclasses.replace(EXCHANGES[0], conversation=lambda: lambda raw: [Said("USD", Decimal(5), None)])
    listener = Listener(it, Talking(it), exchange, Market(KEYS), Tally(), lambda: None)
    await listener._talk()
    await it.close()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert not listener.tally.connected


async def test_rates_of_a_future_day_are_refused(valkey: EmbeddedValkey) -> None:
    it = service(valkey.url, "market")
    desk = Desk(it, Outside(it))
    lines = ecb_archive(40)
    assert desk._of_now(lines).newest["USD"] == Decimal("1.25")
    it.clock.told(1_600_000_000_000, now().steady_ms)
    with pytest.raises(OutsideMalformed, match="not yet"):
        desk._of_now(lines)
    await it.close()


def test_an_archive_that_is_damaged_is_refused() -> None:
    whole = ecb_archive(400)
    for at in range(40, len(whole) - 4, len(whole) // 50):
        with contextlib.suppress(OutsideMalformed):
            ecb.decode(whole[:at] + bytes(byte ^ 0x5A for byte in whole[at : at + 4]) + whole[at + 4 :])

"""Each exchange's messages and answers, in their true shapes, and everything that they must not be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import fx
from market.aggregates import blockchain_info, mempool_space
from market.exchange import Candle, Exchange, Quotes, Refused, Said
from market.exchanges import EXCHANGES
from shared.errors import OutsideError, OutsideMalformed, OutsideRefused
from shared.outside import ecb
from support.exchanges import CURRENCIES, Exchanges, _candles, _greetings, ecb_archive, mangled

BY_NAME = {exchange.provider.name: exchange for exchange in EXCHANGES}
TALKERS = [name for name, exchange in BY_NAME.items() if exchange.talk is not None]
WRONG = ("html", "truncated", "null", "NaN", "words", "negative", "absurd", "swapped", "error body")

each_exchange = pytest.mark.parametrize("name", BY_NAME)


def prices(quotes: Any) -> dict[str, Decimal]:
    return {one.currency: one.price for one in quotes if isinstance(one, Said)}


@each_exchange
def test_an_answer_says_the_price_between_bid_and_ask(name: str) -> None:
    world = Exchanges()
    for currency in CURRENCIES[name]:
        body = json.dumps(world.ticker(name, currency)).encode()
        assert prices(BY_NAME[name].ticker(body, currency))[currency] == Decimal(str(world.prices[currency]))
    assert set(BY_NAME[name].tickers) == set(CURRENCIES[name])


@pytest.mark.parametrize("name", TALKERS)
def test_a_conversation_says_the_price_in_every_currency(name: str) -> None:
    world, exchange = Exchanges(), BY_NAME[name]
    assert exchange.conversation is not None
    hear = exchange.conversation()
    for greeting in _greetings(name):
        assert not hear(json.dumps(greeting))
    for currency in CURRENCIES[name]:
        assert prices(hear(json.dumps(world.message(name, currency)))) == {
            currency: Decimal(str(world.prices[currency]))
        }


@pytest.mark.parametrize("mode", WRONG)
@each_exchange
def test_what_cannot_be_is_refused_in_words(name: str, mode: str) -> None:
    world, exchange = Exchanges(modes={name: mode}), BY_NAME[name]
    body = mangled(mode, json.dumps(world.ticker(name, "USD"))).encode()
    assert_refused(exchange, lambda: exchange.ticker(body, "USD"))
    if exchange.conversation is None:
        return
    if mode == "swapped" and name == "bitstamp":
        return  # it tells trades
    hear = exchange.conversation()
    for greeting in _greetings(name):
        hear(json.dumps(greeting))
    message = mangled(mode, json.dumps(world.message(name, "USD")))
    assert_refused(exchange, lambda: hear(message))


def assert_refused(exchange: Exchange, call: Callable[[], Quotes]) -> None:
    who = exchange.provider.title.split()[0]
    found: list[Quotes] = []
    with contextlib.suppress(OutsideMalformed, OutsideRefused):
        found.append(call())
    for quotes in found:
        assert quotes
        assert [one for one in quotes if not isinstance(one, Refused) or who not in one.why] == []


def test_one_bad_pair_does_not_spoil_the_others() -> None:
    body = json.loads(json.dumps(Exchanges().ticker("kraken", "USD")))
    body["result"]["XXBTZEUR"]["b"] = ["-5", "1", "1"]
    body["result"]["XXBTZJPY"]["a"] = [None]
    quotes = BY_NAME["kraken"].ticker(json.dumps(body).encode(), "USD")
    assert set(prices(quotes)) == set(CURRENCIES["kraken"]) - {"EUR", "JPY"}
    assert {one.currency for one in quotes if isinstance(one, Refused)} == {"EUR", "JPY"}


def test_a_limit_that_is_told_with_status_200_is_one() -> None:
    with pytest.raises(OutsideRefused):
        BY_NAME["kraken"].ticker(b'{"error":["EAPI:Rate limit exceeded"]}', "USD")


@given(body=st.binary(max_size=60) | st.from_regex(r"[\[\]{}\",:0-9a-z.-]{0,60}", fullmatch=True).map(str.encode))
@pytest.mark.parametrize("name", BY_NAME)
def test_whatever_is_answered_is_a_quote_or_a_fault_of_the_source(name: str, body: bytes) -> None:
    exchange = BY_NAME[name]
    calls: list[Callable[[], object]] = [lambda: exchange.ticker(body, "USD"), lambda: exchange.candles.decode(body)]
    if exchange.conversation is not None:
        hear = exchange.conversation()
        calls.append(lambda: hear(body))
    for call in calls:
        with contextlib.suppress(OutsideError):
            call()


# --- the past --------------------------------------------------------------------------------------------


@each_exchange
def test_candles_come_rising_each_time_once(name: str) -> None:
    step, first = 86_400, 1_790_000_000 // 86_400 * 86_400 - 20 * 86_400
    path = BY_NAME[name].candles.path("USD", step, first, first + 10 * step)
    query = dict(part.split("=") for part in path.partition("?")[2].split("&") if part)
    told = _candles(name, path.partition("?")[0], query, lambda at: 50_000.0 + at // 86_400 % 500 * 5)
    found = BY_NAME[name].candles.decode(json.dumps(told).encode())
    assert [one.time for one in found] == sorted({one.time for one in found})
    inside = [one for one in found if first <= one.time < first + 10 * step]
    price = Decimal(50_000 + first // 86_400 % 500 * 5)
    if name not in ("kraken", "gemini"):  # which tell their newest ones whatever is asked
        assert len(inside) == 10
        exact = Candle(first, price, price * Decimal("1.01"), price * Decimal("0.99"), price * Decimal("1.002"))
        assert inside[0] == exact


def test_one_bad_candle_does_not_spoil_the_others() -> None:
    good, bad = [86_400, 1, 4, 2, 3, 9], [172_800, 5, 4, 2, 3, 9]  # the low above the high
    nothing = [259_200, None, None, None, None, 0]
    found = BY_NAME["coinbase"].candles.decode(json.dumps([nothing, bad, good]).encode())
    assert found == [Candle(86_400, Decimal(2), Decimal(4), Decimal(1), Decimal(3))]
    with pytest.raises(OutsideMalformed):
        BY_NAME["coinbase"].candles.decode(json.dumps([bad]).encode())


def test_aggregates_tell_closes_by_day_and_no_zero() -> None:
    body = {"unit": "USD", "values": [{"x": 1_231_006_505, "y": 0.0}, {"x": 1_300_000_000, "y": 0.91}]}
    assert blockchain_info.decode(json.dumps(body).encode()) == {"USD": {1_300_000_000 // 86_400: Decimal("0.91")}}
    hours = [{"time": 1_400_000_000 + hour * 3_600, "USD": 500 + hour, "EUR": 0, "GBP": -1} for hour in (2, 1)]
    found = mempool_space.decode(json.dumps({"prices": hours}).encode())
    assert found["USD"] == {1_400_000_000 // 86_400: Decimal(502)}
    assert found["EUR"] == found["GBP"] == found["JPY"] == {}


@pytest.mark.parametrize("decode", [blockchain_info.decode, mempool_space.decode, ecb.decode])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"prices":[]}', b'{"unit":"EUR","values":[]}', b"PK\x03\x04 no zip"]
)
def test_aggregates_and_the_ecb_refuse_what_they_are_not(decode: Any, body: bytes) -> None:
    with pytest.raises(OutsideMalformed):
        decode(body)


def test_the_rates_of_the_ecb() -> None:
    rates = ecb.decode(ecb_archive(30))
    assert rates.newest["USD"] == Decimal("1.25")
    assert "XYZ" not in rates.newest
    assert len(rates.past) in range(18, 24)
    assert ecb.cross(Decimal(100), "USD", "JPY", rates.newest) == Decimal(100) / Decimal("1.25") * 180
    assert ecb.cross(Decimal(100), "USD", "XYZ", rates.newest) is None


def test_the_package_ships_rates_since_2010() -> None:
    rates = fx.shipped()
    assert min(rates.past) == 14_613  # 4 January 2010, a Monday
    assert len(rates.newest) >= 25

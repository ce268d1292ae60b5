"""The past as it is kept: bars of what was published, what replaces what, days worked out of rates, changes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from market.exchange import Candle
from market.past import FIRST_DAY, Past
from market.views import changes_of, recent_of
from shared import redis
from shared.commit import Commands
from shared.price_records import Bar
from shared.prices import FX, MILLION, NUMBERS, SOURCES, WORTH, millionths
from shared.series import DAY, HOUR, MINUTE
from support.each import each
from support.ledger import KEYS

NOON = 20_700 * DAY + 12 * HOUR
OURS, SAMPLE = NUMBERS["market"], NUMBERS["sample"]


def publish(past: Past, first: int, last: int, every: int = 10, price: int = 100, source: int = OURS) -> None:
    """One price every so many seconds, `last` included."""
    for at in range(first, last + 1, every):
        past.price("USD", Decimal(price), at * 1000, source)


def bar(past: Past, step: int, at: int, currency: str = "USD") -> Bar:
    found = past.get(step, currency, at // step)
    assert found is not None
    return found


def ours(opened: int, high: int, low: int, close: int) -> Bar:
    return Bar(opened * MILLION, high * MILLION, low * MILLION, close * MILLION, OURS)


def candle(time: int, price: int) -> Candle:
    return Candle(time, *(Decimal(one) for one in (price, price + 2, price - 2, price + 1)))


async def stored(past: Past, client: redis.Client) -> Past:
    """What a restart finds."""
    commands = Commands()
    past.flush(commands)
    at = 0
    while at < len(commands.arguments):
        count, name, key, *_ = commands.arguments[at : at + 3]
        arguments = commands.arguments[at + 3 : at + 1 + int(count)]
        await client.execute_command(str(name), commands.keys[int(key) - 3], *arguments)
        at += int(count) + 1
    found = Past(KEYS)
    await found.load(client, KEYS)
    return found


def test_bars_of_what_was_published() -> None:
    past = Past(KEYS)
    for second, price in ((0, 100), (20, 140), (40, 90), (59, 110), (60, 120)):
        past.price("USD", Decimal(price), (NOON + second) * 1000 + 999, OURS)
    assert bar(past, MINUTE, NOON) == ours(100, 140, 90, 110)
    hour = ours(100, 140, 90, 120)
    assert bar(past, HOUR, NOON) == hour
    assert bar(past, DAY, NOON) == hour._replace(open=0)  # we came at noon
    assert past.get(MINUTE, "EUR", NOON // MINUTE) is None


@pytest.mark.parametrize(("step", "late", "whole"), [(MINUTE, 15, True), (MINUTE, 16, False), (HOUR, 90, True),
                                                     (HOUR, 91, False), (DAY, 90, True), (DAY, 91, False)])  # fmt: skip
def test_a_span_that_we_did_not_see_begin_is_worth_less_than_a_candle(step: int, late: int, whole: bool) -> None:
    past, begins = Past(KEYS), 20_700 * DAY
    publish(past, begins + late, begins + late)
    assert bool(bar(past, step, begins).open) == whole
    past.candles(step, "USD", [candle(begins, 50)], NUMBERS["kraken"])
    assert (SOURCES[bar(past, step, begins).source] == "market") == whole


async def test_a_restart_in_the_middle_of_a_span(client: redis.Client) -> None:
    """A short one leaves the hour whole; after a long one, minute, hour and day are an exchange's to tell."""
    past, midnight = Past(KEYS), 20_700 * DAY
    publish(past, midnight, midnight + 615)
    past = await stored(past, client)
    past.resumed(midnight + 630)
    publish(past, midnight + 630, midnight + 1_200)
    assert bar(past, HOUR, midnight).open
    assert bar(past, DAY, midnight) == ours(100, 100, 100, 100)
    past = await stored(past, client)
    past.resumed(midnight + 1_800)
    assert (bar(past, HOUR, midnight).open, bar(past, DAY, midnight).open) == (0, 0)
    assert bar(past, MINUTE, midnight + 600).open
    assert past.reopened >= {(HOUR, "USD", midnight // HOUR), (DAY, "USD", midnight // DAY)}
    past.candles(DAY, "USD", [candle(midnight, 50)], NUMBERS["kraken"])
    assert SOURCES[bar(past, DAY, midnight).source] == "kraken"


async def test_a_span_whose_end_nobody_saw(client: redis.Client) -> None:
    past, begins = Past(KEYS), NOON
    publish(past, begins, begins + HOUR - 600)
    past = await stored(past, client)
    past.resumed(begins + 5 * DAY)
    assert bar(past, HOUR, begins).open == 0
    assert bar(past, MINUTE, begins).open


def test_silence_while_we_run_is_a_gap_as_well() -> None:
    past = Past(KEYS)
    publish(past, NOON, NOON + 300)
    publish(past, NOON + 300 + 91, NOON + HOUR)
    assert bar(past, HOUR, NOON).open == 0
    assert bar(past, MINUTE, NOON + 240).open
    assert bar(past, MINUTE, NOON + 300).open == 0
    assert (HOUR, "USD", NOON // HOUR) in past.reopened


def test_prices_every_quarter_of_a_minute_leave_no_gap() -> None:
    past = Past(KEYS)
    publish(past, NOON, NOON + 2 * HOUR, every=15)
    assert not past.reopened
    assert each(bar(past, HOUR, NOON + at).open for at in (0, HOUR))


def test_what_is_worth_more_is_never_replaced_by_what_is_worth_less() -> None:
    """Every pair of sources, in both orders."""
    day = 20_700
    for first in NUMBERS:
        for second in NUMBERS:
            past = Past(KEYS)
            for source, price in ((first, 100), (second, 200)):
                if source in ("market", "sample"):
                    publish(past, day * DAY, day * DAY, price=price, source=NUMBERS[source])
                elif source in ("mempool.space", "blockchain.info", "cross"):
                    past.closes("USD", {day: Decimal(price)}, NUMBERS[source])
                else:
                    past.candles(DAY, "USD", [candle(day * DAY, price)], NUMBERS[source])
            kept = SOURCES[bar(past, DAY, day * DAY).source]
            assert kept == (second if WORTH[second] > WORTH[first] else first), (first, second)


def test_a_price_that_is_made_up_leaves_what_was_real_as_it_is() -> None:
    past = Past(KEYS)
    publish(past, NOON, NOON + 30, price=100)
    publish(past, NOON + 40, NOON + 50, price=900, source=SAMPLE)
    assert {bar(past, step, NOON).high for step in (MINUTE, HOUR, DAY)} == {millionths(Decimal(100))}
    publish(past, NOON + MINUTE, NOON + MINUTE, price=900, source=SAMPLE)
    publish(past, NOON + MINUTE + 10, NOON + MINUTE + 10, price=100)
    assert bar(past, MINUTE, NOON + MINUTE).high == millionths(Decimal(100))


async def test_everything_of_one_source_is_forgotten_and_nothing_else() -> None:
    past = Past(KEYS)
    publish(past, NOON, NOON + 30)
    past.candles(DAY, "EUR", [candle(day * DAY, 50) for day in range(19_000, 19_100)], SAMPLE)
    await past.forget(SAMPLE)
    assert past.get(DAY, "EUR", 19_050) is None
    assert bar(past, MINUTE, NOON).source == OURS


def test_no_price_is_kept_as_nothing() -> None:
    past = Past(KEYS)
    past.closes("USD", {20_000: Decimal("0.0000001"), FIRST_DAY - 1: Decimal(5)}, NUMBERS["blockchain.info"])
    assert past.get(DAY, "USD", 20_000) is None
    assert past.get(DAY, "USD", FIRST_DAY - 1) is None


@pytest.mark.parametrize("price", ["1e13", "9e15", "1e30", "0", "0.0000001"])
def test_a_price_that_no_record_holds_is_none(price: str) -> None:
    past = Past(KEYS)
    past.price("JPY", Decimal(price), NOON * 1000, OURS)
    assert past.get(MINUTE, "JPY", NOON // MINUTE) is None


# --- days worked out of the ECB's rates ------------------------------------------------------------------


def rates(**units: float) -> tuple[float, ...]:
    return tuple(units.get(name, 0.0) for name in FX)


def crossed(past: Past, currency: str, day: int) -> int | None:
    past.cross_days(currency, FIRST_DAY, 20_800)
    found = past.get(DAY, currency, day)
    return None if found is None else found.close


def test_days_through_the_rates_of_the_ecb() -> None:
    past, friday = Past(KEYS), 20_700
    past.put_rates({friday: rates(USD=1.25, JPY=200.0)})
    past.closes("USD", dict.fromkeys(range(friday - 1, friday + 9), Decimal(100)), NUMBERS["blockchain.info"])
    assert crossed(past, "EUR", friday) == millionths(Decimal(80))
    assert crossed(past, "JPY", friday + 7) == millionths(Decimal(16_000))  # no rate is set at weekends
    assert crossed(past, "JPY", friday + 8) is None  # but one that is older says nothing
    assert crossed(past, "EUR", friday - 1) is None
    assert crossed(past, "CHF", friday) is None
    assert SOURCES[bar(past, DAY, friday * DAY, "JPY").source] == "cross"
    past.cross_days("USD", FIRST_DAY, 20_800)
    assert SOURCES[bar(past, DAY, friday * DAY).source] == "blockchain.info"


def test_what_is_worked_out_replaces_nothing_and_rests_on_nothing_made_up() -> None:
    past, day = Past(KEYS), 20_700
    past.put_rates({day: rates(USD=1.25), day + 1: rates(USD=1.25), day + 2: rates(USD=1.25)})
    past.closes("EUR", {day: Decimal(77)}, NUMBERS["mempool.space"])
    past.closes("USD", {day: Decimal(100), day + 2: Decimal("0.000001")}, NUMBERS["blockchain.info"])
    past.candles(DAY, "USD", [candle((day + 1) * DAY, 100)], SAMPLE)
    assert crossed(past, "EUR", day) == millionths(Decimal(77))
    assert crossed(past, "EUR", day + 1) is None
    assert crossed(past, "EUR", day + 2) is None  # less than a millionth


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0, 0.0, 1e300, 1e-300])
def test_rates_of_nonsense_say_nothing(wrong: float) -> None:
    """They are read back from Redis."""
    day = 20_700
    for units in ({"USD": wrong, "JPY": 200.0}, {"USD": 1.25, "JPY": wrong}):
        past = Past(KEYS)
        past.put_rates({day: rates(**units)})
        past.closes("USD", {day: Decimal("9e12")}, NUMBERS["blockchain.info"])
        assert crossed(past, "JPY", day) is None


def test_more_than_a_record_holds_is_not_worked_out() -> None:
    past, day = Past(KEYS), 20_700
    past.put_rates({day: rates(USD=1.25, JPY=200.0)})
    past.closes("USD", {day: Decimal("9e12")}, NUMBERS["blockchain.info"])
    assert crossed(past, "JPY", day) is None
    assert crossed(past, "EUR", day) == millionths(Decimal("7.2e12"))


# --- what there was at a moment --------------------------------------------------------------------------


@pytest.mark.parametrize("step", [MINUTE, HOUR, DAY])
def test_the_price_before_a_moment_is_never_older_than_allowed(step: int) -> None:
    """A bar's close is that of its end."""
    past, day = Past(KEYS), 20_700 * DAY
    past.candles(step, "USD", [candle(day - step, 100)], NUMBERS["kraken"])
    for tolerance in (5 * MINUTE, 2 * HOUR, 2 * DAY):
        assert past.at("USD", day, tolerance) == (day, Decimal(101))
        assert past.at("USD", day + tolerance, tolerance) == (day, Decimal(101))
        assert past.at("USD", day + tolerance + 1, tolerance) is None
        assert past.at("USD", day - 1, tolerance) is None
    assert past.at("EUR", day, DAY) is None


def test_the_nearest_price_before_a_moment_whatever_bar_has_it() -> None:
    past, day = Past(KEYS), 20_700 * DAY
    past.candles(DAY, "USD", [candle(day - DAY, 100)], NUMBERS["kraken"])
    past.candles(HOUR, "USD", [candle(day + HOUR, 200)], NUMBERS["kraken"])
    past.candles(MINUTE, "USD", [candle(day + 7_000, 1), candle(day + 6_960, 300)], NUMBERS["kraken"])
    assert past.at("USD", day + HOUR, 2 * HOUR) == (day, Decimal(101))
    assert past.at("USD", day + 7_100, 2 * HOUR) == (day + 7_020, Decimal(301))
    assert past.at("USD", day + 3 * HOUR, 2 * HOUR) == (day + 2 * HOUR, Decimal(201))


def test_an_hour_whose_end_nobody_saw_says_nothing_of_its_end() -> None:
    past = Past(KEYS)
    publish(past, NOON, NOON + 600)
    past.resumed(NOON + 2 * HOUR)
    assert past.at("USD", NOON + HOUR, 10 * MINUTE) is None
    assert past.at("USD", NOON + HOUR, HOUR) == (NOON + 660, Decimal(100))


def test_changes_without_a_past_are_not_known() -> None:
    past, now = Past(KEYS), 20_700 * DAY + 7 * HOUR
    assert changes_of(past, "USD", Decimal(100), now) == {}
    past.candles(DAY, "USD", [candle(day * DAY, 99) for day in range(20_000, 20_700)], NUMBERS["kraken"])
    found = changes_of(past, "USD", Decimal(150), now)
    assert set(found) == {"1y"}  # yesterday's close is no price of an hour, or of 24, ago
    assert (found["1y"].time, found["1y"].percent) == ((20_700 - 365) * DAY, 50.0)
    assert recent_of(past, now).courses["USD"].count(None) == 47  # 0:00 and 0:30 have one, 24 h ago has none

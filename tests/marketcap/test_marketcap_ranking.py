"""Assets of every class and their ranking, against figures worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketcap import assets, ranking, stocks
from marketcap.assets import Money, Quote, Source
from marketcap.coins import Coin
from marketcap.ranking import Bitcoin
from support.asset_samples import DAY, RATES, asset, quote
from support.each import each
from support.market_bodies import NOW

BITCOIN = Bitcoin(price=Decimal(100_000), supply=20_000_000 * 10**8, seen=NOW)
"""2 million million USD."""


def test_gold_is_worth_its_tonnes_in_ounces_times_the_price() -> None:
    gold = stocks.STOCKS[0]
    assert gold.quantity == Decimal("7069659820.6206")  # 219,891 t at 32,150.7466
    (made,) = assets.commodities([(gold, NOW)], {"XAU": quote("4000")}).assets
    assert made.value == Decimal("28278639282482.4000")
    assert (made.kind, made.symbol, made.estimate, made.unit) == ("commodity", "XAU", False, "troy ounce")
    lists = ranking.ranked([made], BITCOIN, NOW)
    assert lists.parity("commodity:XAU") == Decimal("1413931.96")  # over 20 million bitcoin
    assert lists.lists["commodity"][0].index == Decimal("14.1393")
    assert lists.rank() == 2


def test_copper_is_priced_by_the_pound_and_only_estimated() -> None:
    copper = next(one for one in stocks.STOCKS if one.symbol == "HG")
    assert copper.quantity == Decimal("1227974800370.45")  # 557 million tonnes at 2,204.62262185
    (made,) = assets.commodities([(copper, NOW)], {"HG": quote("5")}).assets
    assert made.value == Decimal("6139874001852.25")
    assert made.estimate
    assert next(one for one in made.sources if one.of == "quantity").note


def test_each_stock_says_where_it_is_from_and_when() -> None:
    assert [one.name for one in stocks.STOCKS] == ["Gold", "Silver", "Platinum", "Palladium", "Copper"]
    assert each(one.link.startswith("https://") and one.source and len(one.as_of) == 10 for one in stocks.STOCKS)
    assert each(bool(one.note) == one.estimate for one in stocks.STOCKS)


@pytest.mark.parametrize("quotes", [{}, {"XAU": quote("4000", currency="EUR")}])
def test_a_commodity_without_a_price_in_dollars_is_named(quotes: dict[str, Quote]) -> None:
    made = assets.commodities([(stocks.STOCKS[0], NOW)], quotes)
    assert made.assets == ()
    assert made.missing == ("Gold: no price in USD",)


# --- currencies ------------------------------------------------------------------------------------------


def money(currency: str, amount: int) -> Money:
    return Money(
        currency=currency, amount=Decimal(amount), change=Decimal(5), source="Bank", link="https://b/",
        as_of=NOW - 60 * DAY, fetched=NOW,
    )  # fmt: skip


def test_currencies_are_worth_their_money_in_dollars() -> None:
    made = assets.currencies([money("USD", 22_000), money("EUR", 16_000), money("JPY", 32_000), money("XXX", 1)], RATES)
    assert [(one.symbol, one.value, one.price) for one in made.assets] == [
        ("USD", Decimal(22_000), Decimal(1)),
        ("EUR", Decimal(20_000), Decimal("1.25")),
        ("JPY", Decimal(200), Decimal("0.00625")),  # 32,000 / 200 euros at 1.25
    ]
    assert made.missing == ("XXX: no rate against USD",)
    assert [(one.name, one.country) for one in made.assets[:2]] == [("US dollar", "US"), ("Euro", "EU")]


def test_a_currency_without_a_name_of_its_own_is_called_by_its_code() -> None:
    (made,) = assets.currencies([money("HKD", 32_000)], RATES).assets
    assert (made.name, made.country) == ("HKD", "HK")
    assert [one.of for one in made.sources] == ["quantity", "rate"]


def test_money_that_is_not_m2_says_which_it_is() -> None:
    other = msgspec.structs.replace(money("GBP", 3_000), note="M4: the Bank of England publishes no M2")
    made = assets.currencies([other, money("EUR", 16_000)], RATES)
    assert [one.sources[0].note for one in made.assets] == ["M4: the Bank of England publishes no M2", ""]


def test_a_month_that_is_two_months_old_is_not_an_old_answer() -> None:
    made = assets.currencies([money("USD", 22_000), money("EUR", 16_000)], RATES)
    assert [one.seen for one in made.assets] == [NOW, RATES.as_of]
    assert not ranking.ranked(made.assets, BITCOIN, NOW).dropped


def test_without_rates_the_dollar_stays() -> None:
    made = assets.currencies([money("USD", 22_000), money("EUR", 16_000)], None)
    assert [one.symbol for one in made.assets] == ["USD"]
    assert made.missing == ("EUR: no rate against USD",)


@pytest.mark.parametrize(
    ("amount", "currency", "dollars"),
    [(10, "USD", "10"), (8, "EUR", "10"), (8, "GBP", "12.5"), (15, "SAR", "4"), (1, "KRW", None)],
)
def test_rates(amount: int, currency: str, dollars: str | None) -> None:
    assert RATES.dollars(Decimal(amount), currency) == (None if dollars is None else Decimal(dollars))


def test_without_the_dollars_own_rate_nothing_is_converted() -> None:
    rates = msgspec.structs.replace(RATES, units={"JPY": Decimal(200)})
    assert rates.dollars(Decimal(1), "EUR") is None
    assert rates.dollars(Decimal(1), "JPY") is None
    assert rates.dollars(Decimal(1), "USD") == 1
    assert (
        msgspec.structs.replace(RATES, units={"USD": Decimal(1), "JPY": Decimal(0)}).dollars(Decimal(1), "JPY") is None
    )


# --- coins -----------------------------------------------------------------------------------------------


def coin(**over: Any) -> Coin:
    return msgspec.structs.replace(
        Coin(
            id="eth", symbol="ETH", name="Ethereum", price=Decimal(2), supply=Decimal(5), supply_derived=False,
            value=Decimal(10), change=None, claim_on=None, as_of=NOW - 60,
        ),
        **over,
    )  # fmt: skip


def test_a_coin_is_as_old_as_its_price() -> None:
    made = assets.coins(
        [coin(), coin(id="dead", symbol="D", as_of=NOW - 8 * DAY)], "CoinPaprika", "https://c/", NOW
    ).assets
    assert [one.seen for one in made] == [NOW - 60, NOW - 8 * DAY]
    assert assets.coins([coin()], "CoinPaprika", "https://c/", NOW - 90).assets[0].seen == NOW - 90
    assert [one.estimate for one in made] == [False, False]
    assert assets.coins([coin(supply_derived=True)], "C", "https://c/", NOW).assets[0].estimate


def test_a_coin_is_the_same_asset_whichever_source_tells_of_it() -> None:
    rows = [coin(id="small-eth", value=Decimal(1)), coin(), coin(id="other", symbol="OTH", value=Decimal(11))]
    made = assets.coins(rows, "CoinPaprika", "https://c/", NOW).assets
    assert [one.id for one in made] == ["coin:OTH", "coin:ETH", "coin:CoinPaprika:small-eth"]


# --- the ranking -----------------------------------------------------------------------------------------


def test_ranks_index_parity_and_share() -> None:
    found = [asset("Half", 10**12), asset("Double", 4 * 10**12), asset("Third", 666_666_666_667, "coin")]
    lists = ranking.ranked(found, BITCOIN, NOW)
    assert [(row.rank, row.asset.name) for row in lists.every] == [
        (1, "Double"), (2, "Bitcoin"), (3, "Half"), (4, "Third"),
    ]  # fmt: skip
    assert [row.index for row in lists.every] == [2, 1, Decimal("0.5"), Decimal("0.333333")]
    assert [row.parity for row in lists.every] == [200_000, 100_000, 50_000, Decimal("33333.33")]
    assert [row.share for row in lists.every] == [
        Decimal("52.1739"), Decimal("26.0870"), Decimal("13.0435"), Decimal("8.6957"),
    ]  # fmt: skip
    assert [row.asset.name for row in lists.lists["company"]] == ["Double", "Bitcoin", "Half"]
    assert [row.asset.name for row in lists.lists["coin"]] == ["Bitcoin", "Third"]
    assert [row.asset.name for row in lists.lists["currency"]] == ["Bitcoin"]
    assert (lists.rank("company"), lists.rank("coin"), lists.rank()) == (2, 1, 2)


def test_assets_of_the_same_value_share_a_rank_and_stand_by_name() -> None:
    lists = ranking.ranked([asset("B", 5), asset("A", 5), asset("C", 4), asset("D", 9)], BITCOIN, NOW)
    assert [(row.rank, row.asset.name) for row in lists.every] == [
        (1, "Bitcoin"),
        (2, "D"),
        (3, "A"),
        (3, "B"),
        (5, "C"),
    ]


@pytest.mark.parametrize(
    "bitcoin",
    [
        Bitcoin(price=None, supply=20_000_000 * 10**8, seen=NOW),
        msgspec.structs.replace(BITCOIN, seen=NOW - 8 * DAY),
    ],
)
def test_without_its_price_bitcoin_has_no_rank_and_the_others_are_listed(bitcoin: Bitcoin) -> None:
    lists = ranking.ranked([asset("Half", 10**12)], bitcoin, NOW)
    assert lists.rank() is None
    assert lists.rank("company") is None
    (row,) = lists.every
    assert (row.rank, row.index, row.parity, row.share) == (1, None, Decimal(50_000), Decimal(100))


def test_without_a_supply_nothing_is_at_parity() -> None:
    for supply in (None, 0):
        (row,) = ranking.ranked([asset("Half", 10**12)], msgspec.structs.replace(BITCOIN, supply=supply), NOW).every
        assert (row.rank, row.index, row.parity) == (1, None, None)


def test_with_nothing_at_all_the_lists_are_empty() -> None:
    lists = ranking.ranked([], Bitcoin(price=None, supply=None), NOW)
    assert lists.every == ()
    assert each(rows == () for rows in lists.lists.values())
    assert lists.parity("commodity:XAU") is None


def test_what_was_not_heard_of_keeps_its_value_for_a_week() -> None:
    found = [asset("Week", 5, seen=NOW - 7 * DAY), asset("Older", 6, seen=NOW - 7 * DAY - 1)]
    lists = ranking.ranked(found, BITCOIN, NOW)
    assert [(row.asset.name, row.age) for row in lists.every] == [("Bitcoin", 0), ("Week", 7 * DAY)]
    assert lists.dropped == ("Older: not heard of for 7 days",)


def test_a_clock_that_runs_ahead_makes_nothing_younger_than_now() -> None:
    assert ranking.ranked([asset("A", 5, seen=NOW + 60)], BITCOIN, NOW).every[1].age == 0


def test_an_asset_counts_once() -> None:
    lists = ranking.ranked([asset("A", 5), asset("A", 7)], BITCOIN, NOW)
    assert [row.asset.value for row in lists.every] == [2 * 10**12, 5]
    assert lists.dropped == ("A: company:A is there a second time",)


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_a_value_that_cannot_be_is_dropped_and_named(value: str) -> None:
    lists = ranking.ranked([asset("A", value)], BITCOIN, NOW)
    assert [row.asset.name for row in lists.every] == ["Bitcoin"]
    assert "expected above 0" in lists.dropped[0]


def test_a_claim_stands_among_its_class_and_not_among_all() -> None:
    lists = ranking.ranked([asset("Tether", 5, "coin", claim_on="USD"), asset("Ethereum", 4, "coin")], BITCOIN, NOW)
    assert [row.asset.name for row in lists.lists["coin"]] == ["Bitcoin", "Tether", "Ethereum"]
    assert [row.asset.name for row in lists.every] == ["Bitcoin", "Ethereum"]


def test_another_bitcoin_among_the_assets_is_no_second_one() -> None:
    lists = ranking.ranked([asset("Bitcoin", 5, "bitcoin")], BITCOIN, NOW)
    assert [row.asset.value for row in lists.every] == [2 * 10**12]


def test_places_gained_and_lost_since_before() -> None:
    before = ranking.ranked([asset("A", 5), asset("B", 4), asset("C", 3)], BITCOIN, NOW - DAY)
    after = ranking.ranked([asset("A", 5), asset("B", 2), asset("C", 3), asset("D", 1)], BITCOIN, NOW, before=before)
    assert [(row.asset.name, row.moved) for row in after.every] == [
        ("Bitcoin", 0), ("A", 0), ("C", 1), ("B", -1), ("D", None),
    ]  # fmt: skip
    assert [row.moved for row in after.lists["company"]] == [0, 0, 1, -1, None]
    assert [row.moved for row in before.every] == [None] * 4


def test_bitcoin_says_where_its_price_is_from() -> None:
    source = Source(of="price", name="Median of five", link="https://m/", as_of=NOW)
    own = msgspec.structs.replace(BITCOIN, sources=(source,), change=Decimal("-2.5"))
    (row,) = ranking.ranked([], own, NOW).every
    assert (row.asset.sources, row.asset.change, row.asset.period) == ((source,), Decimal("-2.5"), "24 h")
    assert row.asset.quantity == 20_000_000


@given(values=st.lists(st.decimals(min_value="1e-9", max_value="1e18", allow_nan=False, places=9), max_size=12))
def test_ranks_are_those_of_the_values(values: list[Decimal]) -> None:
    found = [asset(str(place), str(value)) for place, value in enumerate(values) if value > 0]
    rows = ranking.ranked(found, BITCOIN, NOW).every
    assert len(rows) == len(found) + 1
    every: list[Decimal] = [row.asset.value for row in rows]
    assert [row.rank for row in rows] == [1 + len([other for other in every if other > value]) for value in every]
    assert abs(sum((row.share for row in rows), Decimal(-100))) < Decimal("0.01")

"""Holders of bitcoin: claims merged, figures worked out by hand, changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from marketcap import treasuries
from marketcap.treasuries import Claim, Holding, Listed, Published
from shared.networks import COIN
from support.asset_samples import DAY, claim
from support.each import each
from support.market_bodies import NOW

SUPPLY = 20_000_000 * COIN


def held(*claims: Claim, price: int | None = 100_000, supply: int | None = SUPPLY, **more: Any) -> tuple[Holding, ...]:
    return treasuries.holdings(claims, supply=supply, price=None if price is None else Decimal(price), **more)


def test_a_holding_by_hand() -> None:
    strategy = claim("Strategy", 840_000, symbol="MSTR", cost=Decimal(63_000_000_000))
    (one,) = held(strategy, listed={"MSTR": Listed(shares=300_000_000, market_cap=Decimal(105_000_000_000))})
    assert one.share_of_limit == 4
    assert one.share_of_supply == Decimal("4.2")
    assert one.value == 84_000_000_000
    assert (one.gain, one.gain_percent) == (Decimal(21_000_000_000), Decimal("33.33"))
    assert one.satoshi_a_share == 280_000  # 0.0028 bitcoin
    assert one.multiple == Decimal("1.25")
    assert (one.key, one.rank, one.addresses) == ("symbol:MSTR", 1, ())


def test_what_is_not_known_is_none_and_not_zero() -> None:
    (one,) = held(claim("XXI", 43_514, symbol="XXI"), price=None, supply=None)
    assert (one.value, one.cost, one.gain, one.gain_percent, one.share_of_supply) == (None,) * 5
    assert (one.satoshi_a_share, one.market_cap, one.multiple) == (None,) * 3
    assert one.share_of_limit == Decimal("0.207210")
    (one,) = held(claim("XXI", 43_514, symbol="XXI"), supply=0)
    assert (one.share_of_supply, one.gain, one.value) == (None, None, Decimal(4_351_400_000))


def test_shares_are_rounded_to_six_decimals() -> None:
    (one,) = held(claim("A", 1), supply=19_999_999 * COIN)
    assert (one.share_of_limit, one.share_of_supply) == (Decimal("0.000005"), Decimal("0.000005"))
    (one,) = held(claim("A", 700_000), supply=3 * 10**14)
    assert (one.share_of_limit, one.share_of_supply) == (Decimal("3.333333"), Decimal("23.333333"))


def test_the_multiple_has_three_decimals() -> None:
    (one,) = held(claim("A", 3, symbol="A"), listed={"A": Listed(shares=7, market_cap=Decimal(100_000))})
    assert (one.multiple, one.satoshi_a_share) == (Decimal("0.333"), Decimal("42857142.86"))


def test_a_loss_is_negative() -> None:
    (one,) = held(claim("Late", 1, cost=Decimal(125_000)))
    assert (one.gain, one.gain_percent) == (Decimal(-25_000), Decimal(-20))


def test_holders_stand_by_what_they_hold_and_share_ranks() -> None:
    found = held(claim("B", 5), claim("A", 5), claim("C", 4), claim("D", 9))
    assert [(one.rank, one.claim.name) for one in found] == [(1, "D"), (2, "A"), (2, "B"), (4, "C")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (claim("Strategy", 5, symbol="MSTR"), claim("MicroStrategy Inc.", 6, symbol="mstr", source="B")),
        (claim("Metaplanet Inc.", 5, symbol="3350.T"), claim("Metaplanet", 6, source="B")),
        (claim("Metaplanet", 5, symbol="3350.T"), claim("Metaplanet", 6, symbol="MTPLF", source="B")),
        (claim("Block, Inc.", 5), claim("Block Inc", 6, source="B")),
        (claim("Government of El Salvador", 5, kind="country"), claim("El Salvador", 6, kind="country", source="B")),
        (claim("IBIT", 5, kind="fund", symbol="IBIT"), claim("iShares Bitcoin Trust", 6, symbol="IBIT", source="B")),
    ],
)
def test_one_holder_of_two_sources_counts_once(first: Claim, second: Claim) -> None:
    for order in ((first, second), (second, first)):
        (one,) = held(*order)
        assert {one.claim, *one.others} == {first, second}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (claim("Texas", 5, kind="country", country="US"), claim("United States", 6, kind="country", country="US")),
        (claim("Georgia", 5, kind="country"), claim("Georgia", 6, source="B")),
        (claim("Bitcoin Group SE", 5, symbol="ADE.DE"), claim("Bitcoin Group Ltd", 6)),
        (claim("Grayscale", 5, kind="fund", symbol="GBTC"), claim("Grayscale", 6, kind="fund", symbol="BTC")),
        (claim("Bitcoin Group SE", 5, symbol="ADE.DE"), claim("Bitcoin Group Ltd", 6, symbol="BTG.AX", source="B")),
    ],
)
def test_two_holders_stay_two(first: Claim, second: Claim) -> None:
    assert len(held(first, second)) == 2


def test_a_fund_that_another_source_takes_for_a_company_is_a_fund() -> None:
    (one,) = held(
        claim("Grayscale Bitcoin Trust", 5, symbol="GBTC"), claim("GBTC", 5, kind="fund", symbol="GBTC", source="B")
    )
    assert one.kind == "fund"


def test_which_claim_counts() -> None:
    undated = claim("S", 1, symbol="S")
    dated = claim("S", 2, symbol="S", source="B", dated=True, as_of=NOW - 9 * DAY)
    newer = claim("S", 3, symbol="S", source="C", dated=True, as_of=NOW - DAY)
    filed = claim("S", 4, symbol="S", source="D", filing="https://sec/", as_of=NOW - 30 * DAY)
    first = claim("S", 5, symbol="S", source="E")
    assert [one.claim.satoshi // COIN for one in held(undated, dated)] == [2]
    assert [one.claim.satoshi // COIN for one in held(undated, dated, newer)] == [3]
    assert [one.claim.satoshi // COIN for one in held(undated, dated, newer, filed)] == [4]
    assert [one.claim.satoshi // COIN for one in held(first, undated)] == [5]
    assert [one.claim.satoshi // COIN for one in held(undated, first)] == [1]


def test_a_cost_of_another_amount_is_not_the_cost_of_this_one() -> None:
    dated = claim("S", 2, symbol="S", source="B", dated=True)
    (one,) = held(dated, claim("S", 2, symbol="S", cost=Decimal(7)))
    assert one.cost == 7
    (one,) = held(dated, claim("S", 3, symbol="S", cost=Decimal(7)))
    assert one.cost is None


def test_published_addresses_stand_beside_the_claim() -> None:
    address = Published(address="bc1qexample", source="Its own page", link="https://p/", as_of=NOW)
    (one,) = held(claim("El Salvador", 7_000, kind="country"), published={"country:el salvador": [address]})
    assert one.addresses == (address,)
    assert one.claim.satoshi == 7_000 * COIN


def test_totals_of_each_kind() -> None:
    found = held(claim("A", 5), claim("B", 2), claim("C", 1, kind="country"))
    assert treasuries.totals(found) == {"company": (2, 7 * COIN), "country": (1, COIN)}


@pytest.mark.parametrize("name", ["The Group", "Inc", "!!!", "AG"])
def test_a_name_of_nothing_but_fillings_is_kept(name: str) -> None:
    assert treasuries.plain(name) == name.lower()


# --- changes ---------------------------------------------------------------------------------------------


def changed(before: tuple[Holding, ...], after: tuple[Holding, ...], *answered: str) -> list[tuple[str, Any, Any]]:
    found = treasuries.changes(before, after, answered=answered or ("CoinGecko", "B"), now=NOW)
    return [
        (one.name, one.before and one.before // COIN, one.after and one.after // COIN)  # none of them is 0
        for one in found
    ]


def test_more_less_new_and_gone() -> None:
    before = held(claim("More", 1), claim("Less", 9), claim("Same", 5), claim("Gone", 3))
    after = held(claim("More", 2), claim("Less", 8), claim("Same", 5), claim("New", 4))
    assert changed(before, after) == [("Gone", 3, None), ("Less", 9, 8), ("More", 1, 2), ("New", None, 4)]


def test_a_change_says_who_what_when_and_where() -> None:
    before = held(claim("S", 1, symbol="S", kind="fund"))
    after = held(claim("S", 2, symbol="S", kind="fund", as_of=NOW - DAY, filing="https://sec/"))
    (one,) = treasuries.changes(before, after, answered=("CoinGecko",), now=NOW)
    assert (one.key, one.kind, one.as_of, one.source, one.link) == (
        "symbol:S",
        "fund",
        NOW - DAY,
        "CoinGecko",
        "https://sec/",
    )


def test_changes_are_newest_first() -> None:
    before = held(*(claim(name, 1) for name in "ABC"))
    after = held(claim("A", 2, as_of=NOW - DAY), claim("B", 2), claim("C", 2, as_of=NOW - 2 * DAY))
    assert [name for name, *_ in changed(before, after)] == ["B", "A", "C"]


def test_the_first_state_is_no_change() -> None:
    assert changed((), held(claim("A", 1))) == []


def test_a_source_that_is_new_is_no_change() -> None:
    before = held(claim("A", 1))
    assert changed(before, held(claim("A", 1), claim("Z", 3, source="B"))) == []
    assert changed(before, held(claim("A", 1), claim("A", 2, source="B", dated=True))) == []


def test_another_source_that_counts_is_compared_with_itself() -> None:
    old, other = claim("A", 10), claim("A", 7, source="B", dated=True)
    assert changed(held(old, other), held(msgspec.structs.replace(old, satoshi=12 * COIN))) == [("A", 10, 12)]
    assert changed(held(old, other), held(old)) == []


def test_a_source_that_did_not_answer_takes_nothing_away() -> None:
    before = held(claim("A", 1), claim("Z", 3, source="B"))
    assert changed(before, held(claim("A", 1)), "CoinGecko") == []
    assert changed(before, held(claim("A", 1)), "CoinGecko", "B") == [("Z", 3, None)]


def test_shares_of_all_add_up() -> None:
    found = held(*(claim(str(place), 210_000 * place) for place in range(1, 5)))
    assert each(one.share_of_limit > 0 for one in found)
    assert sum(one.share_of_limit for one in found) == 10

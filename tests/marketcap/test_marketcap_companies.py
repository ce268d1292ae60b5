"""The table of companies, and what each is worth, against figures worked out by hand."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from marketcap import companies
from marketcap.assets import Made, Quote
from marketcap.companies import Company, parsed
from marketcap.fold import RankingFold
from marketcap.providers.sec import Shares
from shared.asset_views import MARKETCAP_VIEWS
from shared.assets import Claim
from shared.clock import Moment
from shared.errors import ConfigError
from shared.events.base import Event
from shared.events.rankings import AssetsTold, HoldersTold
from shared.keys import Keys
from shared.networks import COIN
from support.asset_samples import DAY, RATES, quote
from support.each import each
from support.market_bodies import NOW

HEAD = ",".join(companies.COLUMNS)


def table(*lines: str, estimate: str = "") -> tuple[Company, ...]:
    """A table of these lines, each without its last column."""
    return parsed("\n".join(["# a comment", HEAD, "", *(f"{line},{estimate}" for line in lines)]), "some.csv")


def prices(**quotes: tuple[str, str]) -> dict[str, Quote]:
    """Price and currency by symbol; `_` in a name is the dot of a symbol."""
    return {
        name.replace("_", "."): quote(price, currency=currency, as_of=NOW - 100, fetched=NOW - 50, source="Yahoo")
        for name, (price, currency) in quotes.items()
    }


def filing(cik: int, shares: int) -> dict[int, Shares]:
    return {cik: Shares(cik=cik, name="X", shares=shares, classes=1, filing="0-26-1", as_of=NOW - 30 * DAY)}


def value(made: Made) -> Decimal:
    (asset,) = made.assets
    assert made.missing == ()
    return asset.value


def test_the_table_is_whole() -> None:
    found = companies.listed()
    assert len(found) >= 120
    assert len({one.classes[0].symbol for one in found}) == len(found)
    ciks = [one.cik for one in found if one.cik is not None]
    assert len(ciks) == len(set(ciks)) >= 100
    assert each(re.fullmatch(r"[A-Z0-9]+([.-][A-Z]+)*", symbol) for symbol in companies.symbols(found))
    assert each(part.as_of and part.as_of < NOW for one in found for part in one.classes if part.shares)
    assert {"US", "CN", "JP", "SA", "TW", "KR", "CH", "DE", "FR", "GB", "NL", "IN", "DK"} <= {
        one.country for one in found
    }


def test_holders_are_further_companies() -> None:
    ranked, further = companies.listed(), companies.holders()
    assert not {one.cik for one in ranked if one.cik} & {one.cik for one in further}
    assert not {*companies.symbols(ranked)} & {*companies.symbols(further)}
    assert further[0].classes[0].symbol == "MSTR"


def told(*events: Event) -> dict[str, Any]:
    """The views that the fold makes of events, by name."""
    fold = RankingFold(Keys("main"))
    for event in events:
        fold.apply(event)
    fold.flush(Moment(NOW * 1000, 1))
    return {name: msgspec.json.decode(raw, type=MARKETCAP_VIEWS[name]) for name, raw in fold.shown.items()}


def test_a_company_that_only_holds_has_no_rank_and_lies_behind_its_bitcoin() -> None:
    filed = filing(1050446, 300_000_000) | filing(1318605, 3_000_000_000)
    asked = [one for one in (*companies.listed(), *companies.holders()) if one.cik in filed]
    made = companies.assets(asked, filed, prices(MSTR=("350", "USD"), TSLA=("400", "USD")), None)
    claim = Claim(
        name="Strategy", kind="company", symbol="MSTR", country="US", satoshi=600_000 * COIN, cost=None,
        source="CoinGecko", link="", as_of=NOW,
    )  # fmt: skip
    shown = told(
        AssetsTold(asset_class="company", assets=list(made.assets), missing=[], time_ms=NOW * 1000),
        HoldersTold(claims=[claim], answered=["CoinGecko"], time_ms=NOW * 1000),
    )
    assert [row.symbol for row in shown["ranking_companies"].rows] == ["TSLA"]
    [strategy] = shown["treasuries_companies"].rows
    assert (strategy.market_cap_usd, strategy.satoshi_a_share) == (Decimal(105_000_000_000), Decimal(200_000))


def test_what_it_says_of_some() -> None:
    by_name = {one.name: one for one in companies.listed()}
    assert (by_name["Apple"].cik, by_name["Apple"].stated) == (320193, None)
    assert [part.symbol for part in by_name["Alphabet"].classes] == ["GOOGL", "GOOG", "GOOGL"]
    assert by_name["Alphabet"].stated == 12_099_000_000
    assert by_name["TSMC"].classes[0].per == 5
    assert by_name["Berkshire Hathaway"].cik is None
    assert by_name["ICBC"].stated == 356_406_257_089


def test_shares_of_a_filing_times_the_price() -> None:
    made = companies.assets(
        table("Apple,US,AAPL,320193,,,,,"), filing(320193, 14_681_140_000), prices(AAPL=("214.79", "USD")), None
    )
    assert value(made) == Decimal("3153362060600.00")
    (asset,) = made.assets
    assert (asset.id, asset.unit) == ("company:AAPL", "share")
    assert (asset.quantity, asset.price) == (Decimal(14_681_140_000), Decimal("214.79"))
    assert (asset.country, asset.change, asset.period) == ("US", Decimal(1), "close")
    assert [(one.of, one.name) for one in asset.sources] == [("price", "Yahoo"), ("quantity", "SEC EDGAR")]
    assert asset.seen == NOW - 100


def test_classes_are_summed_each_at_its_own_price() -> None:
    two = table(
        "Alphabet,US,GOOGL,,,100,2026-03-31,10-Q,https://s/",
        "Alphabet,US,GOOG,,,50,2026-03-31,10-Q,https://s/",
        "Alphabet,US,GOOGL,,,10,2026-03-31,10-Q,https://s/",
    )
    made = companies.assets(two, {}, prices(GOOGL=("3", "USD"), GOOG=("2", "USD")), None)
    assert value(made) == 100 * 3 + 50 * 2 + 10 * 3
    assert made.assets[0].quantity == 160
    assert made.assets[0].sources[-1].as_of == 1_774_915_200  # 2026-03-31
    assert [(one.of, one.note) for one in made.assets[0].sources] == [
        ("price", ""), ("price", ""), ("quantity", "Stated by hand, not asked"),
    ]  # fmt: skip


def test_a_receipt_stands_for_several_shares() -> None:
    made = companies.assets(
        table("TSMC,TW,TSM,,5,25000,2025-12-31,20-F,https://s/"), {}, prices(TSM=("200", "USD")), None
    )
    assert value(made) == 1_000_000  # 25,000 / 5 receipts at 200
    assert made.assets[0].price == 40


def test_a_foreign_price_is_converted() -> None:
    shell = table("Shell,GB,SHEL.L,1306965,,,,,")
    made = companies.assets(shell, filing(1306965, 1000), prices(SHEL_L=("32", "GBP")), RATES)
    assert value(made) == 50_000  # 32 pounds are 40 euros, 50 dollars
    assert made.assets[0].price == 50
    assert made.assets[0].sources[-1].of == "rate"
    assert made.assets[0].seen == RATES.as_of


def test_a_price_in_dollars_needs_no_rate_and_names_none() -> None:
    for rates in (RATES, None):
        (asset,) = companies.assets(table("D,US,D,4,,,,,"), filing(4, 1), prices(D=("1", "USD")), rates).assets
        assert [one.of for one in asset.sources] == ["price", "quantity"]
        assert asset.seen == NOW - 100


def test_a_class_in_each_of_two_currencies() -> None:
    both = table("Bank,CN,1.SS,,,10,2025-12-31,R,https://s/", "Bank,CN,1.HK,,,100,2025-12-31,R,https://s/")
    quotes = prices(**{"1_SS": ("3", "USD"), "1_HK": ("16", "HKD")})
    assert value(companies.assets(both, {}, quotes, RATES)) == 10 * 3 + 100 * 2


@pytest.mark.parametrize(
    ("filed", "used"), [(None, 1000), (499, 1000), (500, 500), (1100, 1100), (2000, 2000), (2001, 1000)]
)
def test_a_filing_far_from_what_is_stated_is_of_one_class_alone(filed: int | None, used: int) -> None:
    stated = table(
        "Meta,US,META,1326801,,900,2025-12-31,10-K,https://s/", "Meta,US,META,,,100,2025-12-31,10-K,https://s/"
    )
    made = companies.assets(stated, filing(1326801, filed) if filed else {}, prices(META=("2", "USD")), None)
    assert value(made) == 2 * used


def test_a_company_that_lacks_a_figure_is_left_out_and_named() -> None:
    found = table(
        "NoFiling,US,A,1,,,,,",
        "NoPrice,US,B,2,,,,,",
        "NoRate,KR,C,3,,,,,",
        "Whole,US,D,4,,,,,",
    )
    filed = filing(2, 1) | filing(3, 1) | filing(4, 1)
    made = companies.assets(found, filed, prices(A=("1", "USD"), C=("1", "KRW"), D=("1", "USD")), RATES)
    assert [one.name for one in made.assets] == ["Whole"]
    assert made.missing == (
        "NoFiling: no filing of its shares that can be used",
        "NoPrice: no price of B",
        "NoRate: no rate of KRW against USD",
    )
    assert companies.assets(found[2:3], filed, prices(C=("1", "KRW")), None).missing == (
        "NoRate: no rate of KRW against USD",
    )


def test_an_old_price_makes_an_old_company() -> None:
    quotes = {"D": msgspec.structs.replace(prices(D=("1", "USD"))["D"], as_of=NOW - 9 * DAY)}
    made = companies.assets(table("Gone,US,D,4,,,,,"), filing(4, 1), quotes, None)
    assert made.assets[0].seen == NOW - 9 * DAY


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Apple,US,AAPL,320193,,,,"], "line 4: 9 columns, expected 10"),
        (["Apple,USA,AAPL,320193,,,,,"], "line 4: .*two capital letters"),
        ([",US,AAPL,320193,,,,,"], "line 4: expected a name"),
        (["Apple,US,,320193,,,,,"], "line 4: expected a name, a symbol"),
        (["Apple,US,AAPL,,,,,,"], "neither a CIK nor shares"),
        (["Apple,US,AAPL,,,many,2025-12-31,R,https://s/"], "line 4: .*expected numbers"),
        (["Apple,US,AAPL,,,5,,R,https://s/"], "line 4: .*a date with the shares"),
        (["Apple,US,AAPL,,,5,2025-12-31,,https://s/"], "shares with source and link"),
        (["Apple,US,AAPL,,,5,2025-12-31,R,ftp://s/"], "shares with source and link"),
        (["Apple,US,AAPL,,,0,2025-12-31,R,https://s/"], "expected numbers above 0"),
        (["Apple,US,AAPL,1,0,,,,"], "expected numbers above 0"),
        (["Apple,US,AAPL,1,x,,,,"], "line 4: .*expected numbers"),
        (["Apple,US,AAPL,x,,,,,"], "line 4: .*expected numbers"),
        (["A,US,A,1,,,,,", "B,US,B,2,,,,,", "A,US,C,3,,,,,"], "line 6: A stands in two places"),
    ],
)
def test_a_line_that_cannot_be_is_named(lines: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"some.csv, .*{message}"):
        table(*lines)


def test_what_is_only_estimated_is_marked() -> None:
    line = "Bank,CN,1.SS,,,10,2025-12-31,R,https://s/"
    for word in ("", "yes"):
        (asset,) = companies.assets(table(line, estimate=word), {}, prices(**{"1_SS": ("3", "USD")}), None).assets
        assert asset.estimate == (word == "yes")
    with pytest.raises(ConfigError, match="line 4: estimate is 'perhaps', expected yes or nothing"):
        table(line, estimate="perhaps")


def test_each_stated_figure_has_its_document() -> None:
    stated = [one for company in (*companies.listed(), *companies.holders()) for one in company.classes if one.shares]
    assert each(one.source and one.link.startswith("https://") and one.as_of for one in stated)
    seen = {one.symbol for one in stated if not one.estimate}
    assert seen >= {"GOOGL", "7203.T", "2222.SR", "601398.SS", "ROG.SW", "SIE.DE", "SAP.DE"}
    assert not seen & {"MSTR", "601988.SS", "RMS.PA"}


def test_a_table_without_its_head_is_refused() -> None:
    for text in ("", "name,country\n", "# only a comment"):
        with pytest.raises(ConfigError, match="expected the head"):
            parsed(text, "some.csv")

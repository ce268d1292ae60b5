"""What good answers say, figure by figure, and which coins are listed."""

from __future__ import annotations

from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from marketcap.providers import (
    bitnodes,
    btcetfdata,
    coingecko,
    coinpaprika,
    goldapi,
    sec,
    yahoo,
)
from marketcap.questions import MONEY
from shared.errors import OutsideMalformed
from support.each import each
from support.market_bodies import (
    BITCOIN_AT_GECKO,
    ECB,
    GOOD,
    M2,
    NOW,
    chart,
    fact,
    frame,
    fund,
    gecko,
    node,
    paprika,
    snapshot,
    spot,
    treasury,
    written,
)

MODULES = (coinpaprika, coingecko, sec, yahoo, goldapi, *MONEY, btcetfdata, bitnodes)
FRED, ECB_M2, BOJ, BOE, BOC, RBA, SNB = MONEY


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_each_source_says_what_it_is(module: ModuleType) -> None:
    assert module.__name__ == f"marketcap.providers.{module.NAME}"
    assert module.TITLE
    assert module.LINK.startswith("https://")
    assert "/" not in module.HOST
    assert each(requests > 0 and seconds > 0 for requests, seconds in module.LIMITS)


def test_paths_are_those_of_the_sources() -> None:
    assert coinpaprika.path() == "/v1/tickers?quotes=USD"
    assert coingecko.markets_path(2).endswith("vs_currency=usd&order=market_cap_desc&per_page=250&page=2")
    assert coingecko.treasuries_path("governments") == "/api/v3/governments/public_treasury/bitcoin?per_page=250&page=1"
    assert coingecko.markets_path().endswith("&page=1")
    assert yahoo.path("BRK-B") == "/v8/finance/chart/BRK-B?range=1d&interval=1d"
    assert yahoo.path("HG=F").startswith("/v8/finance/chart/HG%3DF?")
    assert goldapi.path("XAU") == "/price/XAU"
    assert FRED.path(NOW) == "/graph/fredgraph.csv?id=M2SL&cosd=2023-11-30"
    assert ECB_M2.path(NOW).startswith("/service/data/BSI/M.U2.Y.V.M20.X.1.U2.2300.Z01.E?format=csvdata")
    assert BOJ.path(NOW).endswith("getDataCode?format=json&lang=en&db=MD02&code=MAM1NAM2M2MO&startDate=202311")
    assert "&Datefrom=01/Nov/2023&Dateto=now&SeriesCodes=LPMAUYN&CSVF=TN&" in BOE.path(NOW)
    assert BOC.path(NOW) == "/valet/observations/V41552796/json?start_date=2023-11-30"
    assert RBA.path(NOW) == "/statistics/tables/csv/d3-data.csv"
    assert SNB.path(NOW) == "/api/cube/snbmonagg/data/csv/en?dimSel=D0(B),D1(GM2)&fromDate=2023-11"
    assert btcetfdata.path() == "/v1/current.json"
    assert bitnodes.path() == "/api/v1/snapshots/latest/"


def test_frames_are_those_of_five_quarters_newest_first() -> None:
    begin = "/api/xbrl/frames/dei/EntityCommonStockSharesOutstanding/shares/"
    quarters = ("CY2026Q2I", "CY2026Q1I", "CY2025Q4I", "CY2025Q3I", "CY2025Q2I")
    assert sec.paths(NOW) == tuple(f"{begin}{quarter}.json" for quarter in quarters)
    assert sec.paths(1_767_225_599)[0] == f"{begin}CY2025Q4I.json"  # the last second of 2025
    assert sec.paths(1_767_225_600)[0] == f"{begin}CY2026Q1I.json"


# --- coins -----------------------------------------------------------------------------------------------


def test_a_coin_of_coinpaprika() -> None:
    (coin,) = coinpaprika.decode(written([paprika(circulating_supply=120_000_000)]), NOW).rows
    assert (coin.id, coin.symbol, coin.name) == ("eth-ethereum", "ETH", "Ethereum")
    assert coin.price == Decimal("2100.5")
    assert coin.supply == 120_000_000
    assert coin.value == Decimal("252060000000.0")
    assert coin.change == Decimal("-1.25")
    assert not coin.supply_derived
    assert coin.as_of == NOW - 39
    assert coin.claim_on is None


def test_a_supply_that_is_not_stated_follows_from_value_and_price_and_says_so() -> None:
    for coin in (paprika(), paprika(circulating_supply=0), paprika(circulating_supply=None)):
        (row,) = coinpaprika.decode(written([coin]), NOW).rows
        assert row.supply == 120_000_000  # 252,060,000,000 / 2,100.5
        assert row.supply_derived
        assert row.value == 252_060_000_000


def test_a_stated_supply_decides_the_value_and_one_that_contradicts_it_is_refused() -> None:
    (row,) = coinpaprika.decode(written([paprika(circulating_supply=125_000_000)]), NOW).rows
    assert row.value == Decimal("262562500000.0"), "price times supply, 4 % above what the source states"
    answer = coinpaprika.decode(written([paprika(circulating_supply=140_000_000), paprika(id="other")]), NOW)
    assert [row.id for row in answer.rows] == ["other"]
    assert "expected one to be the other" in answer.refused[0]


def test_decimals_are_exactly_those_that_were_written() -> None:
    body = written([gecko(current_price=1)]).replace(
        b'"current_price": 1,', b'"current_price": 2100.500000000000000000001,'
    )
    (coin,) = coingecko.decode_markets(body, NOW).rows
    assert coin.price == Decimal("2100.500000000000000000001")


def test_a_change_that_is_not_known_is_none_and_not_zero() -> None:
    (coin,) = coingecko.decode_markets(written([gecko(price_change_percentage_24h=None)]), NOW).rows
    assert coin.change is None


def test_bitcoin_itself_comes_from_elsewhere() -> None:
    answer = coingecko.decode_markets(written([BITCOIN_AT_GECKO, gecko()]), NOW)
    assert [coin.id for coin in answer.rows] == ["ethereum"]
    assert answer.refused == ()
    answer = coinpaprika.decode(written([paprika(id="btc-bitcoin", name="Bitcoin", symbol="BTC"), paprika()]), NOW)
    assert [coin.id for coin in answer.rows] == ["eth-ethereum"]


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("wbtc", "Wrapped Bitcoin"),
        ("cbbtc", "Coinbase Wrapped BTC"),
        ("steth", "Lido Staked Ether"),
        ("weth", "WETH"),
        ("weeth", "Wrapped eETH"),
        ("xyz", "Binance-Peg XRP"),
        ("btc.b", "Avalanche Bridged BTC (Avalanche)"),
        ("rseth", "Kelp DAO Restaked ETH"),
        ("jitosol", "Jito Staked SOL"),
    ],
)
def test_a_coin_in_other_clothes_is_not_listed(symbol: str, name: str) -> None:
    answer = coingecko.decode_markets(written([gecko(id="x", symbol=symbol, name=name), gecko()]), NOW)
    assert [coin.id for coin in answer.rows] == ["ethereum"]
    assert answer.refused == ()


@pytest.mark.parametrize(
    ("symbol", "name", "value", "claim"),
    [
        ("usdt", "Tether", 252_060_000_000, "USD"),
        ("eurc", "EURC", 252_060_000_000, "EUR"),
        ("paxg", "PAX Gold", 252_060_000_000, "XAU"),
        ("stx", "Stacks", 252_060_000_000, None),
        ("sol", "Solana", 252_060_000_000, None),
        ("usdt", "Something of the same name", 2_100_500, None),
    ],
)
def test_what_stands_for_money_or_metal_says_what_for(symbol: str, name: str, value: int, claim: str | None) -> None:
    body = written([gecko(id="x", symbol=symbol, name=name, market_cap=value, circulating_supply=value / 2100.5)])
    (coin,) = coingecko.decode_markets(body, NOW).rows
    assert coin.claim_on == claim


# --- shares and prices -----------------------------------------------------------------------------------


def test_shares_of_a_filer() -> None:
    (row,) = sec.decode(written(frame(fact())), NOW).rows
    assert (row.cik, row.name, row.shares, row.classes) == (320193, "Apple Inc.", 14_681_140_000, 1)
    assert row.as_of == 1_776_384_000  # 2026-04-17
    assert row.link == "https://www.sec.gov/Archives/edgar/data/320193/000032019326000013/"


def test_classes_of_one_filing_are_summed_and_other_filings_are_not() -> None:
    rows = [
        fact(val=100),
        fact(val=23),
        fact(val=7, accn="0000320193-26-000001", end="2026-01-16"),
        fact(val=9, accn="0000320193-26-000014"),
    ]
    (row,) = sec.decode(written(frame(*rows)), NOW).rows
    assert (row.shares, row.classes, row.filing) == (9, 1, "0000320193-26-000014"), "the correction alone"
    (row,) = sec.decode(written(frame(*rows[:3])), NOW).rows
    assert (row.shares, row.classes) == (123, 2)


def test_classes_that_sum_to_the_absurd_are_left_out() -> None:
    rows = [fact(val=6 * 10**11), fact(val=5 * 10**11), fact(cik=1)]
    answer = sec.decode(written(frame(*rows)), NOW)
    assert [row.cik for row in answer.rows] == [1]
    assert answer.refused == (
        "CIK 320193: the sum of the classes of Apple Inc. is 1.1e+12, expected above 0 and at most 1e+12",
    )


def test_a_filing_of_15_months_counts_and_an_older_one_does_not() -> None:
    answer = sec.decode(written(frame(fact(end="2025-02-17"), fact(cik=1, end="2025-02-15"))), NOW)
    assert [row.cik for row in answer.rows] == [320193]
    assert "older than 15 months" in answer.refused[0]


def test_the_newest_filing_of_several_frames_counts() -> None:
    old = sec.decode(written(frame(fact(val=5, end="2026-01-16"), fact(cik=1))), NOW)
    new = sec.decode(written(frame(fact(val=6))), NOW)
    for order in ([old, new], [new, old]):
        assert {cik: row.shares for cik, row in sec.newest(order).items()} == {320193: 6, 1: 14_681_140_000}


def test_a_price_with_its_change() -> None:
    (row,) = yahoo.decode(written(chart()), "IBM", NOW).rows
    assert (row.symbol, row.price, row.currency, row.previous) == ("IBM", Decimal("214.79"), "USD", Decimal(210))
    assert row.change == Decimal("2.2810")  # 214.79 / 210 - 1
    assert row.as_of == 1_778_875_202
    assert row.link == "https://finance.yahoo.com/quote/IBM"


def test_pence_are_pounds() -> None:
    body = written(chart(symbol="SHEL.L", currency="GBp", regularMarketPrice=2750.5, chartPreviousClose=2700))
    (row,) = yahoo.decode(body, "SHEL.L", NOW).rows
    assert (row.price, row.currency, row.previous) == (Decimal("27.505"), "GBP", Decimal(27))
    assert row.change == Decimal("1.8704")


@pytest.mark.parametrize(
    "over",
    [
        {"chartPreviousClose": None},
        {"chartPreviousClose": 7.291, "range": ""},
        {"chartPreviousClose": 7.291, "range": "max"},
    ],
)
def test_a_close_before_another_range_is_not_yesterdays(over: dict[str, Any]) -> None:
    """As recorded: over the whole past `chartPreviousClose` was 7.291, of 1962."""
    (row,) = yahoo.decode(written(chart(**over)), "IBM", NOW).rows
    assert row.previous is None
    assert row.change is None


def test_a_metal() -> None:
    (row,) = goldapi.decode(written(spot()), "XAU", NOW).rows
    assert (row.symbol, row.price, row.as_of) == ("XAU", Decimal("4500.25"), NOW - 1)


# --- money -----------------------------------------------------------------------------------------------


def test_dollars_of_each_month_without_the_gaps() -> None:
    answer = FRED.MONEY.decode(M2.encode(), NOW)
    assert [row.amount for row in answer.rows] == [21_700 * 10**9, 21_763 * 10**9, Decimal("22851.15") * 10**9]
    assert answer.refused == ()
    last, change = FRED.MONEY.newest(answer)
    assert (last.currency, last.as_of) == ("USD", 1_772_323_200)  # 2026-03-01
    assert change == Decimal("5.0000")  # 22,851.15 / 21,763 - 1 = 5 % exactly


def test_euros_are_whole_euros() -> None:
    answer = ECB_M2.MONEY.decode(ECB.encode(), NOW)
    last, change = ECB_M2.MONEY.newest(answer)
    assert (last.currency, last.amount) == ("EUR", Decimal(16_068_000 * 10**6))
    assert change == 3  # 16,068 / 15,600


@pytest.mark.parametrize(
    ("module", "currency", "amount", "change"),
    [
        (BOJ, "JPY", 12_852_000 * 10**8, 2),  # 12,852 / 12,600
        (BOE, "GBP", 3_120_000 * 10**6, 4),  # 3,120 / 3,000
        (BOC, "CAD", 2_756_000 * 10**6, 4),  # 2,756 / 2,650
        (SNB, "CHF", 820_000 * 10**6, Decimal("2.5")),  # 820 / 800
        (RBA, "AUD", Decimal("3270.3") * 10**9, None),  # of which the bank says that no growth follows
    ],
    ids=lambda one: getattr(one, "NAME", None),
)
def test_the_money_of_march(module: ModuleType, currency: str, amount: Decimal, change: Decimal | None) -> None:
    answer = module.MONEY.decode(written(GOOD[module.NAME]()), NOW)
    assert answer.refused == ()
    last, seen = module.MONEY.newest(answer)
    assert (last.currency, last.amount, last.as_of, seen) == (currency, amount, 1_772_323_200, change)


def test_money_that_is_not_m2_is_named_and_nothing_else_is() -> None:
    assert {one.MONEY.currency: one.MONEY.aggregate for one in MONEY if one.MONEY.aggregate != "M2"} == {
        "GBP": "M4",
        "AUD": "M3",
    }
    assert each(one.MONEY.note.startswith(one.MONEY.aggregate) == (one.MONEY.aggregate != "M2") for one in MONEY)
    assert len({one.MONEY.currency for one in MONEY}) == len(MONEY)


def test_a_cell_in_quotes_is_whole_where_the_table_ends_without_an_end_of_line() -> None:
    answer = SNB.MONEY.decode(written(GOOD["snb"]()).rstrip(), NOW)
    assert (answer.rows[-1].amount, answer.refused) == (820_000 * 10**6, ())


@pytest.mark.parametrize(
    ("before", "known"), [("2025-02-28", True), ("2025-03-01", True), ("2025-02-27", False), ("2025-03-03", False)]
)
def test_a_year_before_is_365_days_or_one_more_or_less(before: str, known: bool) -> None:
    answer = FRED.MONEY.decode(f"observation_date,M2SL\n{before},21000\n2026-03-01,22050\n".encode(), NOW)
    assert FRED.MONEY.newest(answer)[1] == (5 if known else None)


def test_a_change_without_the_month_a_year_before_is_not_known() -> None:
    answer = FRED.MONEY.decode(b"observation_date,M2SL\n2025-04-01,21000\n2026-03-01,22851.15\n", NOW)
    assert FRED.MONEY.newest(answer)[1] is None


def test_one_month_that_cannot_be_is_left_out_and_counted() -> None:
    answer = FRED.MONEY.decode(
        b"observation_date,M2SL\n2026-02-01,x\n2026-02-01,5\n2026-02-01,6\n2026-03-01,22851.15\n", NOW
    )
    assert [row.amount for row in answer.rows] == [5 * 10**9, Decimal("22851.15") * 10**9]
    assert len(answer.refused) == 2


# --- treasuries, nodes -----------------------------------------------------------------------------------


def test_a_holder() -> None:
    (row,) = coingecko.decode_treasuries(written({"companies": [treasury()]}), "companies", NOW).rows
    assert (row.name, row.kind, row.symbol, row.country) == ("Strategy", "company", "MSTR", "US")
    assert row.satoshi == 843_738 * 10**8
    assert row.cost == 63_870_055_699
    assert (row.as_of, row.dated) == (NOW, False)


def test_a_cost_of_zero_is_one_that_nobody_knows() -> None:
    """As recorded of XXI."""
    xxi = treasury(name="XXI", symbol="XXI.US", total_holdings=43514.0, total_entry_value_usd=0.0)
    (row,) = coingecko.decode_treasuries(written({"companies": [xxi]}), "companies", NOW).rows
    assert row.cost is None


def test_governments_of_one_country_are_several_holders() -> None:
    rows = [treasury(name="United States", symbol=""), treasury(name="Texas", symbol=None)]
    answer = coingecko.decode_treasuries(written({"governments": rows}), "governments", NOW)
    assert [(row.name, row.kind, row.country, row.symbol) for row in answer.rows] == [
        ("United States", "country", "US", None),
        ("Texas", "country", "US", None),
    ]


def test_the_question_says_whether_holders_are_governments() -> None:
    """Both names of the list were seen for governments; companies have theirs alone."""
    bhutan = treasury(name="Bhutan", symbol="")
    (row,) = coingecko.decode_treasuries(written({"companies": [bhutan]}), "governments", NOW).rows
    assert row.kind == "country"
    both = written({"companies": [treasury()], "governments": [bhutan]})
    assert [row.name for row in coingecko.decode_treasuries(both, "governments", NOW).rows] == ["Bhutan"]
    assert [row.name for row in coingecko.decode_treasuries(both, "companies", NOW).rows] == ["Strategy"]
    with pytest.raises(OutsideMalformed, match="under 'companies', got neither"):
        coingecko.decode_treasuries(written({"governments": [bhutan]}), "companies", NOW)


def test_digits_below_a_satoshi_are_rounded() -> None:
    (row,) = coingecko.decode_treasuries(
        written({"companies": [treasury(total_holdings=0.123456789)]}), "companies", NOW
    ).rows
    assert row.satoshi == 12_345_679


def test_a_fund_with_its_holdings_as_number_or_text() -> None:
    for holdings in (773_512.4321, "773512.4321"):
        (row,) = btcetfdata.decode(written({"data": {"IBIT": fund(holdings=holdings)}}), NOW).rows
        assert (row.name, row.kind, row.symbol, row.satoshi) == ("IBIT", "fund", "IBIT", 77_351_243_210_000)
        assert row.as_of == 1_778_803_200  # 2026-05-15
        assert row.dated


def test_a_fund_that_is_told_under_two_names_counts_once() -> None:
    answer = btcetfdata.decode(written({"data": {"IBIT": fund(), "ibit": fund(ticker="ibit")}}), NOW)
    assert len(answer.rows) == len(answer.refused) == 1


def test_nodes_of_a_snapshot() -> None:
    onion = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion:8333"
    answer = bitnodes.decode(
        written(snapshot({"1.2.3.4:8333": node(), onion: node(country=None, user_agent=None)})), NOW
    )
    assert (answer.as_of, answer.height) == (NOW - 300, 949_001)
    first, second = answer.nodes.rows
    assert (first.network, first.user_agent, first.country) == ("ipv4", "/Satoshi:29.0.0/", "DE")
    assert (second.network, second.user_agent, second.country) == ("onion", "", None)

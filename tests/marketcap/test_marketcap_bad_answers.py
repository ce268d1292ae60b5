"""What is not what was asked for raises OutsideMalformed and nothing else, in words, whatever the bytes are."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketcap.answers import Answer
from marketcap.providers.bitnodes import Snapshot
from shared.errors import OutsideMalformed
from support.market_bodies import (
    BOE,
    DECODERS,
    GOOD,
    NOW,
    RBA,
    SNB,
    TABLES,
    canada,
    chart,
    fact,
    frame,
    fund,
    gecko,
    japan,
    node,
    paprika,
    snapshot,
    spot,
    treasury,
    written,
)

SOURCES = sorted(DECODERS)


def answer_of(source: str, body: bytes) -> Answer[Any]:
    answer = DECODERS[source](body)
    found = answer.nodes if isinstance(answer, Snapshot) else answer
    assert isinstance(found, Answer)
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_a_good_answer_has_its_rows_and_nothing_to_refuse(source: str) -> None:
    answer = answer_of(source, written(GOOD[source]()))
    assert answer.rows
    assert answer.refused == ()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"NaN",
        b"true",
        b"12",
        b'"text"',
        b"[]",
        b"{}",
        b"[null]",
        b"[[]]",
        b'{"data": null}',
        b'{"data": []}',
        b'{"data": {}}',
        b'{"nodes": {}}',
        b'{"companies": []}',
        b'{"governments": []}',
        b'{"chart": {"result": null, "error": {"code": "Not Found", "description": "No data found"}}}',
        b'{"chart": {"result": [], "error": null}}',
        b'{"finance": {"result": null, "error": {"code": "Unauthorized"}}}',
        b'{"status": {"error_code": 429, "error_message": "You\'ve exceeded the Rate Limit."}}',
        b'{"type": "server error", "hard limit": true, "error": "too many requests"}',
        b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>",
        b"\n  <html>502 Bad Gateway</html>",
        b"Edge: Too Many Requests",
        b"\xff\xfe\x00\x01",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"observation_date,M2SL\n",
        b"DATE,OTHER\n2026-03-01,1\n",
        b'"unclosed,M2SL\n2026-03-01,1',
        b"observation_date,M2SL\n2026-03-01,.\n",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_an_answer_of_another_kind_is_refused(source: str, body: bytes) -> None:
    with pytest.raises(OutsideMalformed, match=r"expected .* got .*the answer begins"):
        DECODERS[source](body)


@pytest.mark.parametrize("source", SOURCES)
def test_a_page_of_html_is_called_one(source: str) -> None:
    with pytest.raises(OutsideMalformed, match="got a page of HTML"):
        DECODERS[source](b"<html>busy</html>")


@pytest.mark.parametrize("source", [name for name in SOURCES if name not in TABLES])
def test_a_truncated_answer_is_refused_wherever_it_ends(source: str) -> None:
    body = written(GOOD[source]())
    for end in range(len(body)):
        with pytest.raises(OutsideMalformed):
            DECODERS[source](body[:end])


@pytest.mark.parametrize("source", TABLES)
def test_a_truncated_table_never_gives_another_figure(source: str) -> None:
    """A part of a number is a number: only what is sure to be whole counts."""
    body = written(GOOD[source]())
    whole = {(row.as_of, row.amount) for row in answer_of(source, body).rows}
    for end in range(len(body)):
        try:
            rows = answer_of(source, body[:end]).rows
        except OutsideMalformed:
            continue
        assert {(row.as_of, row.amount) for row in rows} <= whole, body[:end]


LISTS: dict[str, Callable[[list[Any]], Any]] = {
    "coinpaprika": lambda rows: rows,
    "coingecko_markets": lambda rows: rows,
    "coingecko_companies": lambda rows: {"companies": rows},
    "coingecko_governments": lambda rows: {"governments": rows},
    "sec": lambda rows: frame(*rows),
}
ROWS: dict[str, Callable[..., Any]] = {
    "coinpaprika": paprika,
    "coingecko_markets": gecko,
    "coingecko_companies": treasury,
    "coingecko_governments": treasury,
    "sec": fact,
}
NO_NUMBERS: list[Any] = [None, "12", "NaN", "", True, [], {}]
NO_AMOUNTS: list[Any] = [-1, -0.5, 1e40, 1e-40, 10**300, 10**400]
NO_HOLDINGS: list[Any] = [None, "", "NaN", "1,000", "0x10", True, [], -1, 0, 21_000_001, 1e40, "1e99"]
NO_TIMES: list[Any] = [
    None,
    "",
    "yesterday",
    1_779_108_561,
    "2026-05-18",
    "2026-05-18T12:49:21",
    "2126-05-18T12:49:21Z",
    "1970-01-01T00:00:00Z",
]

ONE_NODE = {"1.2.3.4:8333": node()}
HEAD = "observation_date,M2SL\n"

NO_ROWS: list[Any] = [None, 1, "text", [], {}, {"error": "busy"}]

BAD_ROWS: list[tuple[str, Any]] = [
    *((source, row) for source in LISTS for row in NO_ROWS),
    *(("coinpaprika", paprika(price=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0]),
    *(("coinpaprika", paprika(market_cap=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0, 1e15]),
    *(("coinpaprika", paprika(percent_change_24h=bad)) for bad in ["1", True, -101, 1e9]),
    *(("coinpaprika", paprika(last_updated=bad)) for bad in NO_TIMES),
    *(("coinpaprika", paprika(**{name: bad})) for name in ("id", "name", "symbol") for bad in (None, "", 5, "x" * 300)),
    *(("coinpaprika", paprika(quotes=bad)) for bad in (None, {}, {"EUR": {"price": 1}}, {"USD": None})),
    *(("coingecko_markets", gecko(current_price=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0]),
    *(("coingecko_markets", gecko(market_cap=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0]),
    *(("coingecko_markets", gecko(circulating_supply=bad)) for bad in ["12", True, -1, 1e40, 60_000_000.0]),
    *(("coingecko_markets", gecko(last_updated=bad)) for bad in NO_TIMES),
    *(("coingecko_markets", gecko(name=bad)) for bad in (None, "", "  ", 5)),
    *(("coingecko_companies", treasury(total_holdings=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0, 21_000_001]),
    *(("coingecko_companies", treasury(total_entry_value_usd=bad)) for bad in ["12", True, -1, 1e40, 1e15]),
    *(("coingecko_companies", treasury(name=bad)) for bad in (None, "", 5)),
    *(("coingecko_governments", treasury(total_holdings=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0]),
    *(("sec", fact(val=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0, 10**12 + 1, 1000.5]),
    *(("sec", fact(cik=bad)) for bad in (None, 0, -1, "320193", 10**11)),
    *(("sec", fact(end=bad)) for bad in (None, "", "2026-13-01", "18 May 2026", "2127-01-01", "2025-02-01")),
    *(("sec", fact(accn=bad)) for bad in (None, "", 5)),
]  # fmt: skip


@pytest.mark.parametrize(("source", "row"), BAD_ROWS)
def test_one_bad_row_is_left_out_and_counted(source: str, row: Any) -> None:
    other = {"sec": fact(cik=789019, val=7_430_000_000)}.get(source) or ROWS[source](
        id="other", name="Other", symbol="OTH"
    )
    answer = answer_of(source, written(LISTS[source]([row, other])))
    assert len(answer.rows) == 1
    assert len(answer.refused) == 1, answer.refused
    assert answer.refused[0].startswith("row 1: ")
    with pytest.raises(OutsideMalformed, match="no row that can be"):
        DECODERS[source](written(LISTS[source]([row])))


@pytest.mark.parametrize("source", LISTS)
def test_the_same_row_twice_counts_once(source: str) -> None:
    answer = answer_of(source, written(LISTS[source]([ROWS[source](), ROWS[source]()])))
    assert len(answer.rows) == 1
    assert len(answer.refused) == 1
    assert "second time" in answer.refused[0]


@pytest.mark.parametrize(
    "over",
    [
        *({"holdings": bad} for bad in NO_HOLDINGS),
        *({"dt": bad} for bad in (None, "", "15 May", 20260515, "2126-05-15", "1999-01-01")),
        {"error": True},
        {"error": "no answer from the issuer"},
        {"ticker": ""},
        {"ticker": None},
    ],
)
def test_a_bad_fund_is_left_out_and_counted(over: dict[str, Any]) -> None:
    body = written({"data": {"IBIT": fund(**over), "FBTC": fund(ticker="FBTC")}})
    answer = answer_of("btcetfdata", body)
    assert [row.name for row in answer.rows] == ["FBTC"]
    assert len(answer.refused) == 1
    assert answer.refused[0].startswith("IBIT: ")


@pytest.mark.parametrize(
    ("address", "row"),
    [
        ("5.6.7.8:8333", None),
        ("5.6.7.8:8333", []),
        ("5.6.7.8:8333", {}),
        ("5.6.7.8:8333", node()[:7]),
        ("5.6.7.8:8333", node(user_agent=5)),
        ("5.6.7.8:8333", node(user_agent="x" * 2_000)),
        ("5.6.7.8:8333", node(country=5)),
        ("5.6.7.8", node()),
        ("5.6.7.8:", node()),
        (":8333", node()),
        ("5.6.7.8:99999", node()),
        ("5.6.7.8:²", node()),
        ("300.1.1.1:8333", node()),
        ("a name:8333", node()),
        ("", node()),
    ],
)
def test_a_bad_node_is_left_out_and_counted(address: str, row: Any) -> None:
    answer = answer_of("bitnodes", written(snapshot({address: row, "1.2.3.4:8333": node()})))
    assert [one.address for one in answer.rows] == ["1.2.3.4:8333"]
    assert len(answer.refused) == 1


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        *(("yahoo", chart(regularMarketPrice=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0]),
        *(("yahoo", chart(regularMarketTime=bad)) for bad in (None, "1778875202", 0, -1, 1_778_875_202_000, 10**300)),
        *(("yahoo", chart(chartPreviousClose=bad)) for bad in ("210", True, -1, 1e40)),
        *(("yahoo", chart(currency=bad)) for bad in (None, "", "US", "dollar", "usd", "U5D", 5)),
        *(("yahoo", chart(symbol=bad)) for bad in (None, "", "AAPL")),
        *(("goldapi", spot(price=bad)) for bad in [*NO_NUMBERS, *NO_AMOUNTS, 0, 10**7]),
        *(("goldapi", spot(updatedAt=bad)) for bad in NO_TIMES),
        ("goldapi", spot(symbol="XAG")),
        ("goldapi", spot(currency="EUR")),
        ("goldapi", {"error": "Symbol not found"}),
        *(("bitnodes", snapshot(ONE_NODE, timestamp=bad)) for bad in (None, "1", 0, -1, 10**13, 10**300)),
        *(("bitnodes", {"timestamp": NOW, "nodes": bad}) for bad in NO_NUMBERS),
        *(("bitnodes", snapshot(ONE_NODE, latest_height=bad)) for bad in (-1, "1", 10**9)),
        *(("sec", frame(fact(), tag=bad)) for bad in (None, "EntityPublicFloat")),
        ("sec", frame(fact(), uom="USD")),
        ("sec", frame(fact(), data=None)),
        *(("fred", f"{HEAD}2026-03-01,{bad}\n") for bad in ("x", "NaN", "-1", "0", "1e30", "inf", "1 2")),
        *(("fred", f"{HEAD}{bad},22851.15\n") for bad in ("", "x", "2026-13-01", "2126-01-01", "1999-01-01")),
        ("fred", "observation_date,MYAGM2CNM189N\n2026-03-01,22851.15\n"),
        ("fred", "observation_date,M2SL\n2025-06-01,22000.0\n"),
        ("snb", SNB.replace("GM2", "GM3")),
        ("snb", SNB.replace('"B"', '"VV"')),
        ("snb", SNB.replace('"Date"', '"Day"')),
        ("rba", RBA.replace("DMAM3S", "DMAM3X")),
        ("rba", RBA.replace("2026", "2024")),
        ("boe", BOE.replace("LPMAUYN", "LPMVQXV")),
        ("boe", "<html><body>Request rejected</body></html>"),
        ("boc", canada(("2026-03-01", None))),
        ("boc", {"message": "Series V41552796 not found."}),
        *(("boc", canada(("2026-03-01", bad))) for bad in ("", "NaN", "-1", "0", "1e30", "1 2")),
        ("boj", japan(UNIT="trillion yen")),
        ("boj", japan(SERIES_CODE="MAM1NAM3M3MO")),
        ("boj", japan(VALUES={"SURVEY_DATES": [202602, 202603], "VALUES": [12_852_000]})),
        ("boj", japan() | {"STATUS": 503}),
        ("boj", {"STATUS": 400, "MESSAGEID": "M181005E", "MESSAGE": "Invalid code", "RESULTSET": []}),
        *(("boj", japan((202603, bad))) for bad in (*NO_NUMBERS[2:], None, -1, 0, 1e30)),
        *(("boj", japan((bad, 12_852_000))) for bad in (202613, 20260301, 2026, 0)),
        ("ecb_m2", str(GOOD["ecb_m2"]()).replace("M20", "M30")),
        ("ecb_m2", str(GOOD["ecb_m2"]()).replace("OBS_VALUE", "OBS")),
        ("ecb_m2", str(GOOD["ecb_m2"]()).replace("2026-03", "2024-03")),
    ],
)  # fmt: skip
def test_one_bad_figure_is_refused(source: str, answer: Any) -> None:
    with pytest.raises(OutsideMalformed, match=r"expected .* got .*the answer begins"):
        DECODERS[source](written(answer))


@pytest.mark.parametrize("source", SOURCES)
@given(body=st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_else(source: str, body: bytes) -> None:
    with pytest.raises(OutsideMalformed):
        DECODERS[source](body)


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
def test_a_good_answer_with_a_damaged_stretch_raises_nothing_else(source: str, data: st.DataObject) -> None:
    body = written(GOOD[source]())
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 30)))
    damaged = body[:start] + data.draw(st.binary(max_size=20)) + body[end:]
    with suppress(OutsideMalformed):
        assert answer_of(source, damaged).rows


LEAF = st.one_of(
    st.none(), st.booleans(), st.text(max_size=20), st.integers(), st.floats(allow_nan=False), st.just([]), st.just({})
)


def paths(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(path for key, part in inside for path in paths(part, (*way, key)))]


@pytest.mark.parametrize("source", [name for name in SOURCES if name not in TABLES])
@given(data=st.data())
def test_anything_in_the_place_of_a_part_raises_nothing_else(source: str, data: st.DataObject) -> None:
    answer = {"top": json.loads(written(GOOD[source]()))}
    way = data.draw(st.sampled_from(paths(answer)[1:]))
    place: Any = answer
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = data.draw(LEAF)
    with suppress(OutsideMalformed):
        assert answer_of(source, written(answer["top"])).rows

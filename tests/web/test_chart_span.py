from __future__ import annotations

import pytest

from shared.series import DAY, HOUR
from web.charts import span as spans
from web.charts.chart import MOST_POINTS
from web.charts.metrics import METRICS
from web.charts.span import BadSpan, Span, parse

GENESIS = 1_231_006_505
NOW = 1_780_500_030
FEES = METRICS["tx-fees"]


def ask(**query: str) -> Span:
    return parse(FEES, {name.rstrip("_"): value for name, value in query.items()}, genesis=GENESIS, now=NOW)


def test_a_range_ends_now_and_begins_no_earlier_than_the_chain() -> None:
    assert ask(range="1w") == Span("1w", NOW - 7 * DAY, NOW)
    assert ask() == ask(range=FEES.default)
    assert ask(range="all") == Span("all", GENESIS, NOW)
    young = parse(METRICS["difficulty"], {"range": "10y"}, genesis=NOW - DAY, now=NOW)
    assert young == Span("10y", NOW - DAY, NOW)


def test_a_span_of_ones_own_in_seconds_or_dates() -> None:
    assert ask(from_="1700000000", to="1700086400") == Span("", 1_700_000_000, 1_700_086_400)
    assert ask(from_="2024-04-20", to="2024-04-21T00:00:00Z") == Span("", 1_713_571_200, 1_713_657_600)
    assert ask(from_="2024-04-20T02:00:00+02:00", to="2024-04-21") == Span("", 1_713_571_200, 1_713_657_600)
    assert ask(from_="0", to="99999999999") == Span("", GENESIS, 1_780_500_060)
    assert ask(to="2010-01-01").start == GENESIS


def test_open_ends_share_a_minute() -> None:
    first, second = (parse(FEES, {"from": "1700000000"}, genesis=GENESIS, now=NOW + more) for more in (0, 25))
    assert first == second
    assert first.end >= NOW


@pytest.mark.parametrize(
    ("query", "wrong", "expected"),
    [
        ({"range": "2w"}, "range='2w'", "expected one of 1d, 1w"),
        ({"range": "mempool"}, "range='mempool'", "expected one of"),
        ({"from": "yesterday"}, "from='yesterday'", "expected Unix seconds or a date"),
        ({"from": "1", "to": "2024-13-01"}, "to='2024-13-01'", "expected Unix seconds or a date"),
        ({"from": "²"}, "from=", "expected Unix seconds or a date"),
        ({"from": "9" * 50}, "from=", "expected Unix seconds or a date"),
        ({"from": "0001-01-01T00:00:00+23:59"}, "", ""),
        ({"from": "1700000000", "to": "1700000000"}, "from='1700000000' is not before", "from < to"),
        ({"from": "1700000001", "to": "1700000000"}, "from='1700000001' is not before", "from < to"),
        ({"from": "2100-01-01"}, "lies in the future", "expected a time before"),
        ({"to": "2000-01-01"}, "before the chain's first block", "2009-01-03T18:15:05Z"),
        ({"range": "1d", "from": "1700000000"}, "range goes without from and to", ""),
    ],
)
def test_what_is_wrong_is_named_with_what_is_expected(query: dict[str, str], wrong: str, expected: str) -> None:
    if not wrong:  # odd, but a time: it is before the chain and the end is now
        assert parse(FEES, query, genesis=GENESIS, now=NOW).start == GENESIS
        return
    with pytest.raises(BadSpan) as caught:
        parse(FEES, query, genesis=GENESIS, now=NOW)
    assert wrong in str(caught.value)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("days", "blocks", "grain"),
    [
        (1, 144, "block"), (7, 1_008, "block"), (8, 1_999, "block"), (7, 2_001, "hour"), (30, 4_320, "hour"),
        (83, 11_952, "hour"), (84, None, "day"), (365, None, "day"), (5 * 365 + 1, None, "day"), (2_001, None, "week"),
        (6_500, None, "week"), (6_500, 300, "block"),
    ],
)  # fmt: skip
def test_the_finest_series_that_stays_useful(days: int, blocks: int | None, grain: str) -> None:
    assert spans.grain(Span("", NOW - days * DAY, NOW), blocks, NOW) == grain


def test_hours_that_are_not_kept_any_more() -> None:
    old = NOW - 6 * 365 * DAY
    assert spans.grain(Span("", old, old + 30 * DAY), 4_320, NOW) == "hour", "summed up from blocks"
    assert spans.grain(Span("", old, old + 60 * DAY), 8_640, NOW) == "day"


@pytest.mark.parametrize("hours", [1, 3, 4, 24, 33, 48, 24 * 40, 24 * 90, 24 * 400, 24 * 2_200, 24 * 6_500])
def test_the_mempool_never_has_too_many_points(hours: int) -> None:
    span = Span("", NOW - hours * HOUR, NOW)
    for step in (spans.flow_step(span, NOW), spans.congestion_step(span, NOW)):
        assert span.seconds / step.seconds <= MOST_POINTS - 1
    assert spans.flow_step(Span("", NOW - HOUR, NOW), NOW).seconds == 10
    assert spans.flow_step(Span("", NOW - 9 * DAY, NOW - 9 * DAY + HOUR), NOW).seconds == 60, "10 s are kept two days"
    assert spans.flow_step(Span("", NOW - 99 * DAY, NOW - 99 * DAY + HOUR), NOW).seconds == HOUR
    assert spans.congestion_step(Span("", NOW - 9 * DAY, NOW - 9 * DAY + HOUR), NOW).seconds == HOUR

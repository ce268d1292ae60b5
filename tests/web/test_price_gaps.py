"""The lines of the price: a gap where spans are missing, and none where they are not."""

from __future__ import annotations

from web.charts.data.prices import Priced
from web.charts.metrics.price import _columns

STEP = 60


def priced(*places: int) -> list[Priced]:
    return [Priced(at * STEP, at + 0.1, at + 0.2, None, at + 0.3, "kraken") for at in places]


def test_a_gap_stands_where_more_than_two_spans_are_missing() -> None:
    times, (close, high, low, opened) = _columns(priced(1, 2, 5, 9, 10, 20), STEP, 10**6)
    assert [time // STEP for time in times] == [1, 2, 5, 6, 9, 10, 11, 21]
    assert close == [1.3, 2.3, 5.3, None, 9.3, 10.3, None, 20.3]
    assert opened == [1.1, 2.1, 5.1, None, 9.1, 10.1, None, 20.1]
    assert high == [1.2, 2.2, 5.2, None, 9.2, 10.2, None, 20.2]
    assert low == [None] * 8


def test_the_last_one_is_of_now() -> None:
    assert _columns(priced(1, 2), STEP, 2 * STEP + 7)[0] == [STEP, 2 * STEP + 7]
    assert _columns(priced(1, 2), STEP, 10**6)[0] == [STEP, 3 * STEP]
    assert _columns([], STEP, 10**6) == ([], [[], [], [], []])

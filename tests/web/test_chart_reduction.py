from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from support.each import each
from web.charts.chart import MOST_POINTS
from web.charts.data.averages import added, moving
from web.charts.data.reduction import kept, reduced

VALUES = st.one_of(st.none(), st.integers(-1_000_000, 1_000_000), st.floats(-1e18, 1e18))
LINES = st.integers(1, 3).flatmap(
    lambda lines: st.lists(st.tuples(*[VALUES] * lines), min_size=0, max_size=400).map(
        lambda rows: [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(lines)]
    )
)


@given(LINES, st.integers(8, 60))
def test_what_stays_is_short_ordered_whole_at_its_ends_and_keeps_every_extreme(
    columns: list[list[float | None]], most: int
) -> None:
    places = kept(columns, most)
    length = len(columns[0])
    assert len(places) <= most
    assert places == sorted(set(places))
    if not length:
        return
    assert places[0] == 0
    assert places[-1] == length - 1
    if length <= most:
        assert places == list(range(length))
    for column in columns:
        there = [value for value in column if value is not None]
        shown = [column[place] for place in places if column[place] is not None]
        assert bool(shown) == bool(there)
        if there:
            assert min(shown) == min(there)  # type: ignore[type-var]  # None was left out
            assert max(shown) == max(there)  # type: ignore[type-var]  # None was left out


def test_a_peak_of_one_point_survives_wherever_it_is() -> None:
    for place in (0, 1, 777, 6_498, 6_499):
        column: list[float | None] = [1.0] * 6_500
        column[place] = 1e9
        (points,) = reduced(range(6_500), [column])
        assert (place, 1e9) in points


def test_lines_of_a_figure_keep_the_same_moments() -> None:
    rng = random.Random(1)
    columns = [[rng.random() for _ in range(7_000)] for _ in range(3)]
    lines = reduced(range(7_000), columns)
    moments = [[moment for moment, _ in points] for points in lines]
    assert moments[0] == moments[1] == moments[2]
    assert 1_000 < len(moments[0]) <= MOST_POINTS
    for column, points in zip(columns, lines, strict=True):
        assert each(column[moment] == value for moment, value in points)


def test_it_is_fast() -> None:
    """Some 2 ms of the processor for the days of mainnet."""
    rng = random.Random(2)
    column = [rng.random() for _ in range(6_500)]
    fastest = 1.0
    for _ in range(20):
        began = time.process_time()
        kept([column])
        fastest = min(fastest, time.process_time() - began)
    assert fastest < 0.01


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 10**12)), st.integers(0, 1_000)), max_size=60),
    st.integers(1, 9),
)
def test_a_moving_average_is_over_what_is_there(pairs: list[tuple[int | None, int]], window: int) -> None:
    found = moving([top for top, _ in pairs], [bottom for _, bottom in pairs], window)
    for end, value in enumerate(found, 1):
        inside = [(top, bottom) for top, bottom in pairs[max(0, end - window) : end] if top is not None]
        below = sum(bottom for _, bottom in inside)
        if 2 * len(inside) < window or not below:
            assert value is None
        else:
            assert value == sum(top for top, _ in inside) / below


def test_neighbours_are_added_by_index_not_by_place() -> None:
    assert added([(5, 1), (6, 2), (11, 4), (12, 8)], 6) == [(0, 1), (1, 6), (2, 8)]
    assert added([(5, 1), (6, 2)], 1) == [(5, 1), (6, 2)]

"""Chances of confirmation, against a simulation that mines block after block."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.timeline.chance import BLOCK_VSIZE, HOUR, SIX_HOURS, chance
from explorer.timeline.odds import INTERVAL, ahead, coming, pace
from shared.bands import FEERATE_BOUNDS
from shared.explorer_views import InflowView
from shared.views import BlockRow, FeeBand

TIMES = 20_000
LIMIT = 4 * 0.5 / TIMES**0.5
"""Four times what the simulation may be off by."""


def simulated(waiting: float, vsize: int, inflow: float, interval: float) -> tuple[float, float, float]:
    """Mine at random times; each block takes what is ahead, and the transaction where room is left."""
    rng = random.Random(7)
    first = hour = six = 0
    for _ in range(TIMES):
        now, left, blocks = 0.0, waiting, 0
        while now <= SIX_HOURS:
            wait = rng.expovariate(1 / interval)
            now, left, blocks = now + wait, left + inflow * wait, blocks + 1
            if left + vsize <= BLOCK_VSIZE:
                first += blocks == 1
                hour += now <= HOUR
                six += now <= SIX_HOURS
                break
            left -= BLOCK_VSIZE
    return first / TIMES, hour / TIMES, six / TIMES


@pytest.mark.parametrize(
    ("waiting", "inflow", "interval"),
    [
        (0, 0.0, 600.0), (0, 1_500.0, 600.0), (500_000, 800.0, 600.0), (997_000, 100.0, 600.0),
        (3_000_000, 0.0, 600.0), (3_000_000, 1_200.0, 600.0), (20_000_000, 900.0, 600.0),
        (2_000_000, 1_660.0, 600.0), (5_000_000, 4_000.0, 600.0), (200_000, 9_000.0, 600.0),
        (30_000_000, 300.0, 480.0), (1_000_000, 1_000.0, 900.0), (90_000_000, 0.0, 600.0),
    ],
)  # fmt: skip
def test_chances_are_those_of_a_simulation(waiting: int, inflow: float, interval: float) -> None:
    found = chance(waiting, 250, inflow, interval)
    assert found is not None
    wanted = simulated(waiting, 250, inflow, interval)
    # the next block counts whenever it comes; the simulation gives up after six hours
    assert (found.next_block, found.hour, found.six_hours) == pytest.approx(wanted, abs=LIMIT)


def test_an_unknown_inflow_gives_no_chance() -> None:
    assert chance(0, 250, None, 600.0) is None


@pytest.mark.parametrize("wrong", [(-1, 250, 1.0, 600.0), (0, 0, 1.0, 600.0), (0, 1, -1.0, 600.0), (0, 1, 1.0, 0.0)])
def test_what_cannot_be_is_refused(wrong: tuple[int, int, float, float]) -> None:
    with pytest.raises(ValueError, match="expected none below zero"):
        chance(*wrong)


@given(
    st.integers(0, 10**9), st.integers(1, 10**6), st.floats(0, 10**5), st.floats(60, 3_600), st.integers(0, 10**7)
)  # fmt: skip
def test_chances_are_chances_and_more_ahead_is_never_better(
    waiting: int, vsize: int, inflow: float, interval: float, more: int
) -> None:
    one, other = chance(waiting, vsize, inflow, interval), chance(waiting + more, vsize, inflow, interval)
    assert one is not None
    assert other is not None
    assert 0 <= one.hour <= one.six_hours <= 1
    assert 0 <= one.next_block <= 1
    for better, worse in ((one.next_block, other.next_block), (one.hour, other.hour), (one.six_hours, other.six_hours)):
        assert worse <= better + 1e-9


def bands(**vsizes: int) -> list[FeeBand]:
    uppers = (*FEERATE_BOUNDS[1:], None)
    return [
        FeeBand(from_rate=low, to_rate=high, count=1, vsize=vsizes.get(f"r{low:g}".replace(".", "_"), 0), fee=0)
        for low, high in zip(FEERATE_BOUNDS, uppers, strict=True)
    ]


def test_what_lies_ahead_pays_more() -> None:
    histogram = bands(r1=100_000, r3=40_000, r4=20_000, r2000=10)
    assert ahead(histogram, 4.0) == 20_010
    assert ahead(histogram, 3.25) == 30_000 + 20_010
    assert ahead(histogram, 0.0) == 160_010
    assert ahead(histogram, 5_000.0) == 5


def test_what_comes_in_is_counted_where_it_is_known() -> None:
    vsizes = [0] * len(FEERATE_BOUNDS)
    vsizes[FEERATE_BOUNDS.index(3.0)] = vsizes[FEERATE_BOUNDS.index(20.0)] = 60_000
    view = InflowView(minutes=10, bands=vsizes, as_of_ms=0)
    assert coming(view, 20.0) == 100.0
    assert coming(view, 3.5) == 150.0
    assert coming(view, 25.0) == 0.0
    assert coming(InflowView(minutes=0, bands=[], as_of_ms=0), 1.0) is None
    assert coming(InflowView(minutes=10, bands=[1], as_of_ms=0), 1.0) is None, "another version's bands"


def rows(count: int, seconds: int) -> list[BlockRow]:
    return [
        BlockRow(
            height=height, hash="", time=height * seconds, tx_count=1, size=1, weight=4, output_value=0, subsidy=0,
            fees=0, fee_rate_avg=0, fee_rate_percentiles=[0] * 5, pool=None, coinbase_tag="",
        )
        for height in reversed(range(count))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "seconds", "wanted"), [(144, 570, 570.0), (71, 570, INTERVAL), (144, 1, INTERVAL), (0, 1, INTERVAL)]
)
def test_blocks_have_their_own_pace_where_it_can_be_believed(count: int, seconds: int, wanted: float) -> None:
    assert pace(rows(count, seconds)) == wanted

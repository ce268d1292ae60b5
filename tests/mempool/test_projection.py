"""Projected blocks, quantiles, Esplora's histogram, and what to pay."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mempool.graph import Graph, Tx
from mempool.histogram import Histogram
from mempool.incoming import WINDOW, Incoming
from mempool.projection import (
    BLOCK_VSIZE,
    BLOCKS,
    COINBASE_VSIZE,
    esplora_histogram,
    next_block_full,
    precise_fees,
    projected_blocks,
    recommended_fees,
)
from mempool.records import pack, unpack
from shared.bands import FEERATE_BOUNDS
from shared.views import ProjectedBlock


def tx(rate: float, vsize: int) -> Tx:
    return Tx(round(rate * vsize), vsize, vsize * 4, vsize + 50, 1_000, 1_700_000_000)


def sorted_txs(sizes: list[tuple[float, int]]) -> list[Tx]:
    return sorted((tx(rate, vsize) for rate, vsize in sizes), key=lambda one: one.rate, reverse=True)


@given(st.lists(st.tuples(st.floats(0.1, 500), st.integers(100, 90_000)), max_size=400))
def test_blocks_hold_everything_once_and_best_first(sizes: list[tuple[float, int]]) -> None:
    txs = sorted_txs(sizes)
    blocks = projected_blocks(txs)
    assert sum(block.tx_count for block in blocks) == len(txs)
    assert sum(block.total_fees for block in blocks) == sum(one.fee for one in txs)
    assert sum(block.vsize for block in blocks) == sum(one.vsize for one in txs)
    assert len(blocks) <= BLOCKS
    for block in blocks[: BLOCKS - 1]:
        assert block.vsize <= BLOCK_VSIZE - COINBASE_VSIZE
    for better, worse in itertools.pairwise(blocks):
        assert better.fee_range[0] >= worse.fee_range[-1] - 1e-9
    for block in blocks:
        assert len(block.fee_range) == 7
        assert block.fee_range == sorted(block.fee_range)
        assert block.median_fee_rate == block.fee_range[3]


def test_the_last_block_holds_all_that_is_left() -> None:
    blocks = projected_blocks(sorted_txs([(5, 100_000)] * 200))
    assert len(blocks) == BLOCKS
    assert blocks[-1].vsize == 20_000_000 - 7 * 900_000
    assert projected_blocks([]) == []


def test_quantiles_are_by_size_not_by_count() -> None:
    [block] = projected_blocks(sorted_txs([(1, 800), (100, 100), (200, 100)]))
    assert block.fee_range == [1, 1, 1, 1, 1, 100, 200]


def block(vsize: int, rate: float) -> ProjectedBlock:
    return ProjectedBlock(
        tx_count=1, size=vsize, vsize=vsize, weight=4 * vsize, total_fees=1, median_fee_rate=rate, fee_range=[rate] * 7
    )


FULL = BLOCK_VSIZE - COINBASE_VSIZE


@pytest.mark.parametrize(
    ("blocks", "minimum", "expected"),
    [
        pytest.param([], 0.1, (1, 1, 1, 1, 1), id="empty"),
        pytest.param([block(400_000, 50)], 1, (1, 1, 1, 1, 1), id="half a block costs the minimum"),
        pytest.param([block(750_000, 50)], 1, (25, 1, 1, 1, 1), id="nearly full in proportion"),
        pytest.param([block(FULL, 50)], 1, (50, 1, 1, 1, 1), id="one full block"),
        pytest.param(
            [block(FULL, 40), block(FULL, 20), block(FULL, 10.5)],
            1,
            (40, 30, 21, 2, 1),
            id="smoothed with the one before",
        ),
        pytest.param(
            [block(FULL, 3), block(FULL, 2), block(FULL, 2)], 8, (8, 8, 8, 8, 8), id="never below the minimum"
        ),
        pytest.param([block(FULL, 40.1)], 2.5, (41, 3, 3, 3, 3), id="rounded up"),
    ],
)
def test_recommended_fees(
    blocks: list[ProjectedBlock], minimum: float, expected: tuple[int, int, int, int, int]
) -> None:
    fees = recommended_fees(blocks, minimum)
    assert (fees.fastestFee, fees.halfHourFee, fees.hourFee, fees.economyFee, fees.minimumFee) == expected


@pytest.mark.parametrize(
    ("blocks", "minimum", "expected", "full"),
    [
        pytest.param([], 0.1, (0.1, 0.1, 0.1, 0.1, 0.1), False, id="empty"),
        pytest.param([block(400_000, 0.5)], 0.1, (0.1, 0.1, 0.1, 0.1, 0.1), False, id="half a block"),
        pytest.param([block(750_000, 0.5)], 0.1, (0.25, 0.1, 0.1, 0.1, 0.1), True, id="nearly full in proportion"),
        pytest.param(
            [block(FULL, 0.4), block(FULL, 0.2), block(FULL, 0.1055)],
            0.1,
            (0.4, 0.3, 0.203, 0.2, 0.1),
            True,
            id="smoothed with the one before, rounded up",
        ),
        pytest.param([block(FULL, 0.05), block(9_000, 0.05)], 0.1, (0.1,) * 5, True, id="never below the minimum"),
        pytest.param([block(FULL, 40)], 0.12345, (40.0, 0.124, 0.124, 0.124, 0.124), True, id="the minimum rounded up"),
        pytest.param([block(FULL, 3)], 0.0, (3.0, 0.0, 0.0, 0.0, 0.0), True, id="a node that takes everything"),
    ],
)
def test_precise_fees(blocks: list[ProjectedBlock], minimum: float, expected: tuple[float, ...], full: bool) -> None:
    fees = precise_fees(blocks, minimum)
    assert (fees.fastestFee, fees.halfHourFee, fees.hourFee, fees.economyFee, fees.minimumFee) == expected
    assert next_block_full(blocks) == full
    if not full:
        assert fees.fastestFee == fees.minimumFee


@given(
    st.lists(st.tuples(st.integers(1, BLOCK_VSIZE), st.floats(0, 300)), max_size=8),
    st.floats(0, 20),
)
def test_precise_fees_agree_with_the_whole_ones(sizes: list[tuple[int, float]], minimum: float) -> None:
    """By the same rules: where each is above the other's minimum they differ by less than rounding can make."""
    blocks = [block(vsize, rate) for vsize, rate in sorted(sizes, key=lambda one: -one[1])]
    precise, whole = precise_fees(blocks, minimum), recommended_fees(blocks, minimum)
    for name in precise.__struct_fields__:
        exact, rounded = getattr(precise, name), getattr(whole, name)
        assert exact >= minimum - 1e-9
        assert abs(exact - rounded) <= 2 if exact >= 1 else rounded <= 2


@given(st.lists(st.tuples(st.floats(0.1, 500), st.integers(100, 90_000)), max_size=300))
def test_esploras_histogram_sums_up(sizes: list[tuple[float, int]]) -> None:
    txs = sorted_txs(sizes)
    pairs = esplora_histogram(txs)
    assert sum(vsize for _, vsize in pairs) == sum(one.vsize for one in txs)
    assert [rate for rate, _ in pairs] == sorted((rate for rate, _ in pairs), reverse=True)
    assert [vsize for _, vsize in pairs[:-1] if vsize <= 50_000] == []


def test_a_transaction_is_counted_in_one_band_only() -> None:
    histogram = Histogram()
    one = tx(5, 200)
    histogram.place(one)
    one.rate = 700.0
    histogram.place(one)
    bands = [band for band in histogram.bands() if band.count]
    assert [(band.from_rate, band.to_rate, band.count, band.vsize, band.fee) for band in bands] == [
        (700.0, 800.0, 1, 200, 1_000)
    ]
    histogram.remove(one)
    assert not any(band.count or band.vsize or band.fee for band in histogram.bands())
    assert list(FEERATE_BOUNDS) == sorted(FEERATE_BOUNDS)


def test_what_came_in_is_counted_over_the_last_minute() -> None:
    incoming = Incoming()
    now = 1_700_000_000
    for age, vsize in [(1, 600), (59, 600), (60, 600), (61, 10_000), (3_600, 10_000)]:
        incoming.add(now - age, vsize)
    assert incoming.per_second(now) == (3 / WINDOW, 1_800 / WINDOW)
    assert incoming.per_second(now + 120) == (0, 0)
    assert incoming.busy(now)
    assert not incoming.busy(now + 200)
    for second in range(5_000):
        incoming.add(now + second, 100)
    assert len(incoming._seconds) < 300


@given(st.integers(0, 21 * 10**14), st.integers(1, 10**6), st.lists(st.binary(min_size=32, max_size=32), unique=True))
def test_a_record_gives_back_what_it_was_made_of(fee: int, vsize: int, parents: list[bytes]) -> None:
    graph = Graph()
    graph.add(b"\1" * 32, Tx(fee, vsize, vsize * 4, vsize, 5 * fee, 1_700_000_000), parents, ())
    made = graph.txs[b"\1" * 32]
    again, found = unpack(pack(made))
    assert set(found) == set(parents)
    for field in ("fee", "vsize", "weight", "size", "value", "time", "rate"):
        assert getattr(again, field) == getattr(made, field)

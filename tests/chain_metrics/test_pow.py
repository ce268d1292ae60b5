"""Targets, work, difficulty and hashrate: against the node, and against facts of mainnet."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from chain_metrics.headers import Headers
from chain_metrics.metrics import halving_view, retarget_view, tip_view
from shared import pow as proof
from shared.networks import COIN, NETWORKS

MAIN = NETWORKS["main"]
EPOCHS = Path(__file__).resolve().parents[3] / "shared/data/difficulty_epochs.csv"


@pytest.mark.parametrize(
    ("bits", "difficulty"),
    [
        (0x1D00FFFF, 1.0),
        (0x1B0404CB, 16307.420938523983),  # the example of the developer documentation
        (0x17021EC5, 132757073449487.5),  # block 967,816, as the node tells it
        (0x207FFFFF, 4.6565423739069247e-10),  # regtest
    ],
)
def test_difficulty_is_the_nodes(bits: int, difficulty: float) -> None:
    assert f"{proof.difficulty(bits):.15g}" == f"{difficulty:.15g}"  # sources write 16 or 17 digits


def test_target_and_work() -> None:
    assert proof.target(0x1D00FFFF) == 0xFFFF << 208
    assert proof.target(0x03123456) == 0x123456
    assert proof.target(0x01120000) == 0x12
    assert proof.work(0x1D00FFFF) == 0x100010001
    assert proof.work(0x207FFFFF) == 2


@pytest.mark.skipif(not EPOCHS.exists(), reason=f"the recorded difficulty history is not there ({EPOCHS.name})")
def test_every_epoch_of_mainnet() -> None:
    with EPOCHS.open() as file:
        for row in csv.DictReader(file):
            bits = int(row["bits"], 16)
            assert f"{proof.target(bits):064x}" == row["target_hex"]
            assert proof.difficulty(bits) == pytest.approx(float(row["difficulty"]), rel=1e-12)


def test_the_window_is_measured_from_its_earliest_to_its_latest_time() -> None:
    """Block times need not rise (GetNetworkHashPS)."""
    times = [1_000, 1_600, 1_500, 3_000, 2_900]
    works = [100, 200, 300, 400, 500]
    assert proof.hashrate(times, works, 4, 3) == (500 - 200) / (3_000 - 1_500)
    assert proof.hashrate(times, works, 4, 100) == 400 / 2_000
    assert proof.hashrate([5, 5], [1, 2], 1, 144) == 0.0


@pytest.mark.parametrize(
    ("height", "subsidy", "supply"),
    [
        (0, 50 * COIN, 50 * COIN),
        (209_999, 50 * COIN, 10_500_000 * COIN),
        (210_000, 25 * COIN, 10_500_025 * COIN),
        (1_049_999, 312_500_000, 2_034_375_000_000_000),
        (1_050_000, 156_250_000, 2_034_375_156_250_000),
        (6_929_999, 1, 2_099_999_997_690_000),
        (6_930_000, 0, 2_099_999_997_690_000),
        (13_440_000, 0, 2_099_999_997_690_000),
        (100_000_000, 0, 2_099_999_997_690_000),
    ],
)
def test_subsidy_and_supply(height: int, subsidy: int, supply: int) -> None:
    assert MAIN.subsidy(height) == subsidy
    assert MAIN.supply(height) == supply


def headers_at(height: int, *, spacing: int = 600, count: int = 3_000, bits: int = 0x17021EC5) -> Headers:
    headers = Headers()
    first = max(0, height - count + 1)
    headers.load(first, [(1_500_000_000 + one * spacing, bits) for one in range(height - first + 1)], 1 << 90)
    return headers


@pytest.mark.parametrize(
    ("height", "next_height", "subsidy_now", "to_come"),
    [
        (0, 210_000, 50 * COIN, 33),
        (209_998, 210_000, 50 * COIN, 33),
        (209_999, 210_000, 25 * COIN, 33),  # the next block is the first with half
        (210_000, 420_000, 25 * COIN, 32),
        (1_049_999, 1_050_000, 156_250_000, 29),
        (1_050_000, 1_260_000, 156_250_000, 28),
        (6_929_999, 6_930_000, 0, 1),
    ],
)
def test_halvings_to_come(height: int, next_height: int, subsidy_now: int, to_come: int) -> None:
    headers = headers_at(height)
    view = halving_view(MAIN, headers)
    assert view.subsidy == subsidy_now
    assert len(view.upcoming) == to_come
    nearest = view.upcoming[0]
    assert (nearest.height, nearest.blocks_remaining) == (next_height, next_height - height)
    assert nearest.estimated_time == headers.times[-1] + 600 * (next_height - height)
    assert view.upcoming[-1].subsidy == 0
    assert view.upcoming[-1].height == 6_930_000


def test_after_the_last_halving_there_is_none() -> None:
    view = halving_view(MAIN, headers_at(6_930_000))
    assert (view.upcoming, view.subsidy) == ([], 0)


@pytest.mark.parametrize(
    ("spacing", "percent"),
    [(600, 0.0496), (540, 11.1662), (660, -9.0458), (60, 300.0), (6_000, -75.0)],
    ids=["on time", "fast", "slow", "no more than fourfold", "no less than a quarter"],
)
def test_the_estimate_counts_2015_intervals_as_consensus_does(spacing: int, percent: float) -> None:
    view = retarget_view(MAIN, headers_at(2_016 * 400 + 1_000, spacing=spacing))
    assert view.difficulty_change_percent == pytest.approx(percent, abs=0.0001)
    assert (view.start_height, view.height, view.blocks_remaining) == (806_400, 808_416, 1_016)
    assert view.average_block_time_ms == spacing * 1_000


def test_at_the_first_block_of_a_period_nothing_is_known_yet() -> None:
    view = retarget_view(MAIN, headers_at(2_016 * 400))
    assert (view.difficulty_change_percent, view.progress_percent, view.blocks_remaining) == (0.0, 0.0, 2_016)


def test_the_last_adjustment_is_told_where_it_is_known() -> None:
    headers = headers_at(2_016 * 400 - 1, bits=0x17021EC5)
    headers.push(headers.times[-1] + 600, 0x17021369)
    view = retarget_view(MAIN, headers)
    expected = 100 * (proof.difficulty(0x17021369) / proof.difficulty(0x17021EC5) - 1)
    assert view.previous_change_percent == pytest.approx(expected, abs=0.0001)
    assert retarget_view(MAIN, headers_at(2_016 * 400 + 5, count=4)).previous_change_percent is None


def test_estimates_stay_within_the_calendar() -> None:
    """The second block of a network may come years after the first."""
    headers = Headers()
    headers.load(0, [(1_296_688_602, 0x207FFFFF), (1_800_000_000, 0x207FFFFF)], 4)
    network = NETWORKS["regtest"]
    assert halving_view(network, headers).upcoming[-1].estimated_time < 4_000_000_000
    assert retarget_view(network, headers).estimated_time < 4_000_000_000
    assert tip_view(network, headers, "00" * 32).hashrate > 0

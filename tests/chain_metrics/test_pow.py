"""Targets, work, difficulty and hashrate: against the node, and against facts of mainnet."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from chain_metrics.headers import Headers
from chain_metrics.metrics import halving_view, retarget_view, tip_view
from shared import pow as proof
from shared.networks import COIN, NETWORKS
from shared.records import Header
from web.charts.data.levels import Levels

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
    headers = headers_at(2_016 * 400 - 1, count=2_016, bits=0x17021EC5)
    headers.push(headers.times[-1] + 600, 0x17021369)
    view = retarget_view(MAIN, headers)
    expected = 100 * (proof.difficulty(0x17021369) / proof.difficulty(0x17021EC5) - 1)
    assert view.previous_change_percent == pytest.approx(expected, abs=0.0001)
    assert retarget_view(MAIN, headers_at(2_016 * 400 + 5, count=4)).previous_change_percent is None


@pytest.mark.parametrize("network", ["test", "testnet4"])
def test_blocks_of_minimum_difficulty_are_not_the_difficulty(network: str) -> None:
    """A block that comes late may be of minimum difficulty; a period's first block bears the true one."""
    net, easy, hard = NETWORKS[network], 0x1D00FFFF, (0x1900F8D6, 0x1900EC54)
    start, tip = 2_016 * 50, 2_016 * 51 + 701
    bits = [hard[(height - start) // 2_016] if height % 2_016 == 0 or (height - start) % 3 < 2 else easy
            for height in range(start, tip + 1)]  # fmt: skip
    assert bits[2_015] == bits[-1] == easy, "the last block of a period, and the newest"
    headers = Headers()
    headers.load(start, [(1_700_000_000 + place * 600, one) for place, one in enumerate(bits)], 1 << 80)
    view, tip_now = retarget_view(net, headers), tip_view(net, headers, "00" * 32)
    listed = Levels.of([(50, Header(0, hard[0], bytes(8))), (51, Header(1, hard[1], bytes(8)))]).change(1)
    assert listed is not None
    assert view.previous_change_percent == pytest.approx(listed, abs=0.0001)
    assert view.difficulty_change_percent == pytest.approx(0.0496, abs=0.0001)
    assert tip_now.difficulty == proof.difficulty(hard[1])
    assert {value for _, value in tip_now.difficulty_history} == {proof.difficulty(one) for one in hard}
    assert tip_now.bits == f"{easy:08x}"


def test_difficulty_never_falls_below_the_least_of_the_network() -> None:
    slow = headers_at(2_016 * 4 + 1_000, spacing=6_000, bits=0x1D00FFFF)
    assert retarget_view(NETWORKS["testnet4"], slow).difficulty_change_percent == 0.0


def test_estimates_stay_within_the_calendar() -> None:
    """The second block of a network may come years after the first."""
    headers = Headers()
    headers.load(0, [(1_296_688_602, 0x207FFFFF), (1_800_000_000, 0x207FFFFF)], 4)
    network = NETWORKS["regtest"]
    assert halving_view(network, headers).upcoming[-1].estimated_time < 4_000_000_000
    assert retarget_view(network, headers).estimated_time < 4_000_000_000
    assert tip_view(network, headers, "00" * 32).hashrate > 0

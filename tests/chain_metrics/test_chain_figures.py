"""Every figure of the chain at every edge, and block by block against a real node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from chain_metrics.headers import Headers
from chain_metrics.metrics import halving_view, retarget_view, tip_view
from local_run.node import RegtestNode
from shared.networks import COIN, NETWORKS, RETARGET_INTERVAL
from shared.pow import difficulty, hashrate, target, work
from support import spending

MAIN, REGTEST = NETWORKS["main"], NETWORKS["regtest"]


# --- mainnet -----------------------------------------------------------------------------------------------


@given(st.integers(min_value=3, max_value=0x20), st.integers(min_value=0x8000, max_value=0x7FFFFF))
def test_target_difficulty_and_work_agree(exponent: int, mantissa: int) -> None:
    bits = exponent << 24 | mantissa
    assert target(bits) == mantissa * 256 ** (exponent - 3)
    assert difficulty(bits) * target(bits) == pytest.approx(0xFFFF * 2.0**208, rel=1e-12)
    if 1 << 40 < target(bits) < 1 << 210:
        assert work(bits) * target(bits) == pytest.approx(2.0**256, rel=1e-9)


# --- subsidy, halvings, supply -----------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=5_500))
def test_supply_is_the_sum_of_the_subsidies(height: int) -> None:
    assert REGTEST.supply(height) == sum(REGTEST.subsidy(below) for below in range(height + 1))


def headers_at(height: int, *, count: int = 200, spacing: int = 600, bits: int = 0x1D00FFFF) -> Headers:
    """So many headers up to the height, evenly spaced, ending at second 1,700,000,000."""
    count = min(count, height + 1)
    made = Headers()
    times = [1_700_000_000 - spacing * (count - 1 - place) for place in range(count)]
    made.load(height - count + 1, [(time, bits) for time in times], work(bits) * (height + 1))
    return made


@pytest.mark.parametrize(
    "height", [0, 1, 209_998, 209_999, 210_000, 1_049_999, 1_050_000, 6_719_999, 6_929_999, 6_930_000]
)
def test_every_halving_to_come(height: int) -> None:
    view = halving_view(MAIN, headers_at(height))
    assert view.subsidy == MAIN.subsidy(height + 1)
    expected = [number for number in range(1, 34) if number * 210_000 > height]
    assert [halving.number for halving in view.upcoming] == expected
    for halving in view.upcoming:
        assert halving.height == halving.number * 210_000
        assert halving.blocks_remaining == halving.height - height > 0
        assert halving.subsidy == MAIN.subsidy(halving.height) < MAIN.subsidy(halving.height - 1)
        assert halving.estimated_time == 1_700_000_000 + 600 * halving.blocks_remaining
    assert view.progress_percent == pytest.approx(100 * (height % 210_000) / 210_000, abs=1e-4)
    if view.upcoming:
        assert view.upcoming[-1].subsidy == 0


# --- retarget ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "start", "remaining"),
    [
        (0, 0, 2016),
        (2015, 0, 1),
        (2016, 2016, 2016),
        (2017, 2016, 2015),
        (4031, 2016, 1),
        (209_999, 209_664, 1_681),
        (210_000, 209_664, 1_680),
        (1_049_999, 1_048_320, 337),
        (1_050_000, 1_048_320, 336),
        (6_929_999, 6_928_992, 1_009),
        (6_930_000, 6_928_992, 1_008),
    ],
)
def test_the_edges_of_a_period(height: int, start: int, remaining: int) -> None:
    view = retarget_view(MAIN, headers_at(height, count=5000))
    assert (view.start_height, view.blocks_remaining) == (start, remaining)
    assert view.height == start + RETARGET_INTERVAL
    assert view.progress_percent == pytest.approx(100 * (height - start) / 2016, abs=1e-4)
    assert view.retargets


def test_the_estimate_of_a_whole_period_is_what_consensus_decides() -> None:
    """At the last block of a period the estimate must be CalculateNextWorkRequired's result, for real numbers."""
    made = headers_at(2015, count=2016, spacing=571)
    actual = made.times[-1] - made.times[0]
    expected = 100 * (1_209_600 / actual - 1)
    assert retarget_view(MAIN, made).difficulty_change_percent == pytest.approx(expected, abs=1e-4)


def test_regtest_never_adjusts() -> None:
    view = retarget_view(REGTEST, headers_at(150, spacing=1, bits=0x207FFFFF))
    assert (view.retargets, view.difficulty_change_percent, view.previous_change_percent) == (False, 0.0, None)


def test_times_that_do_not_rise_do_no_harm() -> None:
    made = Headers()
    made.load(0, [(1_700_000_000, 0x1D00FFFF)] * 20, 20 * work(0x1D00FFFF))
    assert hashrate(made.times, made.works, 19, 144) == 0.0
    view = retarget_view(MAIN, made)
    assert view.difficulty_change_percent == 300.0
    assert tip_view(MAIN, made, "00").hashrate == 0.0


# --- a real node -------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node"), mocktime=1_600_000_000) as it:
        now = 1_600_000_000
        for number in range(60):  # uneven times
            now += (number * 7919) % 1800
            await it.rpc("setmocktime", now)
            await spending.mine(it, 1 + number % 5)
        yield it


def as_told(number: float) -> float:
    """The node writes 16 digits of a number, where 17 would tell it exactly."""
    return float(f"{number:.16g}")


@pytest.mark.asyncio(loop_scope="module")
async def test_everything_is_as_the_node_computes_it(node: RegtestNode) -> None:
    tip = await node.rpc("getblockcount")
    hashes = await node.batch([("getblockhash", (height,)) for height in range(tip + 1)], kind=str)
    blocks = await node.batch([("getblockheader", (block_hash,)) for block_hash in hashes])
    made = Headers()
    for block in blocks:
        made.push(block["time"], int(block["bits"], 16))
        assert as_told(difficulty(int(block["bits"], 16))) == block["difficulty"]
        assert made.works[-1] == int(block["chainwork"], 16)
        assert made.median_time == block["mediantime"]
    assert as_told(difficulty(made.bits[-1])) == (await node.rpc("getmininginfo"))["difficulty"]
    for window in (1, 11, 120, 144, 1008):
        for height in (1, 2, 50, tip - 1, tip):
            expected = await node.rpc("getnetworkhashps", window, height)
            assert as_told(hashrate(made.times, made.works, height, window)) == expected
    view = tip_view(REGTEST, made, hashes[-1])
    assert as_told(view.hashrate) == await node.rpc("getnetworkhashps", 144)
    assert as_told(view.hashrate_7d) == await node.rpc("getnetworkhashps", 1008)
    assert (view.chainwork, view.bits) == (blocks[-1]["chainwork"], blocks[-1]["bits"])
    assert view.median_time == blocks[-1]["mediantime"]
    stats = await node.batch([("getblockstats", (height, ["subsidy"])) for height in range(1, tip + 1)])
    assert view.supply == 50 * COIN + sum(block["subsidy"] for block in stats)
    assert view.subsidy == stats[-1]["subsidy"]
    assert tip > 150  # beyond regtest's first halving


@given(st.lists(st.tuples(st.integers(1, 2**31), st.sampled_from([0x207FFFFF, 0x1D00FFFF])), min_size=1, max_size=40))
def test_loading_is_pushing(pairs: list[tuple[int, int]]) -> None:
    pushed, loaded = Headers(), Headers()
    for time, bits in pairs:
        pushed.push(time, bits)
    loaded.load(0, pairs, pushed.works[-1])
    assert (loaded.times, loaded.bits, loaded.works, loaded.tip) == (
        pushed.times,
        pushed.bits,
        pushed.works,
        pushed.tip,
    )
    loaded.pop()
    assert loaded.tip == len(pairs) - 2
    assert not loaded.knows(len(pairs) - 1)

"""What is fetched together, what an entry holds, and how gently: without a node."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_ingest.backfill import batches
from chain_ingest.backfill.batches import BLOCKS, Lately, entries, missing_batches, runs
from chain_ingest.backfill.pace import Pace
from shared.events.backfill import MeasuredBlock
from shared.events.blocks import LargestTx


def spans_of(heights: set[int]) -> list[tuple[int, int]]:
    """As a view names them: newest first."""
    return [(first, last) for first, last in runs(sorted(heights))][::-1]


@given(st.sets(st.integers(0, 400)), st.integers(0, 400))
def test_batches_cover_what_is_missing_newest_first(heights: set[int], lowest: int) -> None:
    found = list(missing_batches(spans_of(heights), lowest))
    numbers = [number for number, _ in found]
    assert numbers == sorted(set(numbers), reverse=True)
    assert [height for number, inside in found for height in inside if height // BLOCKS != number] == []
    assert [inside for _, inside in found if inside != sorted(inside)] == []
    assert {height for _, inside in found for height in inside} == {height for height in heights if height >= lowest}


def test_two_workers_name_a_batch_alike_whatever_they_see_of_it() -> None:
    [(one, _)] = missing_batches([(48, 50)], 0)
    [(other, heights)] = missing_batches([(60, 71), (48, 49)], 0)
    assert one == other == 2
    assert heights == [48, 49, *range(60, 72)]


@given(st.sets(st.integers(0, 60)))
def test_runs_are_the_same_heights(heights: set[int]) -> None:
    found = list(runs(sorted(heights)))
    assert [height for first, last in found for height in range(first, last + 1)] == sorted(heights)
    assert [first for (_, last), (first, _) in pairwise(found) if first <= last + 1] == []


def block(height: int, largest: int) -> MeasuredBlock:
    return MeasuredBlock(
        height=height, hash="ab" * 32, time=1, tx_count=1, size=1, weight=1, inputs=0, outputs=1, output_value=0,
        fees=0, fee_rate_percentiles=[0] * 5, fee_rate_avg=0, output_bands=[0] * 12, pool=None,
        largest=[LargestTx(txid=f"{at:064x}", value=21 * 10**14) for at in range(largest)],
    )  # fmt: skip


@pytest.mark.parametrize(("count", "largest"), [(0, 0), (1, 50), (24, 50), (24, 0), (100, 50)])
def test_an_entry_stays_below_its_limit(count: int, largest: int) -> None:
    blocks = [block(height, largest) for height in range(count)]
    events = list(entries(blocks))
    assert [one for event in events for one in event.blocks] == blocks
    assert max((len(msgspec.json.encode(event)) for event in events), default=0) < 200_000
    if count <= BLOCKS:
        assert len(events) == min(count, 1)


def test_what_a_worker_remembers_is_bounded_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    lately = Lately()
    for number in range(batches.REMEMBERED + 10):
        lately.add(number)
    assert 9 not in lately
    assert 10 in lately
    now = time.monotonic() + batches.REMEMBERED_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert 10 not in lately


@pytest.mark.parametrize("load", [10, 50])
async def test_the_node_rests_in_proportion(load: int) -> None:
    async def clear() -> None:
        pass

    pace = Pace(load, clear)
    began = time.monotonic()
    busy = 0.0
    for _ in range(5):
        async with pace:
            asked = time.monotonic()
            await asyncio.sleep(0.02)
            busy += time.monotonic() - asked
        await asyncio.sleep(0.01)  # what is done with the answer counts as rest
    async with pace:
        pass
    assert busy / (time.monotonic() - began) <= load / 100 + 0.01


async def test_at_full_load_nothing_rests_and_one_request_is_on_its_way() -> None:
    cleared = []

    async def clear() -> None:
        cleared.append(time.monotonic())

    pace = Pace(100, clear)
    together = most = 0

    async def ask() -> None:
        nonlocal together, most
        async with pace:
            together += 1
            most = max(most, together)
            await asyncio.sleep(0.001)
            together -= 1

    await asyncio.gather(*(ask() for _ in range(5)))
    assert (most, len(cleared)) == (1, 5)
    assert pace._ready <= time.monotonic()


async def test_a_wait_that_is_cancelled_holds_up_nobody() -> None:
    blocked = asyncio.Event()

    async def clear() -> None:
        await blocked.wait()

    pace = Pace(100, clear)

    async def ask() -> None:
        async with pace:
            pass

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    blocked.set()
    await asyncio.wait_for(ask(), 5)

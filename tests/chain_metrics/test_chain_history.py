"""The fold of block events: whatever way led to a chain, its views are the same bytes; Redis holds what memory does."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_metrics.fold import KEPT, SHOWN, ChainFold
from shared import domains, redis
from shared.errors import StreamGap
from shared.events.base import Event
from shared.events.blocks import BlockConnected
from shared.events.derived import MetricsUpdated
from shared.keys import Keys
from shared.views import CHAIN_VIEWS, BlocksView, RetargetView, TipView
from support import folding
from support.chain_samples import chain, connected, disconnected, loaded
from support.folding import at

KEYS = Keys("main")


def folded(events: list[Event]) -> ChainFold:
    it = ChainFold(KEYS)
    for event in events:
        it.apply(event)
    return it


def views(it: ChainFold) -> dict[str, bytes]:
    """Every view as it would be written."""
    it._dirty = True
    return folding.views(it.flush(at(0)), KEYS.views(domains.CHAIN))


def fresh(blocks: list[BlockConnected], full: int = 10**9) -> dict[str, bytes]:
    """The views of a new start over this chain, whose last blocks are published in full."""
    split = max(0, len(blocks) - full)
    return views(folded([loaded(blocks[:split]), *blocks[split:]]))


steps = st.lists(st.tuples(st.sampled_from(["up", "up", "down"]), st.integers(1, 9), st.integers(0, 5)), max_size=30)


@given(steps)
def test_any_way_to_a_chain_leads_to_the_same_bytes(walk: list[tuple[str, int, int]]) -> None:
    it = folded([loaded([])])
    blocks: list[BlockConnected] = []
    for direction, count, salt in walk:
        for _ in range(count):
            if direction == "up":
                blocks.append(connected(len(blocks) + 1, blocks[-1] if blocks else None, salt))
                it.apply(blocks[-1])
            elif blocks:
                it.apply(disconnected(blocks.pop()))
        if salt == 0:
            it.flush(at(0))
    assert views(it) == fresh(blocks)


@given(steps)
def test_redis_holds_what_memory_does(walk: list[tuple[str, int, int]]) -> None:
    """The commands of many flushes, carried out on a plain dictionary, are the commands of one."""
    it = folded([loaded(chain(3))])
    blocks = chain(3)
    state: dict[str, bytes] = {}
    for direction, count, salt in walk:
        for _ in range(count):
            if direction == "up":
                blocks.append(connected(len(blocks) + 1, blocks[-1], salt))
                it.apply(blocks[-1])
            elif len(blocks) > 1:
                it.apply(disconnected(blocks.pop()))
        _apply(state, it)
    _apply(state, it)
    assert [int(name) for name in sorted(state.keys() - {"tip"}, key=int)] == list(range(len(blocks) + 1))


def _apply(state: dict[str, bytes], it: ChainFold) -> None:
    for command, key, arguments in folding.commands(it.flush(at(0))):
        if key != KEYS.state(domains.CHAIN):
            continue
        match command:
            case "DEL":
                state.clear()
            case "HDEL":
                for name in arguments:
                    state.pop(str(name), None)
            case "HSET":
                for name, raw in zip(arguments[::2], arguments[1::2], strict=True):
                    assert isinstance(raw, bytes)
                    state[str(name)] = raw


@pytest.mark.parametrize("seed", range(3))
async def test_a_restart_in_the_middle_changes_nothing(client: redis.Client, seed: int) -> None:
    chance = random.Random(seed)
    it, blocks = folded([loaded([])]), chain(0)
    committer = folding.Committer(client, KEYS.checkpoint(domains.CHAIN))
    for _ in range(60):
        if chance.random() < 0.3 and len(blocks) > 8:
            for _ in range(chance.randrange(1, 8)):
                it.apply(disconnected(blocks.pop()))
        for _ in range(chance.randrange(1, 12)):
            blocks.append(connected(len(blocks) + 1, blocks[-1] if blocks else None, chance.randrange(4)))
            it.apply(blocks[-1])
        await committer.commit(it.flush(at(0)))
        if chance.random() < 0.2:
            restored = ChainFold(KEYS)
            await restored.restore(client)
            assert views(restored) == views(it)
            assert restored.flush(at(0)).commands.keys == []
            it = restored
    stored = await client.hgetall(KEYS.views(domains.CHAIN))
    assert {name.decode(): raw for name, raw in stored.items()} == views(it) == fresh(blocks)


async def test_a_beginning_replaces_everything(client: redis.Client) -> None:
    committer = folding.Committer(client, KEYS.checkpoint(domains.CHAIN))
    it = folded([loaded([]), *chain(30)])
    await committer.commit(it.flush(at(0)))
    other = chain(12, salt=7)
    for event in (loaded(other[:5], first=2), *other[5:]):
        it.apply(event)
    await committer.commit(it.flush(at(0)))
    restored = ChainFold(KEYS)
    await restored.restore(client)
    assert views(restored) == views(folded([loaded(other[:5], first=2), *other[5:]]))
    assert len(await client.hgetall(KEYS.state(domains.CHAIN))) == 12  # heights 2 to 12, and the tip


async def test_a_state_that_is_gone_is_named(client: redis.Client) -> None:
    it = folded([loaded([]), *chain(3)])
    with pytest.raises(ValueError, match="is gone"):
        await it.restore(client)
    with pytest.raises(StreamGap):
        it.apply(chain(4)[-1])


# --- long chains -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_chain() -> list[BlockConnected]:
    return chain(6_500)


@pytest.mark.parametrize("length", [4_400, 6_048, 6_500])
def test_a_new_start_shows_what_a_long_run_does(long_chain: list[BlockConnected], length: int) -> None:
    """chain-ingest begins with 4,032 headers and 144 blocks: no view may need more."""
    blocks = long_chain[:length]
    split = length - 144
    start = views(folded([loaded(blocks[:split], first=split + 1 - 4_032), *blocks[split:]]))
    assert start == views(folded([loaded([]), *blocks]))


@pytest.mark.parametrize("depth", [1, 3, 30, 144, 1_000])
def test_a_reorganisation_of_a_long_chain_leaves_no_trace(long_chain: list[BlockConnected], depth: int) -> None:
    it = folded([loaded([]), *long_chain])
    it.flush(at(0))
    for block in long_chain[: -depth - 1 : -1]:
        it.apply(disconnected(block))
    kept = long_chain[:-depth]
    assert views(it) == views(folded([loaded([]), *kept]))  # also while it is under way
    other = chain(depth, kept, salt=9)
    for block in other[len(kept) :]:
        it.apply(block)
    assert views(it) == views(folded([loaded([]), *other]))


def test_memory_stays_bounded(long_chain: list[BlockConnected]) -> None:
    it = folded([loaded([]), *long_chain[:6_300]])
    state: dict[str, bytes] = {}
    _apply(state, it)
    for block in long_chain[6_300:]:  # what is forgotten now was written before
        it.apply(block)
    _apply(state, it)
    assert len(state) == 6_048 + 1
    with_row = [name for name, raw in state.items() if name != "tip" and msgspec.msgpack.decode(raw)[2] is not None]
    assert len(with_row) == KEPT
    blocks = msgspec.json.decode(views(it)["blocks"], type=BlocksView).blocks
    assert [row.height for row in blocks] == list(range(6_500, 6_500 - SHOWN, -1))


def test_the_views_say_what_the_chain_says(long_chain: list[BlockConnected]) -> None:
    made = views(folded([loaded([]), *long_chain]))
    assert set(made) == set(CHAIN_VIEWS)
    tip = msgspec.json.decode(made["tip"], type=TipView)
    top = long_chain[-1]
    assert (tip.height, tip.hash, tip.time, tip.bits) == (top.height, top.hash, top.time, top.bits)
    assert tip.chainwork == top.chainwork
    assert len(tip.hashrate_history) == len(tip.difficulty_history) == 100
    assert tip.hashrate_history[-1] == (top.time, tip.hashrate)
    assert tip.difficulty_history[-1] == (top.time, tip.difficulty)
    assert [point[0] for point in tip.difficulty_history] == [
        long_chain[height - 1].time for height in range(6_500 - 99 * 24, 6_501, 24)
    ]
    retarget = msgspec.json.decode(made["retarget"], type=RetargetView)
    assert retarget.start_time == long_chain[3 * 2016 - 1].time


# --- what does not follow ----------------------------------------------------------------------------------


def test_nothing_below_the_first_header_can_be_reached() -> None:
    blocks = chain(5)
    it = folded([loaded(blocks[:3], first=3), blocks[3]])
    it.apply(disconnected(blocks[3]))
    with pytest.raises(StreamGap, match="nothing is known below"):
        it.apply(disconnected(blocks[2]))


def test_a_flush_without_news_says_nothing() -> None:
    it = folded([loaded([]), *chain(2)])
    changes = it.flush(at(0))
    [event] = changes.events
    assert isinstance(event, MetricsUpdated)
    assert (event.height, event.hash, set(event.views)) == (2, chain(2)[-1].hash, set(CHAIN_VIEWS))
    again = it.flush(at(1))
    assert not again.commands
    assert not again.events
    assert it.due_ms(at(0)) is None


def test_a_fork_block_of_the_same_height_shows() -> None:
    one, other = chain(5), chain(1, chain(4), salt=3)
    it = folded([loaded([]), *one])
    before = views(it)
    it.apply(disconnected(one[4]))
    it.apply(other[4])
    assert views(it) != before
    assert views(it) == fresh(other)

"""What the timeline says is what happened, in whatever batches and whatever order of the streams it is folded."""

from __future__ import annotations

import asyncio
import random
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.timeline.fold import TimelineFold
from explorer.timeline.reading import replacements, timeline
from shared.domains import TIMELINE
from shared.events.blocks import BlockDisconnected
from shared.events.lookups import TxChanged
from shared.events.mempool import TxRemoved
from shared.explorer_views import InflowView, TimelineView
from shared.lookups.transaction import Step
from support.timelines import (
    KEYS,
    START_MS,
    Hashes,
    World,
    added,
    block_hash,
    busy,
    connected,
    fold,
    folded,
    moment,
    synced,
    txid,
)

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "replace", "drop", "mine", "mine", "undo", "back", "reset", "sync"]),
        st.integers(0, 2**16),
    ),
    max_size=40,
)


def happen(actions: list[tuple[str, int]]) -> World:
    """A world in which this happened."""
    world = World()
    for action, number in actions:
        rng = random.Random(number)
        pool = list(world.pool)
        some = [tx for tx in pool if rng.random() < 0.5]
        if action == "add":
            world.add(world.fresh())
        elif action == "replace" and some:
            world.replace(some[:3])
        elif action == "drop" and pool:
            world.drop(rng.choice(pool), rng.choice(["evicted", "expired", "unknown"]))
        elif action == "mine":
            cut = rng.randrange(len(some) + 1)
            world.mine(some[:cut], some[cut : cut + 2], block_first=rng.random() < 0.5)
        elif action == "undo" and world.chain:
            world.disconnect()
        elif action == "back" and world.out:
            world.add(world.out.pop(rng.randrange(len(world.out))))
        elif action == "reset":
            world.reset([tx for tx in some if rng.random() < 0.5])
        elif action == "sync":
            world.sync()
    return world


def read(store: Hashes, world: World) -> dict[str, list[Step]]:
    async def all_of_them() -> dict[str, list[Step]]:
        client: Any = store
        return {tx: await timeline(client, KEYS, tx) for tx in world.steps}

    return asyncio.run(all_of_them())


@settings(max_examples=150, deadline=None)
@given(ACTIONS, st.integers(0, 2**32))
def test_any_history_in_any_batches_is_told_as_it_happened(actions: list[tuple[str, int]], seed: int) -> None:
    world = happen(actions)
    wanted = world.steps
    assert read(folded(world), world) == wanted
    assert read(folded(world, random.Random(seed)), world) == wanted
    assert read(folded(world, random.Random(seed), restarts=True), world) == wanted


@pytest.mark.parametrize("seed", range(6))
def test_a_busy_day_is_told_in_any_batches(seed: int) -> None:
    world = busy(seed)
    assert {step.what for steps in world.steps.values() for step in steps} >= {"gone", "disconnected", "evicted"}
    assert read(folded(world), world) == world.steps
    assert read(folded(world, random.Random(seed), restarts=True), world) == world.steps


@pytest.mark.parametrize("seed", range(6))
def test_folded_again_upon_what_is_there_nothing_is_told_twice(seed: int) -> None:
    world = busy(seed)
    store = folded(world)
    for name in (KEYS.timeline_waiting, KEYS.state(TIMELINE)):
        store.keys.pop(name, None)
    it, client = fold(), cast(Any, store)
    asyncio.run(it.restore(client))
    it.reset()
    for stream in (world.txs, world.blocks) if seed % 2 else (world.blocks, world.txs):
        for time_ms, event in stream:
            it.dated(time_ms)
            it.apply(event)
        store.carry_out(it.flush(moment(world.now_ms)))
    it._write_gone(10**6)
    store.carry_out(it.flush(moment(world.now_ms)))
    assert read(store, world) == world.steps


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "replace", "replace"]), st.integers(0, 2**16)), max_size=25))
def test_who_went_for_whom_is_found_from_both_ends(actions: list[tuple[str, int]]) -> None:
    world = happen([("add", 0), *actions])
    client: Any = folded(world)
    for tx in world.steps:
        found = asyncio.run(replacements(client, KEYS, tx))
        told = {(one.txid, one.by, one.time_ms) for one in found.edges}
        assert {edge for edge in world.edges if tx in edge} <= told <= world.edges or not found.complete


def test_a_tree_that_is_too_large_is_cut_and_says_so() -> None:
    world = World()
    olds = [world.fresh() for _ in range(150)]
    for tx in olds:
        world.add(tx)
    newest = world.replace(olds)
    client: Any = folded(world)
    found = asyncio.run(replacements(client, KEYS, newest))
    assert not found.complete
    assert len(found.edges) == 99
    [step] = asyncio.run(timeline(client, KEYS, newest))
    assert len(step.replaces) == 100


def test_seen_mined_disconnected_mined_again() -> None:
    world = World()
    tx = world.fresh()
    world.add(tx)
    world.mine([tx])
    world.disconnect()
    world.mine([tx])
    store = folded(world)
    assert [step.what for step in read(store, world)[tx]] == ["seen", "mined", "disconnected", "mined"]


def test_a_block_that_comes_back_has_mined_its_transactions_twice() -> None:
    tx, name = txid(1), block_hash(1)
    gone = BlockDisconnected(height=5, hash=name, prev_hash="", node="main")
    left = TxRemoved(txid=tx, reason="block", block=name)
    events = [added(tx, START_MS), connected(name, 5), left, gone, added(tx, START_MS), connected(name, 5), left]
    it, store = fold(), Hashes()
    it._watching.watch([tx.encode()])
    for place, event in enumerate(events):
        it.dated(START_MS + place)
        it.apply(event)
    changes = it.flush(moment(START_MS))
    store.carry_out(changes)
    client: Any = store
    steps = asyncio.run(timeline(client, KEYS, tx))
    assert [(one.what, one.time_ms - START_MS) for one in steps] == [
        ("seen", 0), ("mined", 1), ("disconnected", 3), ("mined", 5)
    ]  # fmt: skip
    statuses = [one.status for one in changes.events if isinstance(one, TxChanged)]
    assert statuses == ["added", "mined", "disconnected", "added", "mined"]


def test_a_block_that_comes_back_before_its_transactions_do_is_told_of() -> None:
    tx, name = txid(1), block_hash(1)
    gone = BlockDisconnected(height=5, hash=name, prev_hash="", node="main")
    it = fold()
    it._watching.watch([tx.encode()])
    for place, event in enumerate(
        [added(tx, START_MS), TxRemoved(txid=tx, reason="block", block=name), connected(name, 5), gone,
         connected(name, 5), gone]
    ):  # fmt: skip
        it.dated(START_MS + place)
        it.apply(event)
    assert [status for _, status in told(it)] == ["added", "mined", "disconnected", "mined", "disconnected"]


def test_all_that_went_at_once_is_kept() -> None:
    olds, new = [txid(number) for number in range(1, 6)], txid(9)
    it, store = fold(), Hashes()
    it.dated(START_MS)
    for tx in olds:
        it.apply(added(tx, START_MS))
    for tx in olds:
        it.apply(TxRemoved(txid=tx, reason="replaced", replaced_by=new))
    store.carry_out(it.flush(moment(START_MS)))
    client: Any = store
    [step] = asyncio.run(timeline(client, KEYS, new))  # it came and went before it could be told of
    assert sorted(step.replaces) == sorted(olds)


def test_what_the_node_had_long_before_says_so_and_counts_as_no_inflow() -> None:
    it, store = fold(), Hashes()
    old = added(txid(1), START_MS, time=START_MS // 1000 - 7_200)
    it.dated(START_MS)
    it.apply(old)
    store.carry_out(it.flush(moment(START_MS)))
    client: Any = store
    [step] = asyncio.run(timeline(client, KEYS, old.txid))
    assert (step.time_ms, step.accepted) == (START_MS, START_MS // 1000 - 7_200)
    assert not any(any(minute.bands) for minute in it._inflow._minutes.values())


def view(store: Hashes, name: str, kind: type[Any]) -> Any:
    return msgspec.json.decode(store.keys[KEYS.views(TIMELINE)][name.encode()], type=kind)


def test_inflow_is_unknown_until_enough_whole_minutes_were_seen() -> None:
    it, store = fold(), Hashes()
    for minute in range(14):
        now_ms = START_MS + 60_000 * minute
        for place, rate in enumerate((2.5, 50.0)):
            it.dated(now_ms + place)
            it.apply(added(txid(10 * minute + place), now_ms, fee=round(200 * rate), ancestor_fee=round(200 * rate)))
        if minute != 3:  # nobody compared: perhaps nothing was told
            it.apply(synced(2))
        store.carry_out(it.flush(moment(now_ms)))
        found: InflowView = view(store, "inflow", InflowView)
        whole = len([one for one in range(1, minute) if one != 3])
        assert found.minutes == (whole if whole >= 10 else 0)
    assert set(found.bands) == {0, 200 * found.minutes}
    assert sum(found.bands) == 400 * found.minutes


def told(it: TimelineFold) -> list[tuple[str, str]]:
    return [(one.key, one.status) for one in it.flush(moment(START_MS)).events if isinstance(one, TxChanged)]


def test_what_is_watched_is_told_of_with_its_relatives_and_nothing_else() -> None:
    it, world = fold(), World()
    grandparent, parent, child, other = (world.fresh() for _ in range(4))
    it._watching.watch([parent.encode(), b"no txid", b"ff"])
    world.add(grandparent)
    world.add(parent, parents=[grandparent])
    world.add(child, parents=[parent])
    world.add(other)
    world.mine([grandparent, other])
    world.mine([parent])
    world.disconnect()
    world.drop(parent, "evicted")
    for time_ms, event in sorted([*world.txs, *world.blocks], key=lambda one: one[0]):
        it.dated(time_ms)
        it.apply(event)
    assert told(it) == [
        (parent, "added"), (parent, "near"), (parent, "near"), (parent, "mined"), (parent, "disconnected"),
        (parent, "added"), (parent, "evicted"),
    ]  # fmt: skip
    assert told(it) == []


def test_what_is_too_old_goes_a_part_at_a_time_and_no_single_clock_decides() -> None:
    it, store, day = fold(days=2), Hashes(), 86_400_000
    world = World()
    for _ in range(5):
        tx = world.fresh()
        world.add(tx)
        world.drop(tx, "evicted")
        world.now_ms += day
    first = txid(1)
    for time_ms, event in world.txs:
        it.dated(time_ms)
        it.apply(event)
    store.carry_out(it.flush(moment(START_MS)))  # this machine's clock is behind, or Redis' ahead
    client: Any = store
    assert asyncio.run(timeline(client, KEYS, first))
    now_ms, flushes = world.now_ms, 0
    while it.due_ms(moment(now_ms)) is not None or not flushes:
        now_ms, flushes = now_ms + 10_000, flushes + 1
        changes = it.flush(moment(now_ms))
        assert len(changes.commands.keys) < 1_000
        store.carry_out(changes)
        assert flushes < 1_000
    assert flushes > 2 * 8_192 / 512
    assert asyncio.run(timeline(client, KEYS, first)) == []
    kept = [key for key in store.keys if ":t:" in key and store.keys[key]]
    assert len(kept) == view(store, "timeline", TimelineView).records == 2
    assert asyncio.run(timeline(client, KEYS, txid(5)))


def test_more_than_its_memory_is_never_kept() -> None:
    it, store, world = fold(memory=1), Hashes(), World()
    for _ in range(20_000):
        tx = world.fresh()
        world.add(tx)
        world.drop(tx, "evicted")
    for at in range(0, len(world.txs), 1_000):
        for time_ms, event in world.txs[at : at + 1_000]:
            it.dated(time_ms)
            it.apply(event)
        store.carry_out(it.flush(moment(world.now_ms)))
        assert it._chapters.total < 1_100_000
    while it.due_ms(moment(world.now_ms)) is not None:
        store.carry_out(it.flush(moment(world.now_ms + 60_000)))
    shown: TimelineView = view(store, "timeline", TimelineView)
    assert shown.records < 20_000
    assert shown.since_ms < shown.oldest_ms
    assert sum(len(one) for key, one in store.keys.items() if ":t:" in key) == shown.records

"""How long a feerate took: what is counted is what happened, once, in whatever batches it is folded."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections import Counter
from typing import Any, cast

import msgspec
import pytest

from explorer.timeline import waits
from explorer.timeline.records import UNCOUNTED, UNKNOWN, Waiting, pack_waiting, unpack_waiting
from explorer.timeline.waits import BOUNDS, DAY_MS, DAYS, FEWEST, band_of
from shared import layouts
from shared.bands import FEERATE_BOUNDS
from shared.domains import TIMELINE
from shared.errors import UnknownLayout
from shared.events.base import Event
from shared.events.mempool import MempoolReset, TxAdded, TxRemoved
from shared.explorer_views import WaitBand, WaitsView
from support.timelines import KEYS, START_MS, Hashes, World, added, block_hash, fold, folded, moment, synced, txid

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


def paying(tx: str, time_ms: int, rate: float, **more: Any) -> TxAdded:
    fee = round(200 * rate)
    return added(tx, time_ms, **({"fee": fee, "ancestor_fee": fee} | more))


def mined(tx: str, block: int = 1) -> TxRemoved:
    return TxRemoved(txid=tx, reason="block", block=block_hash(block))


class Story:
    """A fold that is told one event after the other, each at its moment."""

    def __init__(self, *, restarts: bool = False) -> None:
        self.it = fold()
        self.store = Hashes()
        self._restarts = restarts

    def tell(self, time_ms: int, *events: Event) -> None:
        self.it.dated(time_ms)
        for event in events:
            self.it.apply(event)
        if self._restarts:
            self.flush(time_ms)
            self.it = fold()
            asyncio.run(self.it.restore(cast(Any, self.store)))

    def flush(self, time_ms: int) -> None:
        self.store.carry_out(self.it.flush(moment(time_ms)))

    def view(self) -> WaitsView:
        self.it.write_all()
        self.flush(self.it.meta.newest_ms)
        return msgspec.json.decode(self.store.keys[KEYS.views(TIMELINE)][b"waits"], type=WaitsView)

    def band(self, rate: float) -> WaitBand:
        return self.view().bands[band_of(rate)]


def counted(one: WaitBand) -> tuple[int, int, int, int, int]:
    return one.mined, one.replaced, one.lifted, one.dropped, one.waiting


def counts(store: Hashes) -> dict[tuple[int, int], list[int]]:
    """What is stored: day and band -> counts."""
    raw = store.keys.get(KEYS.timeline_waits, {})
    days = {name: value for name, value in raw.items() if name[:1].isdigit()}
    split = {tuple(map(int, name.split(b":"))): list(waits._COUNTS.unpack(value)) for name, value in days.items()}
    return cast("dict[tuple[int, int], list[int]]", split)


def test_median_and_nine_of_ten_are_those_of_the_waits() -> None:
    story, rng = Story(), random.Random(1)
    seconds = [rng.lognormvariate(7, 1.2) for _ in range(2_000)]
    ends = []
    for number, wait in enumerate(seconds):
        seen_ms = START_MS + 500 * number
        ends.append((seen_ms + round(wait * 1_000), txid(number + 1)))
        story.tell(seen_ms, paying(txid(number + 1), seen_ms, rng.uniform(2.0, 2.99)))
    for end_ms, tx in sorted(ends):
        story.tell(end_ms, mined(tx))
    found = story.band(2.5)
    assert (found.from_rate, found.to_rate) == (2.0, 3.0)
    assert counted(found) == (2_000, 0, 0, 0, 0)
    assert found.share == 1.0
    assert found.median == pytest.approx(statistics.median(seconds), rel=0.05)
    assert found.p90 == pytest.approx(statistics.quantiles(seconds, n=10)[-1], rel=0.08)
    assert sum(one.mined for one in story.view().bands) == 2_000


def test_too_few_tell_no_time_and_what_still_waits_longer_is_told() -> None:
    story = Story()
    for number in range(1, 31):
        story.tell(START_MS, paying(txid(number), START_MS, 5.5))
    for number in range(1, FEWEST):
        story.tell(START_MS + number * MINUTE, mined(txid(number)))
    found = story.band(5.5)
    assert counted(found) == (FEWEST - 1, 0, 0, 0, 12 - 1)
    assert (found.median, found.p90, found.share, found.longer) == (None, None, None, None)
    story.tell(START_MS + FEWEST * MINUTE, mined(txid(FEWEST)))
    found = story.band(5.5)
    assert found.median is not None
    assert found.p90 is not None
    assert 8 * MINUTE < found.median * SECOND < 12 * MINUTE
    assert 15 * MINUTE < found.p90 * SECOND < 20 * MINUTE
    assert (found.share, found.waiting, found.longer) == (1.0, 10, 10)
    story.tell(START_MS + 21 * MINUTE, paying(txid(99), START_MS + 21 * MINUTE, 5.5))
    found = story.band(5.5)
    assert (found.waiting, found.longer) == (11, 10), "what has just come has not waited longer"


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [("replaced", (0, 1, 0, 0, 0)), ("evicted", (0, 0, 0, 1, 0)), ("expired", (0, 0, 0, 1, 0)),
     ("conflict", (0, 0, 0, 1, 0)), ("unknown", (0, 0, 0, 0, 0)), ("block", (1, 0, 0, 0, 0))],
)  # fmt: skip
def test_what_left_otherwise_is_told_apart_and_what_is_not_known_counts_nowhere(
    reason: Any, wanted: tuple[int, ...]
) -> None:
    story, by = Story(), {"replaced": txid(2)}.get(reason)
    block = block_hash(1) if reason in ("block", "conflict") else None
    story.tell(START_MS, paying(txid(1), START_MS, 5.5))
    story.tell(START_MS + MINUTE, TxRemoved(txid=txid(1), reason=reason, replaced_by=by, block=block))
    assert counted(story.band(5.5)) == wanted


def test_share_is_that_of_all_which_left() -> None:
    story = Story()
    for number in range(1, 41):
        story.tell(START_MS, paying(txid(number), START_MS, 5.5))
    for number in range(1, 41):
        end = mined(txid(number)) if number <= 30 else TxRemoved(txid=txid(number), reason="evicted")
        story.tell(START_MS + HOUR, end)
    assert story.band(5.5).share == 0.75


def test_what_was_there_before_anybody_looked_does_not_count() -> None:
    story = Story()
    story.tell(START_MS, paying(txid(1), START_MS, 5.5, time=START_MS // 1000 - 7_200))
    story.tell(START_MS + MINUTE, mined(txid(1)))
    assert counted(story.band(5.5)) == (0, 0, 0, 0, 0)


def test_what_parents_pull_down_does_not_count() -> None:
    story = Story()
    story.tell(START_MS, paying(txid(1), START_MS, 1.0))
    child = paying(txid(2), START_MS, 20.0, parents=[txid(1)], ancestor_fee=600, ancestor_vsize=400)
    story.tell(START_MS, child)
    story.tell(START_MS + MINUTE, mined(txid(1)), mined(txid(2)))
    assert [sum(counted(one)) for one in story.view().bands if one.from_rate != 1.0] == [0] * (len(FEERATE_BOUNDS) - 1)
    assert counted(story.band(1.0)) == (0, 0, 1, 0, 0), "the parent is lifted"


def child_of(parents: list[str], number: int, rate: float, together: float) -> TxAdded:
    size = 200 * (len(parents) + 1)
    return paying(
        txid(number), START_MS, rate, parents=parents, ancestor_vsize=size, ancestor_fee=round(size * together)
    )


@pytest.mark.parametrize("restarts", [False, True])
def test_what_a_child_lifts_counts_as_lifted_once_and_its_wait_not(restarts: bool) -> None:
    story = Story(restarts=restarts)
    story.tell(START_MS, paying(txid(1), START_MS, 2.0), child_of([txid(1)], 2, 2.0, 2.0))
    assert counted(story.band(2.0)) == (0, 0, 0, 0, 2)
    story.tell(START_MS + 1, child_of([txid(2)], 3, 2.4, 2.2))
    assert counted(story.band(2.0)) == (0, 0, 0, 0, 3), "it stays within its band"
    story.tell(START_MS + 2, child_of([txid(3)], 4, 9.0, 4.5))
    assert counted(story.band(2.0)) == (0, 0, 3, 0, 0), "the grandparents too"
    story.tell(START_MS + 3, child_of([txid(4)], 5, 40.0, 20.0))
    story.tell(START_MS + MINUTE, *[mined(txid(number)) for number in range(1, 6)])
    assert counted(story.band(2.0)) == (0, 0, 3, 0, 0)


def test_a_parent_that_is_told_after_its_child_is_lifted_all_the_same() -> None:
    story = Story()
    story.tell(START_MS, child_of([txid(1)], 2, 9.0, 4.5))
    story.tell(START_MS, paying(txid(1), START_MS, 2.0))
    story.tell(START_MS + MINUTE, mined(txid(1)), mined(txid(2)))
    assert counted(story.band(2.0)) == (0, 0, 1, 0, 0)


def test_what_a_child_lifts_is_lifted_beyond_a_parent_that_is_told_last() -> None:
    story = Story()
    story.tell(START_MS, paying(txid(1), START_MS, 2.0), child_of([txid(2)], 3, 9.0, 4.5))
    story.tell(START_MS, child_of([txid(1)], 2, 2.0, 2.0))
    assert counted(story.band(2.0)) == (0, 0, 2, 0, 0)


def test_mined_disconnected_and_mined_again_counts_once() -> None:
    world = World()
    tx, other = world.fresh(), world.fresh()
    world.add(tx, fee=1_100, ancestor_fee=1_100)
    world.add(other, fee=1_100, ancestor_fee=1_100)
    for _ in range(3):
        world.now_ms += HOUR
        world.mine([tx])
        world.disconnect()
    world.now_ms += HOUR
    world.mine([tx, other])
    for seed in range(5):
        store = folded(world, random.Random(seed), restarts=True)
        assert [sum(some[: len(BOUNDS) + 1]) for some in counts(store).values()] == [2]
        [some] = counts(store).values()
        assert {place for place, one in enumerate(some) if one} == {
            place for place, low in enumerate((0, *BOUNDS)) if low in (low_of(3_600), low_of(4 * 3_600))
        }


def low_of(seconds: int) -> int:
    return max(low for low in (0, *BOUNDS) if low <= seconds)


def oracle(events: list[tuple[int, Event]]) -> Counter[tuple[int, int, str]]:
    """The same, worked out of the whole stream at once: (day, band, what became of it) -> how many."""
    seen: dict[str, tuple[int, int, bool]] = {}  # since when, band, whether it counts
    found: Counter[tuple[int, int, str]] = Counter()
    blocks: list[str] = []
    mined_in: dict[str, set[str]] = {}
    lost: dict[str, tuple[int, int, bool]] = {}
    for time_ms, event in events:
        if isinstance(event, MempoolReset):
            lost, seen = seen, {}
        elif isinstance(event, TxAdded):
            back = any(event.txid in mined_in[block] for block in blocks[-10:])
            own, both = event.fee / event.vsize, event.ancestor_fee / event.ancestor_vsize
            fresh = time_ms, band_of(min(own, both)), not back and band_of(own) <= band_of(both)
            seen[event.txid] = lost.pop(event.txid, fresh)
        elif isinstance(event, TxRemoved):
            since, band, counts_at_all = seen.pop(event.txid)
            if event.block is not None and event.reason == "block":
                if event.block not in mined_in:
                    blocks.append(event.block)
                mined_in.setdefault(event.block, set()).add(event.txid)
            if counts_at_all and event.reason != "unknown":
                what = event.reason if event.reason != "block" else str(low_of((time_ms - since) // 1000))
                found[time_ms // DAY_MS, band, what] += 1
    return found


def as_oracle(store: Hashes) -> Counter[tuple[int, int, str]]:
    found: Counter[tuple[int, int, str]] = Counter()
    for (day, band), some in counts(store).items():
        for low, number in zip((0, *BOUNDS), some, strict=False):
            found[day, band, str(low)] += number
        found[day, band, "replaced"] += some[waits.REPLACED]
        found[day, band, "dropped"] += some[waits.DROPPED]
    return +found


def merged(found: Counter[tuple[int, int, str]]) -> Counter[tuple[int, int, str]]:
    again: Counter[tuple[int, int, str]] = Counter()
    for (day, band, what), number in found.items():
        again[day, band, "dropped" if what in ("evicted", "expired", "conflict") else what] += number
    return again


def long_world(seed: int) -> World:
    """Some hundred transactions of every fate and of several feerates, over days."""
    world, rng = World(), random.Random(seed)
    depth = 0
    for _ in range(300):
        world.now_ms += rng.randrange(40 * MINUTE)
        fee = rng.choice([400, 500, 1_100, 4_200])
        world.add(world.fresh(), fee=fee, ancestor_fee=rng.choice([fee, fee, fee // 3]))
        pool, fate = list(world.pool), rng.random()
        if fate < 0.15:
            world.replace(rng.sample(pool, min(2, len(pool))))
        elif fate < 0.25:
            world.drop(rng.choice(pool), rng.choice(["evicted", "expired", "unknown"]))
        elif fate < 0.37:
            some = rng.sample(pool, len(pool) // 2)
            world.mine(some[2:], some[:1], block_first=rng.random() < 0.5)
            depth = 0
        elif fate < 0.43 and world.chain and depth < 4:
            world.disconnect()
            depth += 1
        elif fate < 0.45:
            world.reset(rng.sample(pool, min(2, len(pool))))
    world.sync()
    return world


@pytest.mark.parametrize("seed", range(2))
def test_any_batches_and_restarts_count_the_same(seed: int) -> None:
    world = long_world(seed)
    wanted = merged(oracle(world.txs))
    assert len(wanted) > 20
    days = {day for day, _, _ in wanted}
    wanted = Counter({key: number for key, number in wanted.items() if key[0] in sorted(days)[-DAYS:]})
    for store in (
        folded(world),
        folded(world, random.Random(seed)),
        folded(world, random.Random(seed), restarts=True),
    ):
        assert as_oracle(store) == wanted
        assert store.keys[KEYS.timeline_waits] == folded(world).keys[KEYS.timeline_waits]


def test_folded_again_from_the_start_nothing_counts_twice() -> None:
    world = long_world(9)
    store = folded(world)
    before = dict(store.keys[KEYS.timeline_waits])
    store.keys.pop(KEYS.timeline_waiting)
    it, client = fold(), cast(Any, store)
    with pytest.raises(ValueError, match="wait"):
        asyncio.run(it.restore(client))
    it.reset()
    for time_ms, event in [*world.txs, *world.blocks]:
        it.dated(time_ms)
        it.apply(event)
    store.carry_out(it.flush(moment(world.now_ms)))
    assert store.keys[KEYS.timeline_waits] == before


def test_the_newest_eight_days_are_kept_and_shown() -> None:
    story = Story()
    start = START_MS // DAY_MS * DAY_MS
    for day in range(12):
        now_ms = start + day * DAY_MS + HOUR
        story.tell(now_ms, paying(txid(day + 1), now_ms, 5.5))
        story.tell(now_ms + MINUTE, mined(txid(day + 1), day))
        story.flush(now_ms + MINUTE)
    view = story.view()
    assert view.bands[band_of(5.5)].mined == DAYS
    assert view.since_ms == start + 4 * DAY_MS
    assert view.recorded_ms == start + HOUR
    assert {day for day, _ in counts(story.store)} == {start // DAY_MS + day for day in range(4, 12)}
    assert len([name for name in story.store.keys[KEYS.timeline_waits] if name.startswith(b"mined:")]) == 10
    later = start + 15 * DAY_MS
    story.tell(later, synced(0))
    view = story.view()
    assert (view.bands[band_of(5.5)].mined, view.since_ms) == (4, start + 8 * DAY_MS)


def test_state_of_before_is_read_on_and_its_transactions_do_not_count() -> None:
    story = Story()
    story.tell(START_MS, paying(txid(1), START_MS, 5.5), paying(txid(2), START_MS, 5.5, parents=[txid(1)]))
    story.flush(START_MS)
    store, there = story.store, story.store.keys[KEYS.timeline_waiting]
    for name, raw in there.items():
        there[name] = raw[:16] + raw[17:]  # as layout 1 has it
    store.keys.pop(KEYS.timeline_waits)
    store.keys[KEYS.checkpoint(TIMELINE)][layouts.LAYOUT.encode()] = b"1"
    again, client = fold(), cast(Any, store)
    asyncio.run(again.restore(client))
    story.it = again
    story.flush(START_MS)
    assert store.keys[KEYS.checkpoint(TIMELINE)][layouts.LAYOUT.encode()] == b"2"
    there = store.keys[KEYS.timeline_waiting]
    assert {len(raw) % 32 for raw in there.values()} == {17}, "written in the new form at once"
    parents = unpack_waiting(there[bytes.fromhex(txid(2))]).parents
    assert parents == (bytes.fromhex(txid(1)),)
    story.tell(START_MS + MINUTE, mined(txid(1)), mined(txid(2)), paying(txid(3), START_MS + MINUTE, 5.5))
    story.tell(START_MS + HOUR, mined(txid(3), 2))
    assert counted(story.band(5.5)) == (1, 0, 0, 0, 0)
    assert story.view().recorded_ms == START_MS + MINUTE
    store.keys[KEYS.checkpoint(TIMELINE)][layouts.LAYOUT.encode()] = b"3"
    with pytest.raises(UnknownLayout):
        asyncio.run(fold().restore(client))


@pytest.mark.parametrize("band", [0, 12, len(FEERATE_BOUNDS) - 1, 12 | UNCOUNTED, UNCOUNTED | UNKNOWN])
@pytest.mark.parametrize("parents", [(), (b"p" * 32,), (b"p" * 32, b"q" * 32)])
def test_what_waits_is_packed_and_read_again(band: int, parents: tuple[bytes, ...]) -> None:
    waiting = Waiting(7, START_MS, 5, parents, band)
    assert unpack_waiting(pack_waiting(waiting)) == waiting
    with pytest.raises(ValueError, match="no transaction that waits"):
        unpack_waiting(pack_waiting(waiting) + b"x" * 5)

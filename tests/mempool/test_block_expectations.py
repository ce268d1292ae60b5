"""What was expected in a block, held against it: the same record whatever the batches, restarts and reorganisations."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from mempool.expectations import FRESH_SECONDS
from mempool.fold import MempoolFold
from mempool.projection import BLOCK_VSIZE
from shared import domains, expected, redis
from shared.events.base import Event
from shared.events.mempool import MempoolBlock, MempoolReset, MempoolSynced, TxAdded, TxRemoved
from shared.expected import LISTED, START, TXID, Comparison, Recorded
from shared.keys import EXPECTED_KEEP, Keys
from support.folding import Committer, at

KEYS = Keys("regtest")
NOW = 1_700_000_000
AHEAD = 7
"""Seconds that the node's clock is ahead of Redis'."""


def txid(number: int) -> str:
    return random.Random(number).randbytes(32).hex()


def block(number: int) -> str:
    return f"{number + 1:064x}"


@dataclass
class Told:
    """A mempool as chain-ingest tells it: entries, each with its moment."""

    now_ms: int = NOW * 1000
    entries: list[tuple[int, Event]] = field(default_factory=list)
    waiting: dict[str, TxAdded] = field(default_factory=dict)

    def tell(self, event: Event) -> None:
        self.now_ms += 10
        self.entries.append((self.now_ms, event))

    def add(
        self, number: int, *, rate: float = 5.0, vsize: int = 200, age: int = 600, parents: Sequence[str] = ()
    ) -> str:
        event = TxAdded(
            txid=txid(number), vsize=vsize, weight=4 * vsize, size=vsize, fee=round(rate * vsize), value=1,
            time=self.now_ms // 1000 + AHEAD - age, parents=list(parents), children=[], ancestor_fee=1,
            ancestor_vsize=1, replaceable=True,
        )  # fmt: skip
        self.waiting[event.txid] = event
        self.tell(event)
        return event.txid

    def again(self, txid: str, event: TxAdded) -> None:
        """It is back, as the node tells it then."""
        event = msgspec.structs.replace(
            event,
            parents=[one for one in event.parents if one in self.waiting],
            children=[one for one, other in self.waiting.items() if txid in other.parents],
        )
        self.waiting[txid] = event
        self.tell(event)

    def remove(self, txid: str, **more: str) -> TxAdded:
        self.tell(TxRemoved(txid=txid, **more))  # type: ignore[arg-type]  # a reason
        return self.waiting.pop(txid)

    def sync(self) -> None:
        sums = [sum(getattr(one, name) for one in self.waiting.values()) for name in ("vsize", "fee")]
        self.tell(
            MempoolSynced(
                mempool_sequence=1, tx_count=len(self.waiting), vsize=sums[0], total_fee=sums[1], min_fee_rate=1.0,
                usage=1, max_usage=2, time_ms=self.now_ms, node_time_ms=self.now_ms + AHEAD * 1000,
            )
        )  # fmt: skip

    def begin(self, name: str, confirmed: Sequence[str], unseen: int | None = 0) -> None:
        starts = None if unseen is None else [txid(10**6 + one)[:12] for one in range(unseen)]
        self.tell(
            MempoolBlock(block=name, tx_count=1 + len(confirmed) + (unseen or 0), waiting=len(confirmed), unseen=starts)
        )

    def mine(self, name: str, confirmed: Sequence[str], unseen: int | None = 0) -> dict[str, TxAdded]:
        self.begin(name, confirmed, unseen)
        return {one: self.remove(one, reason="block", block=name) for one in confirmed}


class Folded:
    """The entries, folded in batches, with a new process where it is asked for."""

    def __init__(self, client: redis.Client) -> None:
        self.client = client
        self.committer = Committer(client, KEYS.checkpoint(domains.MEMPOOL))
        self.fold = MempoolFold(KEYS)

    async def restart(self) -> None:
        self.fold = MempoolFold(KEYS)
        await self.fold.restore(self.client)

    async def fold_all(self, batches: Iterator[list[tuple[int, Event]]], restarts: random.Random | None = None) -> None:
        for batch in batches:
            if restarts and restarts.random() < 0.5:
                await self.restart()
                for entry in batch[: restarts.randrange(len(batch))]:  # folded, and killed before the commit
                    self.apply(*entry)
                await self.restart()
            for entry in batch:
                self.apply(*entry)
            await self.committer.commit(self.fold.flush(at(batch[-1][0])))

    def apply(self, time_ms: int, event: Event) -> None:
        self.fold.dated(time_ms)
        self.fold.apply(event)

    async def stored(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = await self.client.hgetall(KEYS.mempool_expected)
        assert len(found) == self.fold.expected_fields
        return found


def batches(entries: list[tuple[int, Event]], chance: random.Random | None = None) -> Iterator[list[tuple[int, Event]]]:
    """All at once, or in parts of any size."""
    start = 0
    while start < len(entries):
        size = len(entries) if chance is None else chance.randint(1, 60)
        yield entries[start : start + size]
        start += size


async def recorded(client: redis.Client, told: Told, name: str) -> Recorded:
    """What is recorded of a block after all of it."""
    folded = Folded(client)
    await folded.fold_all(batches(told.entries))
    found = (await expected.read(client, KEYS, name)).recorded
    assert found is not None
    return found


async def compared(client: redis.Client, told: Told, name: str) -> Comparison:
    found = (await recorded(client, told, name)).comparison
    assert found is not None
    return found


def txids(joined: bytes) -> list[str]:
    return [one.hex() for one in expected.split(joined, TXID)]


def starts(joined: bytes) -> list[str]:
    return [one.hex() for one in expected.split(joined, START)]


async def test_expected_missing_added_unseen_and_fresh_are_told_apart(client: redis.Client) -> None:
    told = Told()
    high = [told.add(number, rate=50 + number) for number in range(6)]
    big = told.add(10, rate=20, vsize=BLOCK_VSIZE - 6 * 200 - 1_000)  # fills the rest
    low = [told.add(20 + number, rate=1 + number) for number in range(3)]
    new = told.add(30, rate=90, age=FRESH_SECONDS - 1, vsize=100)
    old = told.add(31, rate=91, age=FRESH_SECONDS + 1, vsize=100)
    told.sync()
    told.mine(block(0), [high[0], high[1], low[2], high[4], low[0]], unseen=2)
    began_ms = next(time_ms for time_ms, event in told.entries if isinstance(event, MempoolBlock))
    found = await recorded(client, told, block(0))
    assert found.at_ms == began_ms
    held = found.comparison
    assert held is not None
    # the two that came last push out the big one, and what follows it
    assert (held.matched, txids(held.fresh), held.fresh_count) == (3, [new], 1)
    assert (txids(held.missing), held.missing_count) == ([old, high[5], high[3], high[2]], 4)
    assert (starts(held.added), held.added_count) == ([low[2][:12], low[0][:12]], 2)
    assert (starts(held.unseen), held.unseen_count) == ([txid(10**6)[:12], txid(10**6 + 1)[:12]], 2)
    assert big not in txids(held.missing)


async def test_a_child_that_pays_for_its_parent_is_expected_with_it(client: redis.Client) -> None:
    told = Told()
    parent = told.add(1, rate=0.1)
    child = told.add(2, rate=100, parents=[parent])
    told.add(3, rate=20, vsize=BLOCK_VSIZE - 1_000 - 400)
    told.add(4, rate=10)
    told.sync()
    told.mine(block(0), [])
    held = await compared(client, told, block(0))
    assert txids(held.missing) == [*sorted([parent, child]), txid(3)]


async def test_lists_are_cut_and_counts_are_not(client: redis.Client) -> None:
    told = Told()
    all_of_them = [told.add(number, rate=1 + number % 7, vsize=150) for number in range(500)]
    told.sync()
    told.mine(block(0), all_of_them[:200])
    held = await compared(client, told, block(0))
    assert (held.matched, held.missing_count, len(txids(held.missing))) == (200, 300, LISTED)
    rates = {one: 1 + number % 7 for number, one in enumerate(all_of_them)}
    shown = [rates[one] for one in txids(held.missing)]
    assert shown == sorted((rates[one] for one in all_of_them[200:]), reverse=True)[:LISTED]


async def test_an_empty_block_is_recorded_and_so_is_one_that_nothing_was_expected_in(client: redis.Client) -> None:
    told = Told()
    told.sync()
    told.mine(block(0), [], unseen=3)
    told.add(1)
    told.sync()
    told.mine(block(1), [])
    folded = Folded(client)
    await folded.fold_all(batches(told.entries))
    nothing, empty = [(await expected.read(client, KEYS, block(number))).recorded for number in range(2)]
    assert nothing
    assert empty
    assert nothing.comparison
    assert empty.comparison
    assert (nothing.comparison.matched, nothing.comparison.missing_count, nothing.comparison.unseen_count) == (0, 0, 3)
    assert (empty.comparison.matched, empty.comparison.missing_count) == (0, 1)


@pytest.mark.parametrize(
    "how", ["not compared", "after a reset", "long ago", "missed", "cut off", "goes on with more", "does not add up"]
)
async def test_what_is_not_whole_has_no_figures(client: redis.Client, how: str) -> None:
    told = Told()
    some = [told.add(number) for number in range(5)]
    if how != "not compared":
        told.sync()
    if how == "after a reset":
        told.tell(MempoolReset(cause="test", node="main"))
        told.waiting.clear()
        some = [told.add(number) for number in range(5)]
    if how == "long ago":
        told.now_ms += 61_000
    if how == "cut off":
        told.begin(block(0), some[:3])
        told.remove(some[0], reason="block", block=block(0))
        told.remove(some[1], reason="unknown")
        told.add(99)
    elif how == "goes on with more":
        told.begin(block(0), some[:2])
        told.remove(some[0], reason="block", block=block(0))
        told.mine(block(0), some[1:4])
    elif how == "does not add up":
        told.tell(MempoolBlock(block=block(0), tx_count=9, waiting=3, unseen=[]))
        for one in some[:3]:
            told.remove(one, reason="block", block=block(0))
    else:
        told.mine(block(0), some[:3], unseen=None if how == "missed" else 0)
    assert (await recorded(client, told, block(0))).comparison is None


async def test_a_reset_in_the_middle_of_a_block_ends_its_record(client: redis.Client) -> None:
    told = Told()
    some = [told.add(number) for number in range(5)]
    told.sync()
    told.begin(block(0), some)
    told.remove(some[0], reason="block", block=block(0))
    told.tell(MempoolReset(cause="test", node="main"))
    assert (await recorded(client, told, block(0))).comparison is None


async def test_what_the_producer_goes_on_with_after_it_was_killed_is_one_record(client: redis.Client) -> None:
    told = Told()
    some = [told.add(number) for number in range(6)]
    told.sync()
    told.begin(block(0), some[:4], unseen=1)
    told.remove(some[0], reason="block", block=block(0))
    told.mine(block(0), some[1:4], unseen=None)  # it cannot know what is unseen any more
    held = await compared(client, told, block(0))
    assert (held.matched, held.missing_count, held.unseen_count) == (4, 2, 1)


async def test_a_conflict_was_waiting_when_the_block_came(client: redis.Client) -> None:
    told = Told()
    some = [told.add(number) for number in range(3)]
    told.sync()
    told.begin(block(0), some[:2])
    told.remove(some[2], reason="conflict", block=block(0))
    for one in some[:2]:
        told.remove(one, reason="block", block=block(0))
    held = await compared(client, told, block(0))
    assert (held.matched, txids(held.missing)) == (2, [some[2]])


async def test_what_was_recorded_first_stays_when_a_block_comes_back(client: redis.Client) -> None:
    told = Told()
    some = [told.add(number) for number in range(8)]
    told.sync()
    gone = told.mine(block(0), some[:4], unseen=2)
    for one, event in gone.items():
        told.again(one, event)
    told.sync()
    told.mine(block(1), some[:7])  # another at its height
    told.sync()
    for one, event in gone.items():
        told.again(one, event)
    told.sync()
    told.mine(block(0), some[:4])
    held = await compared(client, told, block(0))
    assert (held.matched, held.missing_count, held.unseen_count) == (4, 4, 2)
    other = (await expected.read(client, KEYS, block(1))).recorded
    assert other
    assert other.comparison
    assert (other.comparison.matched, other.comparison.missing_count) == (7, 1)


def a_history(seed: int) -> Told:
    """Blocks, two at once among them, reorganisations, resets, interruptions and what is alike at a block's end."""
    chance = random.Random(seed)
    told = Told()
    number = 0
    blocks = 0
    gone: dict[str, TxAdded] = {}
    for _ in range(14):
        for _ in range(chance.randint(0, 40)):
            parents = chance.sample(list(told.waiting), 1) if told.waiting and chance.random() < 0.2 else []
            # a few feerates and sizes only: many chunks are alike where the projection ends
            told.add(
                number, rate=chance.choice([2, 5, 9]), vsize=chance.choice([9_000, 40_000]), parents=parents,
                age=chance.choice([10, 179, 181, 900]),
            )  # fmt: skip
            number += 1
        told.now_ms += chance.choice([500, 5_000, 70_000])
        if chance.random() < 0.8:
            told.sync()
        if chance.random() < 0.1:
            told.tell(MempoolReset(cause="test", node="main"))
            before, told.waiting = told.waiting, {}
            for one, event in before.items():
                told.again(one, event)
            told.sync()
        for _ in range(chance.choice([0, 1, 1, 2])):
            confirmed = chance.sample(list(told.waiting), chance.randint(0, len(told.waiting)))
            unseen = chance.choice([0, 3, None])
            if chance.random() < 0.15:
                told.begin(block(blocks), confirmed, unseen)
                for one in confirmed[: len(confirmed) // 2]:
                    told.remove(one, reason="block", block=block(blocks))
            else:
                gone = told.mine(block(blocks), confirmed, unseen)
            blocks += 1
        if chance.random() < 0.3:
            for one, event in gone.items():
                told.again(one, event)
            gone = {}
    return told


@pytest.mark.parametrize("seed", range(12))
async def test_any_batches_and_restarts_leave_the_same_records(client: redis.Client, seed: int) -> None:
    told = a_history(seed)
    folded = Folded(client)
    await folded.fold_all(batches(told.entries))
    once = await folded.stored()
    assert len(once) > 5
    assert any(b'"comparison":{' in one for one in once.values())
    await client.flushall()
    chance = random.Random(seed + 100)
    again = Folded(client)
    await again.fold_all(batches(told.entries, chance), chance)
    assert await again.stored() == once


async def test_the_newest_blocks_are_kept_over_restarts_and_what_is_lost_is_written_anew(client: redis.Client) -> None:
    told = Told()
    for number in range(EXPECTED_KEEP + 5):
        if number % 500 == 0:
            told.sync()
        told.mine(block(number), [])
    folded = Folded(client)
    await folded.fold_all(batches(told.entries))
    before = await folded.stored()
    assert len(before) == EXPECTED_KEEP + 1
    assert bytes.fromhex(block(4)) not in before
    assert bytes.fromhex(block(5)) in before
    await folded.restart()
    told.entries.clear()
    told.mine(block(10**6), [])
    await folded.fold_all(batches(told.entries))
    after = await folded.stored()
    assert after.keys() ^ before.keys() == {bytes.fromhex(block(5)), bytes.fromhex(block(10**6))}
    await client.delete(KEYS.mempool_expected)
    folded.fold.doubt_expected()
    await folded.committer.commit(folded.fold.flush(at(told.now_ms)))
    assert await folded.stored() == after


async def test_an_entry_of_another_layout_is_not_read(client: redis.Client) -> None:
    await client.hset(KEYS.mempool_expected, bytes.fromhex(block(0)), b'{"layout":2,"at_ms":1,"comparison":null}')
    await client.hset(KEYS.mempool_expected, bytes.fromhex(block(1)), b"damaged")
    assert [(await expected.read(client, KEYS, block(number))).recorded for number in range(2)] == [None, None]
    folded = Folded(client)
    await folded.restart()
    assert folded.fold.expected_fields == 0


@pytest.mark.parametrize("seed", range(4))
def test_what_is_expected_is_the_first_projected_block(seed: int) -> None:
    chance = random.Random(seed)
    told = Told()
    for number in range(chance.choice([30, 3_000])):
        parents = chance.sample(list(told.waiting), 1) if told.waiting and chance.random() < 0.3 else []
        told.add(number, rate=chance.uniform(0, 30), vsize=chance.randint(200, 4_000), parents=parents)
    told.sync()
    fold = MempoolFold(KEYS)
    for _, event in told.entries:
        fold.apply(event)
    synced = told.entries[-1][1]
    assert isinstance(synced, MempoolSynced)
    _, fees, _ = fold._picture.views(synced, told.now_ms)
    first = fees.projected_blocks[0]
    found = fold._picture.expected()
    sums = [sum(getattr(told.waiting[one.hex()], name) for one in found) for name in ("vsize", "fee")]
    assert (len(found), *sums) == (first.tx_count, first.vsize, first.total_fees)

"""Flow and congestion: each transaction counts once, whatever is told again, and the past outlives every failure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
import pytest

from mempool import departed
from mempool.fold import UPDATE_MS, MempoolFold
from shared import domains, redis
from shared.errors import StreamGap
from shared.events.base import Event
from shared.events.mempool import MempoolReset, MempoolSynced, RemovalReason, TxAdded, TxRemoved
from shared.fold import Changes
from shared.keys import Keys
from shared.records import Congestion, Flow
from shared.series import (
    CONGESTION_HOURS,
    CONGESTION_MINUTES,
    FLOW_10S,
    FLOW_HOURS,
    FLOW_MINUTES,
    MEMPOOL_SERIES,
    Series,
    read,
    segments_of,
)  # fmt: skip
from shared.views import FeesView, MempoolView
from support.folding import Committer, at, commands, views

R = TypeVar("R")

KEYS = Keys("regtest")
HOUR = 3_600
NOW = 1_700_000_000 // HOUR * HOUR + 1_800  # the middle of an hour
FLOWS = (FLOW_10S, FLOW_MINUTES, FLOW_HOURS)


def added(number: int, time: int) -> TxAdded:
    return TxAdded(
        txid=f"{number:064x}", vsize=200 + number, weight=800, size=200, fee=1_000 + number, value=10**12 + number,
        time=time, parents=[], children=[], ancestor_fee=1, ancestor_vsize=1, replaceable=True,
    )  # fmt: skip


def total(events: Iterable[TxAdded]) -> Flow:
    """What these transactions add up to."""
    one = [(1, event.vsize, event.value, event.fee) for event in events]
    return Flow._make(sum(column) for column in zip(*one, strict=True)) if one else Flow(0, 0, 0, 0)


async def stored(client: redis.Client, series: Series[R]) -> list[tuple[int, R]]:
    """All records of a series."""
    return await read(client, KEYS, series, series.index(NOW - 10**6), series.index(NOW + 10**7))


class Mempool:
    """A fold with what it takes to tell it of a mempool and to commit what it says."""

    def __init__(self, client: redis.Client) -> None:
        self.client = client
        self.fold = MempoolFold(KEYS)
        self.fold.reset()  # as the consumer does for an empty stream
        self.committer = Committer(client, KEYS.checkpoint(domains.MEMPOOL))
        self.now = NOW
        self.present: dict[str, TxAdded] = {}

    def tell(self, *events: Event) -> None:
        for event in events:
            self.fold.apply(event)
            if isinstance(event, TxAdded):
                self.present[event.txid] = event
            elif isinstance(event, TxRemoved):
                del self.present[event.txid]
            elif isinstance(event, MempoolReset):
                self.present = {}

    def leave(self, *events: TxAdded, reason: RemovalReason = "block") -> None:
        self.tell(*(TxRemoved(txid=event.txid, reason=reason) for event in events))

    def begin_anew(self) -> None:
        self.tell(MempoolReset(cause="test", node="main"))

    def sync(self, now: int | None = None) -> None:
        count, vsize, _, fee = total(self.present.values())
        event = MempoolSynced(
            mempool_sequence=1, tx_count=count, vsize=vsize, total_fee=fee, min_fee_rate=1.25, usage=1, max_usage=2,
            time_ms=(self.now if now is None else now) * 1000,
        )  # fmt: skip
        self.tell(event)

    async def commit(self) -> Changes:
        changes = self.fold.flush(at(self.now * 1000))
        await self.committer.commit(changes)
        return changes

    async def restart(self) -> None:
        """As after `kill -9`: what was committed is all there is."""
        self.fold = MempoolFold(KEYS)
        await self.fold.restore(self.client)

    async def flow(self, series: Series[Flow]) -> dict[int, Flow]:
        """The records by the start of their span."""
        return {index * series.step: flow for index, flow in await stored(self.client, series)}

    async def counted(self) -> Flow:
        """The sum of all flow, which every resolution must agree on."""
        sums = []
        for series in FLOWS:
            records = (await self.flow(series)).values()
            sums.append(Flow._make(map(sum, zip(*records, strict=True))) if records else Flow(0, 0, 0, 0))
        assert sums[0] == sums[1] == sums[2]
        return sums[0]

    async def congestion(self, series: Series[Congestion]) -> dict[int, Congestion]:
        return {index * series.step: record for index, record in await stored(self.client, series)}


@pytest.fixture
async def mempool(client: redis.Client) -> Mempool:
    """A mempool that was empty when it was first compared."""
    made = Mempool(client)
    made.begin_anew()
    made.sync()
    await made.commit()
    return made


# --- flow --------------------------------------------------------------------------------------------------


async def test_each_transaction_counts_in_the_span_of_its_acceptance(mempool: Mempool) -> None:
    first, second, third, fourth = (added(place, NOW + late) for place, late in enumerate([9, 10, 59, 1_800]))
    mempool.tell(first, second)
    mempool.now = NOW + 59
    await mempool.commit()
    mempool.tell(third)
    await mempool.commit()
    mempool.now = NOW + 1_800
    mempool.tell(fourth)
    await mempool.commit()
    assert await mempool.flow(FLOW_10S) == {
        NOW: total([first]), NOW + 10: total([second]), NOW + 50: total([third]), NOW + 1_800: total([fourth]),
    }  # fmt: skip
    assert await mempool.flow(FLOW_MINUTES) == {NOW: total([first, second, third]), NOW + 1_800: total([fourth])}
    assert await mempool.flow(FLOW_HOURS) == {
        NOW - 1_800: total([first, second, third]),
        NOW + 1_800: total([fourth]),
    }


async def test_what_leaves_again_has_entered_all_the_same(mempool: Mempool) -> None:
    gone = added(1, NOW)
    mempool.tell(gone)
    mempool.leave(gone, reason="replaced")
    await mempool.commit()
    assert await mempool.counted() == total([gone])


async def test_what_was_there_before_is_no_flow(client: redis.Client) -> None:
    mempool = Mempool(client)
    mempool.begin_anew()
    mempool.tell(added(1, NOW - 50_000), added(2, NOW))
    await mempool.commit()
    await mempool.restart()  # in the middle of the first snapshot
    mempool.tell(added(3, NOW - 1))
    await mempool.commit()
    mempool.begin_anew()  # and once more before it was ever complete
    mempool.tell(added(1, NOW - 50_000), added(2, NOW), added(3, NOW - 1), added(4, NOW + 1))
    mempool.sync()
    await mempool.commit()
    assert await mempool.counted() == Flow(0, 0, 0, 0)
    assert not {series.name for series in FLOWS} & set(await segments_of(client, KEYS, "mempool"))
    mempool.tell(new := added(5, NOW + 1))
    await mempool.commit()
    assert await mempool.counted() == total([new])


@pytest.mark.parametrize("kill", [False, True])
async def test_a_mempool_that_is_told_again_counts_only_where_it_is_newer(mempool: Mempool, kill: bool) -> None:
    async def commit() -> None:
        await mempool.commit()
        if kill:
            await mempool.restart()

    old = [added(place, NOW + place) for place in range(20)]
    mempool.tell(*old)
    await commit()
    mempool.leave(old[0])
    await commit()
    for number in (100, 200):  # the second time in the middle of the first
        missed = [added(number + place, NOW + number + place) for place in range(5)]
        mempool.begin_anew()
        await commit()
        mempool.tell(*old[1:11], *missed)
        await commit()
        mempool.tell(*old[11:])
        await commit()
        old += missed
    mempool.sync()
    await commit()
    assert await mempool.counted() == total(old)
    mempool.tell(late := added(300, NOW + 204))  # in the second of the newest, and told after the comparison
    await commit()
    assert await mempool.counted() == total([*old, late])


async def test_a_reset_in_the_middle_of_a_batch(mempool: Mempool) -> None:
    before, after = added(1, NOW), added(2, NOW + 1)
    mempool.tell(before)
    mempool.begin_anew()
    mempool.tell(after, before)
    mempool.sync()
    await mempool.commit()
    assert await mempool.counted() == total([before, after])


@pytest.mark.parametrize("restart", [False, True])
async def test_what_returns_after_a_reorganisation_does_not_count_again(mempool: Mempool, restart: bool) -> None:
    mined = [added(place, NOW) for place in range(10)]
    mempool.tell(*mined)
    mempool.leave(*mined[:5])
    await mempool.commit()
    mempool.leave(*mined[5:])
    await mempool.commit()
    if restart:
        await mempool.restart()
    mempool.tell(*(msgspec.structs.replace(event, time=NOW + 30) for event in mined))  # the node accepts them anew
    mempool.tell(new := added(50, NOW + 30))
    await mempool.commit()
    assert await mempool.counted() == total([*mined, new])
    mempool.begin_anew()  # and they are told again
    mempool.tell(*(msgspec.structs.replace(event, time=NOW + 30) for event in mined))
    await mempool.commit()
    assert await mempool.counted() == total([*mined, new])


async def test_only_the_newest_that_left_are_known(mempool: Mempool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departed, "LEFT_KEEP", 3)
    gone = [added(place, NOW) for place in range(5)]
    mempool.tell(*gone)
    mempool.leave(*gone[:2])
    await mempool.commit()
    mempool.leave(*gone[2:])
    await mempool.commit()
    known = [bytes.fromhex(event.txid) for event in gone[2:]]
    assert await mempool.client.lrange(KEYS.mempool_left, 0, -1) == known
    mempool.tell(gone[2])
    mempool.leave(gone[2])  # the newest now
    mempool.tell(other := added(50, NOW))
    mempool.leave(other)
    await mempool.commit()
    mempool.tell(*(msgspec.structs.replace(event, time=NOW + 1) for event in [*gone, other]))
    await mempool.commit()
    assert await mempool.counted() == total([*gone, other, gone[0], gone[1], gone[3]])


async def test_an_older_transaction_is_no_newcomer(mempool: Mempool) -> None:
    """A node that was restarted has lost its mempool, and reads it from a file with the old times."""
    old = [added(place, NOW + place) for place in range(5)]
    mempool.tell(*old)
    mempool.now = NOW + 5
    mempool.sync()
    await mempool.commit()
    monotone = [added(10, NOW + 4), added(11, NOW + 5)]
    mempool.tell(added(12, NOW + 3), added(13, NOW - 9_000), *monotone)
    await mempool.commit()
    assert await mempool.counted() == total([*old, *monotone])


async def test_a_clock_that_was_ahead_does_not_stop_the_count(mempool: Mempool) -> None:
    odd, *others = [added(1, NOW + HOUR), added(2, NOW + 1), added(3, NOW + 16)]
    mempool.tell(odd, others[0])
    mempool.now = NOW + 15
    mempool.sync()
    mempool.tell(others[1])
    await mempool.commit()
    assert await mempool.counted() == total([odd, *others])


async def test_what_seems_to_come_from_the_future_came_now(mempool: Mempool) -> None:
    mempool.tell(good := added(1, NOW))
    await mempool.commit()
    mempool.tell(odd := added(2, NOW + 100_000), odder := added(3, 2**32 - 1))
    mempool.now = NOW + 30
    mempool.sync()
    await mempool.commit()
    assert await mempool.flow(FLOW_10S) == {NOW: total([good]), NOW + 30: total([odd, odder])}
    mempool.begin_anew()
    mempool.sync()
    mempool.tell(later := added(4, NOW + 40))
    mempool.now = NOW + 40
    await mempool.commit()
    assert await mempool.counted() == total([good, odd, odder, later])


async def test_old_spans_go_at_each_resolution_by_itself(mempool: Mempool) -> None:
    hour, days = 3_600, 40
    for number in range(days * 24 // 3):
        mempool.now = NOW + 3 * number * hour
        mempool.tell(added(number, mempool.now))
        mempool.sync()
        await mempool.commit()
    first = {series.name: min(await mempool.flow(series)) for series in FLOWS}
    kept = {name: (mempool.now - start) // (24 * hour) for name, start in first.items()}
    assert kept == {"flow-10s": 2, "flow-minutes": 32, "flow-hours": days - 1}  # by whole segments
    waited = {
        series.name: (mempool.now - min(await mempool.congestion(series))) // (24 * hour)
        for series in (CONGESTION_MINUTES, CONGESTION_HOURS)
    }
    assert waited == {"congestion-minutes": 8, "congestion-hours": days - 1}


async def test_a_flush_writes_each_series_once(mempool: Mempool) -> None:
    mempool.tell(added(0, NOW))
    await mempool.commit()
    mempool.tell(*(added(place, NOW) for place in range(1, 500)))
    changes = mempool.fold.flush(at(mempool.now * 1000 + UPDATE_MS))
    on_series = [(command, key) for command, key, _ in commands(changes) if ":series" in key]
    assert [command for command, _ in on_series] == ["SETRANGE", "HSET"] * 5
    assert len({key for _, key in on_series}) == len(MEMPOOL_SERIES) + 1
    quiet = mempool.fold.flush(at(mempool.now * 1000 + UPDATE_MS))
    assert not list(commands(quiet))


@pytest.mark.parametrize("seed", range(6))
async def test_any_history_with_failures_anywhere_counts_each_transaction_once(client: redis.Client, seed: int) -> None:
    chance = random.Random(seed)
    mempool = Mempool(client)
    mempool.begin_anew()
    mempool.tell(*(added(place, NOW - place) for place in range(30)))
    mempool.sync()
    await mempool.commit()
    expected: list[TxAdded] = []
    number = 30
    for _ in range(60):
        mempool.now += chance.choice([0, 1, 7, 400])
        batch: list[Callable[[], None]] = []
        staying = list(mempool.present.values())
        gone = chance.sample(staying, min(len(staying), chance.randrange(6)))
        came = [added(number + place, mempool.now) for place in range(chance.randrange(8))]
        number += len(came)
        batch.append(lambda gone=gone: mempool.leave(*gone))  # type: ignore[misc]  # bound now
        batch.append(lambda came=came: mempool.tell(*came))  # type: ignore[misc]
        if gone and chance.random() < 0.3:  # a reorganisation brings some back
            back = [msgspec.structs.replace(event, time=mempool.now) for event in gone[:2]]
            batch.append(lambda back=back: mempool.tell(*back))  # type: ignore[misc]
        if chance.random() < 0.3:
            batch.append(mempool.sync)
        if chance.random() < 0.15:
            batch.append(lambda: again(mempool))
        before = dict(mempool.present)
        if chance.random() < 0.4:  # killed on the way, before or after what was to be committed was made
            for act in batch[: chance.randint(0, len(batch))]:
                act()
            if chance.random() < 0.5:
                mempool.fold.flush(at(mempool.now * 1000))
            await mempool.restart()
            mempool.present = before
        for act in batch:
            act()
        expected += came
        await mempool.commit()
        if chance.random() < 0.2:
            await mempool.restart()
        assert await mempool.counted() == total(expected)


def again(mempool: Mempool) -> None:
    """The whole mempool is told again. What is new comes a second later than all that was counted."""
    everything = list(mempool.present.values())
    mempool.begin_anew()
    mempool.tell(*everything)
    mempool.sync()
    mempool.now += 1


# --- congestion --------------------------------------------------------------------------------------------


async def test_each_look_is_a_sample(mempool: Mempool) -> None:
    looks: list[tuple[MempoolView, FeesView]] = []
    for number in range(6):
        mempool.now = NOW + 2 + number * 15
        mempool.tell(added(number, mempool.now))
        if number == 3:
            await mempool.restart()
            mempool.tell(added(number, mempool.now))  # it was not committed
            mempool.sync()
        shown = views(await mempool.commit(), KEYS.views(domains.MEMPOOL))
        looks.append(
            (msgspec.json.decode(shown["mempool"], type=MempoolView), msgspec.json.decode(shown["fees"], type=FeesView))
        )
    by_minute = await mempool.congestion(CONGESTION_MINUTES)
    assert {start: record.samples for start, record in by_minute.items()} == {NOW: 1 + 4, NOW + 60: 2}
    second = by_minute[NOW + 60]
    assert second.tx_count == sum(summary.count for summary, _ in looks[4:]) == 5 + 6
    assert second.fee == sum(summary.total_fee for summary, _ in looks[4:])
    assert second.min_fee_rate == 1.25
    assert sum(second.bands) == sum(summary.vsize for summary, _ in looks[4:])
    assert list(second.bands) == [
        sum(fees.histogram[place].vsize for _, fees in looks[4:]) for place in range(len(second.bands))
    ]
    [hour] = (await mempool.congestion(CONGESTION_HOURS)).values()
    for place in (0, 1, 2):
        assert hour[place] == sum(record[place] for record in by_minute.values())  # type: ignore[misc]  # the integers
    assert hour.bands == tuple(map(sum, zip(*(record.bands for record in by_minute.values()), strict=True)))


async def test_a_mempool_that_is_incomplete_is_no_sample(client: redis.Client) -> None:
    mempool = Mempool(client)
    for _ in range(2):  # the first load, and one after a gap
        before = await mempool.congestion(CONGESTION_MINUTES)
        mempool.begin_anew()
        for number in range(3):
            mempool.now += 10
            mempool.tell(added(number, mempool.now))
            assert not views(await mempool.commit(), KEYS.views(domains.MEMPOOL))
        assert await mempool.congestion(CONGESTION_MINUTES) == before
        mempool.now += 10
        mempool.sync()
        await mempool.commit()
        assert await mempool.congestion(CONGESTION_MINUTES) != before


# --- the past outlives the state ---------------------------------------------------------------------------


async def everything(client: redis.Client) -> dict[str, list[tuple[int, object]]]:
    return {series.name: await stored(client, series) for series in MEMPOOL_SERIES}


async def test_a_state_that_cannot_be_read_costs_nothing_of_the_past(mempool: Mempool) -> None:
    mempool.tell(old := added(1, NOW))
    mempool.leave(old)
    await mempool.commit()
    before = await everything(mempool.client)
    await mempool.client.hset(KEYS.state(domains.MEMPOOL), b"\x00" * 32, b"damaged")
    mempool.fold = MempoolFold(KEYS)
    for _ in range(2):  # the consumer looks twice
        with pytest.raises(Exception, match="unpack"):
            await mempool.fold.restore(mempool.client)
        mempool.fold.reset()
    await mempool.commit()
    assert await everything(mempool.client) == before
    assert await mempool.client.lrange(KEYS.mempool_left, 0, -1) == [bytes.fromhex(old.txid)]
    mempool.begin_anew()
    mempool.tell(msgspec.structs.replace(old, time=NOW + 1), added(2, NOW), new := added(3, NOW + 1))
    await mempool.commit()
    assert await mempool.counted() == total([old, new])


async def test_a_server_that_lost_everything_is_given_the_past_again(mempool: Mempool) -> None:
    old = [added(place, NOW + place) for place in range(20)]
    mempool.tell(*old)
    mempool.leave(old[0])
    await mempool.commit()
    before = await everything(mempool.client)
    mempool.tell(lost := added(50, NOW + 50))
    for _ in range(2):
        await mempool.client.flushall()
        mempool.fold.flush(at(mempool.now * 1000))  # refused: the lease is gone
        mempool.tell(added(51, NOW + 51))
        mempool.committer = Committer(mempool.client, KEYS.checkpoint(domains.MEMPOOL))
        mempool.fold.reset()
        mempool.fold.reset()  # the consumer may fail in between
        mempool.present = {}
        await mempool.commit()
        assert await mempool.counted() == total([*old, lost])
        after = await everything(mempool.client)
        assert after["congestion-hours"] == before["congestion-hours"] != []
    await mempool.restart()
    mempool.begin_anew()
    mempool.tell(*old[1:], lost, missed := added(51, NOW + 51), msgspec.structs.replace(old[0], time=NOW + 52))
    mempool.sync()
    await mempool.commit()
    assert await mempool.counted() == total([*old, lost, missed])


async def test_without_its_checkpoint_a_new_service_begins_anew(mempool: Mempool) -> None:
    mempool.tell(added(1, NOW))
    await mempool.commit()
    await mempool.client.delete(KEYS.checkpoint(domains.MEMPOOL))
    again = Mempool(mempool.client)
    again.begin_anew()
    again.tell(added(1, NOW))
    again.sync()
    again.tell(new := added(2, NOW + 1))
    await again.commit()
    assert await again.counted() == total([new])  # the newest segments are lost
    await again.restart()
    assert await again.counted() == total([new])


async def test_a_contradiction_counts_nothing(mempool: Mempool) -> None:
    mempool.tell(one := added(1, NOW))
    await mempool.commit()
    with pytest.raises(StreamGap):
        mempool.fold.apply(one)
    await mempool.commit()
    assert await mempool.counted() == total([one])

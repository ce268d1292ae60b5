"""Whatever way led to a chain - forks, backfill in any order, twice, restarts - Redis holds what a fresh build has."""

from __future__ import annotations

import random

import msgspec
import pytest

from shared import domains, redis
from shared.errors import StreamGap
from shared.events.backfill import BlocksUnavailable, HistoryReset
from shared.events.blocks import BlockConnected
from shared.pools import pool_id
from shared.pow import work
from shared.records import Bucket
from shared.series import BLOCKS, DAYS, HEADERS, HOURS, RETARGETS, WEEKS, read
from shared.views import ConfirmedLargestView, HistoryView
from support.chain_samples import (
    BITS,
    GENESIS_TIME,
    chain,
    collected,
    connected,
    disconnected,
    loaded,
    measured,
)
from support.history_building import FULL, KEYS, Built, contents, fresh, spaced, view


@pytest.mark.parametrize("seed", range(6))
async def test_any_way_to_a_chain_leaves_the_bytes_of_a_fresh_build(client: redis.Client, seed: int) -> None:
    chance = random.Random(seed)
    built = Built(client)
    blocks = chain([150, 700, 2_300][seed % 3])
    others = [chain(len(blocks) + 100, salt=salt) for salt in (98, 99)]
    split = max(0, len(blocks) - FULL)
    built.apply(loaded(blocks[:split], max(0, split - chance.choice([200, 4_032]))), *blocks[split:])
    await built.commit()
    for step in range(80):
        done = chance.random()
        store = built.fold.store
        if done < 0.15:  # a reorganisation
            for _ in range(chance.randint(1, 12)):
                built.apply(disconnected(blocks.pop()))
            for _ in range(chance.randint(0, 14)):
                blocks.append(connected(len(blocks) + 1, blocks[-1], step))
                built.apply(blocks[-1])
        elif done < 0.4:
            for _ in range(chance.randint(1, 3)):
                blocks.append(connected(len(blocks) + 1, blocks[-1], step))
                built.apply(blocks[-1])
        elif done < 0.6:  # headers: that fit, that came late, or of another chain
            last = store.spine.first - chance.choice([1, 1, 1, 2])
            if last >= 0:
                built.apply(collected(chance.choice([blocks, others[0]]), max(0, last - 300), last))
        else:  # statistics in any order, twice, of blocks that are gone
            heights = [chance.randrange(len(blocks)) for _ in range(24)]
            built.apply(measured(chance.choice([blocks, blocks, others[1]]), heights))
        if chance.random() < 0.5:
            await built.commit()
            if chance.random() < 0.2:
                await built.restart()
    await built.backfill(blocks)
    assert (await view(client)).complete
    seen = await contents(client)
    assert sum(":series:" in key for key in seen) >= 6
    await built.restart()
    assert (await contents(client)) == seen  # reading changes nothing
    await fresh(client, blocks)
    expected = await contents(client)
    assert seen.keys() == expected.keys()
    for key, value in expected.items():
        assert seen[key] == value, key


async def test_what_is_kept_is_what_the_blocks_say(client: redis.Client) -> None:
    blocks = chain(2_500)
    await fresh(client, blocks)
    headers = await read(client, KEYS, HEADERS, 0, len(blocks) + 10)
    assert [(height, header.time, header.bits) for height, header in headers[1:]] == [
        (block.height, block.time, int(block.bits, 16)) for block in blocks
    ]
    records = dict(await read(client, KEYS, BLOCKS, 0, len(blocks) + 10))
    assert records.keys() == set(range(len(blocks) + 1))
    for block in blocks:
        record = records[block.height]
        assert (record.time, record.tx_count, record.size, record.weight) == (
            block.time, block.tx_count, block.size, block.weight,
        )  # fmt: skip
        assert (record.output_value, record.fees, record.feerate) == (
            block.output_value,
            block.fees,
            block.fee_rate_avg,
        )
        assert list(record.percentiles) == block.fee_rate_percentiles
        assert list(record.output_bands) == block.output_bands
        assert record.pool == pool_id(block.pool)
    retargets = await read(client, KEYS, RETARGETS, 0, 10)
    assert [(period, header.time) for period, header in retargets] == [(0, GENESIS_TIME), (1, blocks[2015].time)]
    for series in (HOURS, DAYS, WEEKS):
        newest = max(block.time for block in blocks) // series.step
        buckets = dict(await read(client, KEYS, series, 0, newest + 1))
        expected: dict[int, list[BlockConnected]] = {}
        for block in blocks:
            expected.setdefault(block.time // series.step, []).append(block)
        genesis = GENESIS_TIME // series.step
        assert buckets.keys() == expected.keys() | {genesis}
        for index, inside in expected.items():
            bucket: Bucket = buckets[index]
            assert bucket.headers == bucket.blocks == len(inside) + (index == genesis)
            assert bucket.work == sum(work(int(b.bits, 16)) for b in inside) + (work(BITS) if index == genesis else 0)
            assert bucket.output_value == sum(block.output_value for block in inside)
            assert bucket.fees == sum(block.fees for block in inside)
            assert bucket.subsidy == sum(block.subsidy for block in inside) + (5_000_000_000 if index == genesis else 0)
            assert bucket.percentiles[4] == sum(block.fee_rate_percentiles[4] for block in inside)


async def test_hashrate_is_work_over_time(client: redis.Client) -> None:
    blocks = chain(3_000)
    await fresh(client, blocks)
    times = [(block.time, work(int(block.bits, 16))) for block in blocks] + [(GENESIS_TIME, work(BITS))]
    newest = max(time for time, _ in times)
    hours = await read(client, KEYS, HOURS, 0, newest // 3_600)
    assert len(hours) > 300
    for index, bucket in hours:
        until = min((index + 1) * 3_600, newest)
        for span, rate in ((86_400, bucket.hashrate_1d), (7 * 86_400, bucket.hashrate_7d)):
            begin = (index + 1) * 3_600 - span
            done = sum(amount for time, amount in times if begin <= time < (index + 1) * 3_600)
            assert rate == pytest.approx(done / (until - max(begin, GENESIS_TIME)), rel=1e-12)
    days = dict(await read(client, KEYS, DAYS, 0, newest // 86_400))
    for index, bucket in days.items():
        if index == newest // 86_400:
            assert (bucket.hashrate_1d, bucket.hashrate_7d) == (hours[-1][1].hashrate_1d, hours[-1][1].hashrate_7d)
        elif index * 86_400 > GENESIS_TIME:
            assert bucket.hashrate_1d == pytest.approx(bucket.work / 86_400, rel=1e-12)
    for index, bucket in await read(client, KEYS, WEEKS, 0, newest // 604_800 - 1):
        if index * 604_800 > GENESIS_TIME:
            assert bucket.hashrate_7d == pytest.approx(bucket.work / 604_800, rel=1e-12)
            assert bucket.hashrate_1d == days[index * 7 + 6].hashrate_1d


async def test_there_is_no_hashrate_where_headers_lack(client: redis.Client) -> None:
    blocks = chain(1_500)
    built = Built(client)
    built.apply(loaded(blocks[:1_400], 1_000), *blocks[1_400:])
    await built.commit()
    known = [block.time for block in blocks[999:]]
    for index, bucket in await read(client, KEYS, HOURS, 0, max(known) // 3_600):
        assert (bucket.hashrate_1d > 0) == ((index + 1) * 3_600 - 86_400 >= min(known))


async def test_the_largest_transactions_of_every_span(client: redis.Client) -> None:
    blocks = chain(5_000)
    built = await fresh(client, blocks)
    for _ in range(20):  # taken back and replaced: the lists must not remember
        built.apply(disconnected(blocks.pop()))
    for _ in range(20):
        blocks.append(connected(len(blocks) + 1, blocks[-1], 7))
        built.apply(blocks[-1])
    await built.commit()
    newest = max(block.time for block in blocks)
    since = {"1d": newest - 86_400 + 1, "all": 0, "halving": 0}
    since |= {name: (newest // 86_400 - days + 1) * 86_400 for name, days in (("1w", 7), ("1m", 30), ("1y", 365))}
    for name, start in since.items():
        raw = await client.hget(KEYS.views(domains.HISTORY), f"largest_{name}")
        shown = msgspec.json.decode(raw, type=ConfirmedLargestView)
        everything = sorted(
            (-tx.value, tx.txid, block.height, block.time) for block in blocks for tx in block.largest
            if block.time >= start
        )  # fmt: skip
        assert [(-tx.value, tx.txid, tx.height, tx.time) for tx in shown.transactions] == everything[:50], name
        assert shown.complete


async def test_progress_is_told(client: redis.Client) -> None:
    blocks = chain(1_000)
    built = Built(client)
    built.apply(loaded(blocks[:800], 500), *blocks[800:])
    built.apply(measured(blocks, [700, 701]))
    await built.commit()
    seen = await view(client)
    assert (seen.height, seen.first_header, seen.measured, seen.complete) == (1_000, 500, 202, False)
    assert seen.floor_hash == blocks[498].hash
    assert seen.missing == [(702, 800), (500, 699)]
    assert (seen.measured_from, seen.measured_from_time) == (801, blocks[800].time)
    built.apply(BlocksUnavailable(first=0, last=750, reason="pruned"))
    await built.commit()
    seen = await view(client)
    assert seen.missing == [(751, 800)]
    assert seen.unavailable == 249  # 500 to 750 but for the two that are known
    assert not seen.complete
    assert seen.given_up == [(702, 750), (500, 699)]
    built.apply(measured(blocks, [600, 750]))
    await built.commit()
    seen = await view(client)
    assert seen.unavailable == 247
    assert seen.given_up == [(702, 749), (601, 699), (500, 599)]


async def test_a_view_of_before_names_nothing_that_was_given_up(client: redis.Client) -> None:
    await fresh(client, chain(200))
    raw = msgspec.json.decode(await client.hget(KEYS.views(domains.HISTORY), "history"))
    del raw["given_up"]
    assert msgspec.convert(raw, HistoryView).given_up == []


async def test_a_new_beginning_keeps_what_it_stands_on(client: redis.Client) -> None:
    blocks = chain(2_000)
    built = await fresh(client, blocks)
    before = await contents(client)
    built.apply(loaded(blocks[:1_856], 1_000), *blocks[1_856:])
    assert built.fold.store.spine.first == 0
    await built.commit()
    assert len(built.fold.store.measured) == 2_001
    await built.backfill(blocks)
    assert await contents(client) == before


async def test_a_beginning_on_another_chain_forgets_everything(client: redis.Client) -> None:
    built = await fresh(client, chain(3_000))
    other = chain(700, salt=5)
    built.apply(loaded(other[:600], 100), *other[600:])
    await built.commit()
    assert len(built.fold.store.measured) == 100
    await built.backfill(other)
    seen = await contents(client)
    await fresh(client, other)
    assert await contents(client) == seen


async def test_history_can_be_asked_to_begin_anew(client: redis.Client) -> None:
    blocks = chain(400)
    built = await fresh(client, blocks)
    before = await contents(client)
    built.apply(HistoryReset(cause="a test"))
    await built.commit()
    assert not [key for key in await contents(client) if ":series:" in key or "history-" in key]
    with pytest.raises(StreamGap):
        built.apply(connected(401, blocks[-1]))
    built.apply(loaded(blocks[:256]), *blocks[256:])
    await built.backfill(blocks)
    assert await contents(client) == before


async def test_what_does_not_fit_is_refused(client: redis.Client) -> None:
    blocks = chain(300)
    built = Built(client)
    built.apply(loaded(blocks[:200]), *blocks[200:])
    with pytest.raises(StreamGap):
        built.apply(connected(302, connected(301, blocks[-1])))
    with pytest.raises(StreamGap):
        built.apply(disconnected(blocks[-2]))


async def test_a_restart_within_an_hour_leaves_no_trace(client: redis.Client) -> None:
    """The newest hour is estimated up to its newest block, and once more in full when it is over."""
    blocks = spaced(400, 3_700)
    built = await fresh(client, blocks[:390])
    await built.restart()
    built.apply(*blocks[390:])
    await built.commit()
    seen = await contents(client)
    await fresh(client, blocks)
    assert await contents(client) == seen


async def test_old_hours_go_and_days_stay(client: redis.Client) -> None:
    """Three years in 200 blocks: hours older than two years are not kept, whichever way they came."""
    blocks = spaced(200, 5 * 86_400)
    await fresh(client, blocks)
    newest = blocks[-1].time // 3_600
    hours = await read(client, KEYS, HOURS, 0, newest)
    assert newest - 2 * 365 * 24 - HOURS.segment < hours[0][0] < newest - 2 * 365 * 24 + 5 * 24
    assert len(await read(client, KEYS, DAYS, 0, newest // 24)) == 201


async def test_only_the_newest_blocks_can_be_taken_back(client: redis.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("recent", "store", "loading"):
        monkeypatch.setattr(f"chain_history.{module}.REORG_BLOCKS", 50)
    blocks = spaced(300, 86_400)
    built = await fresh(client, blocks)
    assert sorted(map(int, await client.hkeys(KEYS.history_recent))) == [
        block.height for block in blocks[250:] if block.largest
    ]
    await built.restart()
    for _ in range(50):
        built.apply(disconnected(blocks.pop()))
    with pytest.raises(StreamGap, match="not among the newest"):
        built.apply(disconnected(blocks[-1]))
    blocks = spaced(280, 86_400, salt=4, on=blocks[:-1])
    built.apply(loaded(blocks[:135]), *blocks[135:])
    await built.backfill(blocks)
    seen = await contents(client)
    await fresh(client, blocks)
    assert await contents(client) == seen


async def test_a_day_that_is_not_known_in_full_leads_to_a_new_beginning(
    client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block's transactions cannot be taken out of a list whose next ones nobody remembers."""
    for module in ("recent", "store", "loading"):
        monkeypatch.setattr(f"chain_history.{module}.REORG_BLOCKS", 50)
    blocks = spaced(100, 1)  # in one day
    built = await fresh(client, blocks)
    with pytest.raises(StreamGap, match="no longer known in full"):
        built.apply(*(disconnected(block) for block in reversed(blocks[60:])))
    del blocks[60:]
    built.apply(loaded(blocks[:10]), *blocks[10:])
    await built.backfill(blocks)
    seen = await contents(client)
    await fresh(client, blocks)
    assert await contents(client) == seen

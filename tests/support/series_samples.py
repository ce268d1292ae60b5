"""Series of a whole chain and of its mempool in Redis, as the folds write them: up to a million blocks in seconds.

Every record is a plain function of its place, so that a test can work out by itself what a chart must show. Segments
are written whole.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from struct import Struct
from typing import Any

import msgspec

from shared import domains, pools, records
from shared.bands import FEERATE_BOUNDS, VALUE_BOUNDS
from shared.events.base import entry_fields
from shared.events.derived import SeriesUpdated
from shared.keys import FOLDED_SEQ, Keys
from shared.networks import COIN, NETWORKS, RETARGET_INTERVAL, Network
from shared.pow import work
from shared.price_records import BAR, Bar
from shared.prices import MILLION, NUMBERS
from shared.records import BLOCK, BUCKET, Block, Bucket, Congestion, Flow, Header
from shared.series import (
    BLOCKS,
    CONGESTION_HOURS,
    CONGESTION_MINUTES,
    DAY,
    DAYS,
    FLOW_10S,
    FLOW_HOURS,
    FLOW_MINUTES,
    HEADERS,
    HOUR,
    HOURS,
    MINUTE,
    PRICE_DAYS,
    PRICE_HOURS,
    PRICE_MINUTES,
    RETARGETS,
    WEEK,
    WEEKS,
    Series,
)
from shared.views import LARGEST_RANGES, ConfirmedLargestView, ConfirmedTx, HistoryView
from support.web_samples import POOLS, block_hash, digest

KINDS = 251
"""Blocks differ by their height modulo this, which shares no factor with a retarget period, a segment or a day."""

_times = Struct("<I")


def block(kind: int, moment: int = 0) -> Block:
    """A block's statistics."""
    empty = kind == 7
    tx_count = 1 if empty else 900 + kind * 17
    low = 1 + kind % 9
    bands = tuple(0 if empty else 5 + (kind * (band + 3)) % 97 for band in range(len(VALUE_BOUNDS)))
    return Block(
        time=moment,
        tx_count=tx_count,
        size=300 if empty else 1_400_000 + kind * 1_000,
        weight=1_200 if empty else 3_990_000 - kind * 311,
        inputs=0 if empty else tx_count * 2,
        outputs=1 + sum(bands),
        output_value=0 if empty else (2_000 + kind * 83) * COIN + kind,
        fees=0 if empty else 1_500_000 + kind * 41_113,
        percentiles=(0,) * 5 if empty else (low, low + 1, low + 2, low + 5, low + 40),
        feerate=0 if empty else low + 4,
        pool=pools.pool_id(POOLS[kind % len(POOLS)]),
        output_bands=bands,
    )


_KINDS = [block(kind) for kind in range(KINDS)]
_PACKED = [BLOCK.pack(kind)[_times.size :] for kind in _KINDS]
_SUMS = [(*kind[1:8], *kind.percentiles, kind.feerate, *kind.output_bands) for kind in _KINDS]


@dataclass
class Chain:
    """A chain of so many blocks, with everything that its charts rest on."""

    blocks: int
    network: Network = NETWORKS["main"]
    end: int = field(default_factory=lambda: int(time.time()) - 260)
    spacing: int = 600
    bits: Sequence[int] = ()  # of each retarget period; made up where empty
    first_header: int = 0
    measured_from: int = 0
    unavailable: int = 0

    @property
    def tip(self) -> int:
        """Height of the newest block."""
        return self.blocks - 1

    @cached_property
    def times(self) -> list[int]:
        """Unix seconds by height; they do not always rise."""
        step = min(self.spacing, (self.end - self.network.genesis_time) // self.blocks)
        start, spread = self.end - step * self.tip, max(1, 2 * step)
        found = [start + step * height + height * 7_919 % spread - spread // 2 for height in range(self.blocks)]
        found[0], found[-1] = start, self.end
        return [min(moment, self.end) for moment in found]

    @cached_property
    def period_bits(self) -> list[int]:
        """Compact bits of each retarget period."""
        periods = self.tip // RETARGET_INTERVAL + 1
        if self.bits:
            return list(self.bits[:periods])
        if not self.network.retargets:
            return [self.network.pow_limit_bits] * periods
        return [compact(int((0xFFFF << 208) / 1.065 ** (period * 0.99 + period % 5))) for period in range(periods)]

    def header(self, height: int) -> Header:
        """A block's header."""
        tail = records.tail(digest("tail", height)) if height == self.tip else height.to_bytes(8, "big")
        return Header(self.times[height], self.period_bits[height // RETARGET_INTERVAL], tail)

    def block(self, height: int) -> Block:
        """A block's statistics."""
        return _KINDS[height % KINDS]._replace(time=self.times[height])

    def history(self) -> HistoryView:
        """What chain-history says of it."""
        whole = self.measured_from == 0 and self.first_header == 0
        return HistoryView(
            network=self.network.name,
            height=self.tip,
            hash=block_hash(self.network.name, self.tip),
            time=self.times[-1],
            first_header=self.first_header,
            floor_hash="" if self.first_header == 0 else digest("floor"),
            measured=self.blocks - self.measured_from,
            unavailable=self.unavailable,
            missing=[] if whole else [(self.unavailable, self.measured_from - 1)],
            measured_from=self.measured_from,
            measured_from_time=self.times[self.measured_from],
            complete=whole or self.unavailable == self.measured_from,
        )

    def largest(self, name: str) -> ConfirmedLargestView:
        """The largest transactions of one of LARGEST_RANGES."""
        days = {"1d": 1, "1w": 7, "1m": 30, "1y": 365}.get(name, self.blocks // 144)
        txs = [
            ConfirmedTx(
                txid=digest("largest", name, place),
                value=(90_000 - place * 777) * COIN + place,
                height=self.tip - place,
                time=self.times[self.tip - place],
            )
            for place in range(min(50, self.blocks))
        ]
        since = self.end - days * DAY
        return ConfirmedLargestView(
            since=since, complete=self.times[self.measured_from] <= since or not self.measured_from, transactions=txs
        )

    # --- buckets -------------------------------------------------------------------------------------

    @cached_property
    def hours(self) -> dict[int, Bucket]:
        """Every hour with a block, also those that HOURS does not keep."""
        heights: dict[int, list[int]] = defaultdict(list)
        for height in range(self.first_header, self.blocks):
            heights[self.times[height] // HOUR].append(height)
        works = [work(bits) for bits in self.period_bits]
        return self._rated({index: self._bucket(heights[index], works) for index in sorted(heights)}, HOUR)

    def _bucket(self, heights: list[int], works: list[int]) -> Bucket:
        total = sum(works[height // RETARGET_INTERVAL] for height in heights)
        known = [height for height in heights if height >= self.measured_from]
        if not known:
            return records.NO_BUCKET._replace(headers=len(heights), work=total)
        sums = list(map(sum, zip(*(_SUMS[height % KINDS] for height in known), strict=True)))
        moments = sum(self.times[height] for height in known)
        subsidy = sum(self.network.subsidy(height) for height in known)
        head = (len(heights), len(known), total, 0.0, 0.0, sum(known), moments)
        return Bucket._make((*head, *sums[:7], subsidy, tuple(sums[7:12]), sums[12], tuple(sums[13:])))

    def together(self, buckets: dict[int, Bucket], count: int, step: int) -> dict[int, Bucket]:
        """Longer buckets, each of `count` shorter ones."""
        groups: dict[int, list[Bucket]] = defaultdict(list)
        for index, bucket in buckets.items():
            groups[index // count].append(bucket)
        return self._rated({index: _added(group) for index, group in groups.items()}, step)

    def _rated(self, buckets: dict[int, Bucket], step: int) -> dict[int, Bucket]:
        """With the hashrates at the end of each, from the works before it."""
        if step == WEEK:
            days = self.days
            return {
                index: bucket._replace(
                    hashrate_1d=(last := days[max(day for day in range(index * 7, index * 7 + 7) if day in days)])
                    .hashrate_1d,
                    hashrate_7d=last.hashrate_7d,
                )
                for index, bucket in buckets.items()
            }  # fmt: skip
        indices = list(buckets)
        sums = [0, *accumulate(bucket.work for bucket in buckets.values())]

        def over(place: int, seconds: int) -> float:
            until = (indices[place] + 1) * step
            begin = until - seconds
            if begin < self.times[self.first_header] and self.first_header:
                return 0.0
            before = bisect_right(indices, begin // step - 1)
            length = min(until, self.end) - max(begin, self.times[self.first_header])
            return (sums[place + 1] - sums[before]) / length if length > 0 else 0.0

        return {
            index: bucket._replace(hashrate_1d=over(place, DAY), hashrate_7d=over(place, WEEK))
            for place, (index, bucket) in enumerate(buckets.items())
        }

    @cached_property
    def days(self) -> dict[int, Bucket]:
        """Every day with a block."""
        return self.together(self.hours, 24, DAY)

    @cached_property
    def weeks(self) -> dict[int, Bucket]:
        """Every week with a block."""
        return self.together(self.days, 7, WEEK)


def _added(group: list[Bucket]) -> Bucket:
    if len(group) == 1:
        return group[0]
    numbers = list(map(sum, zip(*(bucket[:15] for bucket in group), strict=True)))
    percentiles = tuple(map(sum, zip(*(bucket.percentiles for bucket in group), strict=True)))
    bands = tuple(map(sum, zip(*(bucket.output_bands for bucket in group), strict=True)))
    return Bucket._make((*numbers, percentiles, sum(bucket.feerate for bucket in group), bands))


def compact(target: int) -> int:
    """A target's compact form (bitcoin/src/arith_uint256.cpp, GetCompact)."""
    size = (target.bit_length() + 7) // 8
    mantissa = target >> 8 * (size - 3) if size > 3 else target << 8 * (3 - size)
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return mantissa | size << 24


# --- the mempool ------------------------------------------------------------------------------------------


def flow(index: int, step: int) -> Flow:
    """What entered in a span."""
    count = step * (3 + index % 7) // 2
    return Flow(count, count * 210, count * (COIN + index % 1_013), count * 640)


def congestion(index: int, samples: int) -> Congestion:
    """What waited, as the sum of so many looks."""
    bands = tuple(samples * (1_000 + (index * (band + 1)) % 9_973) for band in range(len(FEERATE_BOUNDS)))
    return Congestion(samples, samples * 40_000, samples * 90_000_000, 1.0 + index % 3, bands)


# --- writing ----------------------------------------------------------------------------------------------


def segments(series: Series[Any], keys: Keys, first: int, raw: Iterable[bytes]) -> Iterator[tuple[str, int, bytes]]:
    """Key, number and bytes of each segment that these packed records, from index `first` on, lie in."""
    width, size = series.layout.width, series.segment
    held = bytearray(first % size * width)
    segment = first // size
    for record in raw:
        held += record
        if len(held) == size * width:
            yield keys.series(series.domain, series.name, segment), segment, bytes(held)
            held, segment = bytearray(), segment + 1
    if held:
        yield keys.series(series.domain, series.name, segment), segment, bytes(held).ljust(size * width, b"\0")


async def write(client: Any, keys: Keys, series: Series[Any], first: int, raw: Iterable[bytes]) -> None:
    """Write packed records from index `first` on, whole segments at once."""
    pipeline = client.pipeline(transaction=False)
    pipeline.hset(keys.series_layouts(series.domain), series.name, series.layout.version)
    for key, segment, held in segments(series, keys, first, raw):
        pipeline.set(key, held)
        pipeline.sadd(keys.series_index(series.domain), f"{series.name}:{segment}")
        if len(pipeline) >= 64:
            await pipeline.execute()
    await pipeline.execute()


def _dense(series: Series[Bucket], buckets: dict[int, Bucket]) -> tuple[int, Iterator[bytes]]:
    first, last = min(buckets), max(buckets)
    first = max(first, series.oldest(last))
    nothing = bytes(BUCKET.width)
    packed = (BUCKET.pack(buckets[index]) if index in buckets else nothing for index in range(first, last + 1))
    return first, packed


async def fill(
    client: Any,
    keys: Keys,
    *,
    blocks: int,
    now: int | None = None,
    mempool_days: int = 40,
    announce: bool = True,
    **more: Any,
) -> Chain:
    """A chain with its views, pools and mempool, and the event that says so. `more` goes to `Chain`."""
    if now is not None:
        more.setdefault("end", now - 260)
    chain = Chain(blocks, network=NETWORKS[keys.network], **more)
    await fill_chain(client, keys, chain)
    await fill_mempool(client, keys, now or int(time.time()), mempool_days)
    await fill_prices(client, keys, now or int(time.time()))
    if announce:
        await announced(client, keys, chain)
    return chain


async def fill_chain(client: Any, keys: Keys, chain: Chain) -> None:
    """Series, pools and views of a chain."""
    low, times = chain.first_header, chain.times
    bits = [Struct("<I").pack(bits) for bits in chain.period_bits]
    pack = _times.pack
    headers = (
        pack(times[height]) + bits[height // RETARGET_INTERVAL] + height.to_bytes(8, "big")
        for height in range(low, chain.blocks)
    )
    await write(client, keys, HEADERS, low, headers)
    retargets = range(-(-low // RETARGET_INTERVAL), chain.tip // RETARGET_INTERVAL + 1)
    if retargets:
        packed = (records.HEADER.pack(chain.header(period * RETARGET_INTERVAL)) for period in retargets)
        await write(client, keys, RETARGETS, retargets.start, packed)
    measured = range(chain.measured_from, chain.blocks)
    await write(client, keys, BLOCKS, measured.start, (pack(times[h]) + _PACKED[h % KINDS] for h in measured))
    for series, buckets in ((HOURS, chain.hours), (DAYS, chain.days), (WEEKS, chain.weeks)):
        first, records_packed = _dense(series, buckets)
        await write(client, keys, series, first, records_packed)
    days: dict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
    for height in measured:
        days[times[height] // DAY][height % KINDS, chain.network.subsidy(height)] += 1
    await client.hset(keys.history_pools, mapping={str(day): shares(kinds) for day, kinds in days.items()})
    names = {pools.name_field(pools.pool_id(name)): name for name in POOLS if name}
    await client.hset(keys.state(domains.HISTORY), mapping=names)
    await write_views(client, keys, chain)


async def write_views(client: Any, keys: Keys, chain: Chain) -> None:
    """The views of chain-history."""
    views = {f"largest_{name}": chain.largest(name) for name in LARGEST_RANGES} | {"history": chain.history()}
    raw: dict[str, bytes | int] = {name: msgspec.json.encode(view) for name, view in views.items()}
    await client.hset(keys.views(domains.HISTORY), mapping=raw | {FOLDED_SEQ: 0})


def shares(kinds: Counter[tuple[int, int]]) -> bytes:
    """A day's blocks by pool, packed as chain-history packs them, of how often each kind came with which subsidy."""
    found: dict[int, pools.Share] = {}
    for (kind, subsidy), count in kinds.items():
        one = pools.of_block(_KINDS[kind], subsidy)
        these = pools.Share(one.pool, *(number * count for number in one[1:]))
        found[one.pool] = pools.together(found[one.pool], these) if one.pool in found else these
    return pools.pack(found.values())


async def fill_mempool(client: Any, keys: Keys, now: int, days: int) -> None:
    """What entered and what waited, over so many days up to `now`."""
    for flows in (FLOW_10S, FLOW_MINUTES, FLOW_HOURS):
        last, step = now // flows.step, flows.step
        first = max(last - days * DAY // step, flows.oldest(last))
        await write(client, keys, flows, first, (records.FLOW.pack(flow(i, step)) for i in range(first, last + 1)))
    for waiting in (CONGESTION_MINUTES, CONGESTION_HOURS):
        last, looks = now // waiting.step, waiting.step // 10
        first = max(last - days * DAY // waiting.step, waiting.oldest(last))
        packed = (records.CONGESTION.pack(congestion(i, looks)) for i in range(first, last + 1))
        await write(client, keys, waiting, first, packed)


async def fill_prices(client: Any, keys: Keys, now: int) -> None:
    """What a bitcoin has cost in US dollars: days since 2010, hours of 60 days and minutes of two up to `now`."""
    for prices, first in (
        (PRICE_DAYS["USD"], 14_807),
        (PRICE_HOURS["USD"], now // HOUR - 60 * 24),
        (PRICE_MINUTES["USD"], now // MINUTE - 2 * 1_440),
    ):
        last = now // prices.step
        packed = (BAR.pack(bar(index * prices.step)) for index in range(first, last + 1))
        await write(client, keys, prices, first, packed)


def bar(time: int) -> Bar:
    """The prices of a span that begins then, of Bitstamp."""
    close = 30_000 + time // 60 % 1_000 * 10
    opened, high, low = close - 5, close + 20, close - 25
    return Bar(opened * MILLION, high * MILLION, low * MILLION, close * MILLION, NUMBERS["bitstamp"])


async def announced(client: Any, keys: Keys, chain: Chain, entry: str = "*") -> None:
    """The event that the series changed, with this id."""
    event = SeriesUpdated(
        series=[series.name for series in (HEADERS, BLOCKS, RETARGETS, HOURS, DAYS, WEEKS)],
        height=chain.tip,
        hash=block_hash(chain.network.name, chain.tip),
        measured=chain.blocks - chain.measured_from,
        since=chain.times[0],
    )
    number = await client.xlen(keys.stream(domains.SERIES)) + 1
    await client.execute_command("XADD", keys.stream(domains.SERIES), entry, *entry_fields(event, number))

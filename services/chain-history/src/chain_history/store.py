"""Everything that is kept of the chain, and how it changes: a header more or less, a block measured or not to be had.

What is written follows from the chain alone: a build from nothing leaves the same bytes, in whatever order blocks came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from chain_history import largest
from chain_history.buckets import Buckets
from chain_history.coverage import Coverage
from chain_history.largest import Day, LargestByDay
from chain_history.pools import PoolsByDay
from chain_history.recent import Recent, RecentBlocks
from chain_history.spine import Spine
from shared import redis
from shared.commit import Argument, Commands
from shared.events.backfill import MeasuredBlock
from shared.keys import REORG_BLOCKS, Keys
from shared.networks import RETARGET_INTERVAL, Network
from shared.records import Block, Header, pool_id
from shared.series import BLOCKS, DAY, DAYS, HEADERS, RETARGETS, SeriesWriter, read, segments_of

NEWEST: Final = 144
"""Blocks whose latest time counts as the chain's."""


class TooDeep(Exception):
    """A block cannot be taken back exactly: what lies below it is no longer known in full."""


class _State(msgspec.Struct, array_like=True):
    first: int
    tip: int
    floor_hash: str
    tip_hash: str
    measured: list[tuple[int, int]]
    unavailable: list[tuple[int, int]]


class Store:
    """The chain's history in memory, as far as changes need it, and as commands."""

    def __init__(self, keys: Keys, network: Network) -> None:
        self._keys = keys
        self._network = network
        self._headers = SeriesWriter(HEADERS, keys, mirrored=False)
        self._blocks = SeriesWriter(BLOCKS, keys, mirrored=False)
        self._retargets = SeriesWriter(RETARGETS, keys, mirrored=False)
        self.buckets = Buckets(keys, network)
        self._forget()

    def _forget(self) -> None:
        self.spine = Spine()
        self.measured = Coverage()
        self.given_up = Coverage()
        self.recent = RecentBlocks()
        self.largest = LargestByDay()
        self.pools = PoolsByDay()
        self._pool_names: dict[int, str] = {}
        self._named: dict[int, str] = {}  # since the last flush
        self._began_anew = False
        self._dirty = False

    def reset(self) -> None:
        """Forget everything; what is stored goes with the next flush."""
        for writer in (self._headers, self._blocks, self._retargets):
            writer.reset()
        self.buckets.reset()
        self._forget()
        self._began_anew = self._dirty = True

    async def adopt(self, client: redis.Client) -> None:
        """Learn which segments exist, so that a beginning without state deletes them."""
        segments = await segments_of(client, self._keys, "chain")
        writers: list[SeriesWriter[Any]] = [self._headers, self._blocks, self._retargets]
        for writer in [*writers, *self.buckets.writers.values()]:
            writer.adopt(segments.get(writer.series.name, ()))

    async def load(self, client: redis.Client) -> None:
        """Read what was committed last."""
        keys = self._keys
        self._forget()
        segments = await segments_of(client, keys, "chain")
        for writer in (self._headers, self._blocks, self._retargets):
            await writer.load(client, segments.get(writer.series.name, ()))
        await self.buckets.load(client, segments)
        stored: dict[bytes, bytes] = await client.hgetall(keys.history_state)
        raw = stored.pop(b"state", None)
        if raw is None:
            return
        state = msgspec.msgpack.decode(raw, type=_State)
        self._pool_names = {int(field[5:]): name.decode() for field, name in stored.items()}
        self.measured, self.given_up = Coverage(state.measured), Coverage(state.unavailable)
        await self._load_spine(client, state)
        await self._load_recent(client, state.tip)
        by_day: dict[bytes, bytes] = await client.hgetall(keys.history_largest)
        days: dict[Day, bytes] = {}
        for field, packed in by_day.items():
            day, _, era = field.decode().partition(":")
            days[int(day), int(era)] = packed
        self.largest = LargestByDay(days)
        pools: dict[bytes, bytes] = await client.hgetall(keys.history_pools)
        self.pools = PoolsByDay({int(day): packed for day, packed in pools.items()})

    async def _load_spine(self, client: redis.Client, state: _State) -> None:
        size, width = HEADERS.segment, HEADERS.layout.width
        pipeline = client.pipeline(transaction=False)
        for segment in range(state.first // size, state.tip // size + 1):
            pipeline.get(self._keys.series(HEADERS.domain, HEADERS.name, segment))
        raw = b"".join(part or b"" for part in await pipeline.execute())
        begin = state.first % size * width
        packed = raw[begin : begin + (state.tip + 1 - state.first) * width]
        if len(packed) != (state.tip + 1 - state.first) * width:
            raise ValueError(f"headers {state.first} to {state.tip} are not all there")
        self.spine.load(state.first, state.floor_hash, state.tip_hash, [packed])

    async def _load_recent(self, client: redis.Client, tip: int) -> None:
        lowest = max(tip - REORG_BLOCKS + 1, self.spine.first)
        headers = dict(await read(client, self._keys, HEADERS, lowest, tip))
        blocks = dict(await read(client, self._keys, BLOCKS, lowest, tip))
        stored: dict[bytes, bytes] = await client.hgetall(self._keys.history_recent)
        self.recent.load(headers, blocks, {int(height): packed for height, packed in stored.items()})

    # --- what is known ---------------------------------------------------------------------------------

    def lacks(self, height: int) -> bool:
        """Whether this block's statistics are wanted."""
        return self.spine.first <= height <= self.spine.tip and height not in self.measured

    @property
    def newest_time(self) -> int:
        """The latest time among the newest blocks, Unix seconds."""
        return self.recent.newest_time(self.spine.tip, NEWEST)

    def _day(self, height: int, time: int) -> Day:
        return time // DAY, height // self._network.halving_interval

    # --- changes; each returns the times of the blocks that it touched ----------------------------------

    def push_headers(self, headers: Sequence[tuple[Header, str]]) -> list[int]:
        """Headers and their hashes on top of the tip."""
        for header, block_hash in headers:
            self.spine.push(header, block_hash)
            tip = self.spine.tip
            self._write_header(tip, header)
            self.recent.put(tip, tip, Recent(header))
        self._count_headers([header for header, _ in headers], 1)
        return [header.time for header, _ in headers]

    def extend_down(self, headers: Sequence[Header], floor_hash: str) -> list[int]:
        """Headers below the lowest one, in rising order."""
        first = self.spine.first - len(headers)
        self.spine.extend_down(headers, floor_hash)
        for height, header in enumerate(headers, first):
            self._write_header(height, header)
            if height > self.spine.tip - REORG_BLOCKS:
                self.recent.put(height, self.spine.tip, Recent(header))
        self._count_headers(headers, 1)
        return [headers[0].time, headers[-1].time]

    def take_back(self, height: int, block_hash: str) -> list[int]:
        """Everything above `height`, whose hash this is, leaves the chain. Raises TooDeep before anything changed."""
        undone = self._above(height)
        for above, recent in undone:
            self.recent.pop(above)
            self._write_header(above, None)
            self.given_up.cut(above, above)
            self.spine.pop()
            if recent.block is not None:
                self._take_back_block(above, recent.block, recent.largest)
        self.spine.tip_hash = block_hash
        self._count_headers([recent.header for _, recent in undone], -1)
        return [recent.header.time for _, recent in undone]

    def _above(self, height: int) -> list[tuple[int, Recent]]:
        """What is above a height, newest first; raises TooDeep where not all of it can be taken back exactly."""
        found: list[tuple[int, Recent]] = []
        whole: dict[int, bool] = {}
        for above in range(self.spine.tip, height, -1):
            recent = self.recent.get(above)
            if recent is None:
                raise TooDeep(f"block {above} is not among the newest {REORG_BLOCKS}")
            found.append((above, recent))
            day = self._day(above, recent.header.time)
            if self.largest.shares(day, recent.largest):  # the day's list is then made anew of the blocks that stay
                if day[0] not in whole:
                    bucket = self.buckets.writers[DAYS.name].get(day[0])
                    whole[day[0]] = bucket is not None and bucket.headers == self.recent.count_of_day(day[0])
                if not whole[day[0]]:
                    raise TooDeep(f"the largest transactions of the day of block {above} are no longer known in full")
        return found

    def _take_back_block(self, height: int, block: Block, packed: bytes) -> None:
        self._blocks.put(height, None)
        self.measured.cut(height, height)
        self.buckets.blocks([(height, block)], -1)
        day = self._day(height, block.time)
        self.pools.count(day[0], block.pool, empty=block.tx_count == 1, sign=-1)
        if self.largest.shares(day, packed):
            self.largest.replace(day, self.recent.of_day(day, self._network.halving_interval))

    def measure(self, blocks: Mapping[int, tuple[MeasuredBlock, Block]]) -> list[int]:
        """Statistics of blocks that are in the chain and were not known, by height."""
        for height, (event, block) in blocks.items():
            packed = largest.pack(event.largest, height, block.time)
            self._blocks.put(height, block)
            self.measured.add(height, height)
            self.given_up.cut(height, height)
            day = self._day(height, block.time)
            self.largest.add(day, packed)
            self.pools.count(day[0], block.pool, empty=block.tx_count == 1, sign=1)
            recent = self.recent.get(height)
            if recent is not None:
                self.recent.put(height, self.spine.tip, recent._replace(block=block, largest=packed))
            if event.pool and block.pool not in self._pool_names:
                self._pool_names[block.pool] = self._named[pool_id(event.pool)] = event.pool
        self.buckets.blocks([(height, block) for height, (_, block) in blocks.items()], 1)
        self._dirty = True
        return [block.time for _, block in blocks.values()]

    def unavailable(self, first: int, last: int) -> None:
        """These blocks cannot be had any more, except those that are known."""
        for low, high in list(self.measured.gaps(first, last)):
            self.given_up.add(low, high)
        self._dirty = True

    def _write_header(self, height: int, header: Header | None) -> None:
        self._headers.put(height, header)
        if height % RETARGET_INTERVAL == 0:
            self._retargets.put(height // RETARGET_INTERVAL, header)

    def _count_headers(self, headers: Sequence[Header], sign: int) -> None:
        self.buckets.headers(headers, sign)
        self._dirty = True

    # --- what is written -------------------------------------------------------------------------------

    def flush(self, commands: Commands) -> list[str]:
        """Commands for all that changed; returns the names of the series that did."""
        if not self._dirty:
            return []
        keys = self._keys
        if self._began_anew:
            for key in (
                keys.history_state, keys.history_recent, keys.history_largest, keys.history_pools, keys.history_views,
            ):  # fmt: skip
                commands.add("DEL", key)
        spine = self.spine
        if len(spine):
            self.buckets.settle(spine.time(spine.first), self.newest_time, genesis=spine.first == 0)
        changed = [
            writer.series.name for writer in (self._headers, self._blocks, self._retargets) if writer.flush(commands)
        ]
        changed += self.buckets.flush(commands)
        self.recent.flush(keys, commands)
        days = sorted(self.largest.changed)
        _write(commands, keys.history_largest, {f"{day}:{era}": self.largest.get((day, era)) for day, era in days})
        _write(commands, keys.history_pools, {str(day): self.pools.get(day) for day in sorted(self.pools.changed)})
        for pool, name in self._named.items():
            commands.add("HSET", keys.history_state, f"pool:{pool}", name)
        if spine.tip_hash:
            state = _State(
                spine.first, spine.tip, spine.floor_hash, spine.tip_hash, self.measured.intervals,
                self.given_up.intervals,
            )  # fmt: skip
            commands.add("HSET", keys.history_state, "state", msgspec.msgpack.encode(state))
        self.largest.changed, self.pools.changed, self._named = set(), set(), {}
        self._began_anew = self._dirty = False
        return changed


def _write(commands: Commands, key: str, fields: Mapping[str, bytes]) -> None:
    """Set the fields; those without a value go."""
    written: list[Argument] = [part for name, value in fields.items() if value for part in (name, value)]
    removed: list[Argument] = [name for name, value in fields.items() if not value]
    commands.spread("HSET", key, written)
    commands.spread("HDEL", key, removed)

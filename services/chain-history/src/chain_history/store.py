"""Everything that is kept of the chain, and how it changes: a header more or less, a block measured or not to be had.

What is written follows from the chain alone: a build from nothing leaves the same bytes, in whatever order blocks came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chain_history import largest
from chain_history.buckets import Buckets
from chain_history.coverage import Coverage
from chain_history.largest import Day, LargestByDay
from chain_history.pools import PoolsByDay
from chain_history.recent import Recent, RecentBlocks
from chain_history.spine import Spine
from chain_history.state import LAYOUT, Counts, State, encode
from shared import domains, layouts, pools, redis
from shared.commit import Argument, Commands
from shared.events.backfill import MeasuredBlock
from shared.keys import REORG_BLOCKS, Keys
from shared.networks import RETARGET_INTERVAL, Network
from shared.pools import pool_id
from shared.records import Block, Header
from shared.series import BLOCKS, DAY, DAYS, HEADERS, RETARGETS, segments_of
from shared.series_writer import SeriesWriter

NEWEST: Final = 144
"""Blocks whose latest time counts as the chain's."""


class TooDeep(Exception):
    """A block cannot be taken back exactly: what lies below it is no longer known in full."""


class Store:
    """The chain's history in memory, as far as changes need it, and as commands."""

    def __init__(self, keys: Keys, network: Network) -> None:
        self._keys = keys
        self._network = network
        self._headers = SeriesWriter(HEADERS, keys, mirrored=False)
        self._blocks = SeriesWriter(BLOCKS, keys, mirrored=False)
        self._retargets = SeriesWriter(RETARGETS, keys, mirrored=False)
        self.buckets = Buckets(keys, network)
        by_height: list[SeriesWriter[Any]] = [self._headers, self._blocks, self._retargets]
        self.writers: dict[str, SeriesWriter[Any]] = {it.series.name: it for it in by_height} | self.buckets.writers
        self.forget()

    def forget(self) -> None:
        """As a new one: what is in Redis is not touched."""
        self.spine = Spine()
        self.measured = Coverage()  # counted in every sum
        self.lost = Coverage()  # of these: what is known of the block itself is gone, and wanted again
        self.given_up = Coverage()
        self.recent = RecentBlocks()
        self.largest = LargestByDay()
        self.pools = PoolsByDay()
        self.pool_names: dict[int, str] = {}
        self.views_written = False
        self._named: dict[int, str] = {}  # since the last flush
        self._doubted: set[str] = set()  # as in Losses: written whole with the next flush
        self._began_anew = self._dirty = False

    def reset(self) -> None:
        """Forget everything; what is stored goes with the next flush."""
        for writer in (self._headers, self._blocks, self._retargets):
            writer.reset()
        self.buckets.reset()
        self.forget()
        self._began_anew = self._dirty = True

    async def adopt(self, client: redis.Client) -> None:
        """Learn which segments exist, so that a beginning without state deletes them."""
        segments = await segments_of(client, self._keys, "chain")
        for name, writer in self.writers.items():
            writer.adopt(segments.get(name, ()))

    # --- what is known ---------------------------------------------------------------------------------

    def lacks(self, height: int) -> bool:
        """Whether this block's statistics are wanted."""
        known = height in self.measured and height not in self.lost
        return self.spine.first <= height <= self.spine.tip and not known

    @property
    def newest_time(self) -> int:
        """The latest time among the newest blocks, Unix seconds."""
        return self.recent.newest_time(self.spine.tip, NEWEST)

    @property
    def ends(self) -> tuple[int, int]:
        """Times of the lowest header and of the newest, Unix seconds."""
        return self.spine.time(self.spine.first), self.newest_time

    def subsidy(self, height: int) -> int:
        """Satoshi that the block at this height may create."""
        return self._network.subsidy(height)

    def day(self, height: int, time: int) -> Day:
        """Where the largest transactions of a block belong."""
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
            if above in self.lost:
                raise TooDeep(f"what was known of block {above} is lost")
            found.append((above, recent))
            day = self.day(above, recent.header.time)
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
        day = self.day(height, block.time)
        self.count_pool(height, block, -1)
        if self.largest.shares(day, packed):
            self.largest.replace(day, self.recent.of_day(day, self._network.halving_interval))

    def measure(self, blocks: Mapping[int, tuple[MeasuredBlock, Block]]) -> list[int]:
        """Statistics of blocks that are in the chain and are wanted, by height. What was lost is not counted again."""
        fresh = {height: block for height, (_, block) in blocks.items() if height not in self.measured}
        for height, (event, block) in blocks.items():
            packed = largest.pack(event.largest, height, block.time)
            self._blocks.put(height, block)
            self.measured.add(height, height)
            self.lost.cut(height, height)
            self.given_up.cut(height, height)
            day = self.day(height, block.time)
            self.largest.add(day, packed)
            if height in fresh:
                self.count_pool(height, block, 1)
            recent = self.recent.get(height)
            if recent is not None:
                self.recent.put(height, self.spine.tip, recent._replace(block=block, largest=packed))
            if event.pool and block.pool not in self.pool_names:
                self.pool_names[block.pool] = self._named[pool_id(event.pool)] = event.pool
        self.buckets.blocks(fresh.items(), 1)
        self._dirty = True
        return [block.time for _, block in blocks.values()]

    def count_pool(self, height: int, block: Block, sign: int) -> None:
        """Count a measured block in (`sign` 1) or out (-1) among those of its pool."""
        self.pools.count(block.time // DAY, pools.of_block(block, self.subsidy(height)), sign)

    def unavailable(self, first: int, last: int) -> None:
        """No node gives these blocks, but for those that are known. What comes later all the same is taken."""
        for low, high in list(self.measured.less(self.lost).gaps(first, last)):
            self.given_up.add(low, high)
        self._dirty = True

    def _write_header(self, height: int, header: Header | None) -> None:
        self._headers.put(height, header)
        if height % RETARGET_INTERVAL == 0:
            self._retargets.put(height // RETARGET_INTERVAL, header)

    def _count_headers(self, headers: Sequence[Header], sign: int) -> None:
        self.buckets.headers(headers, sign)
        self._dirty = True

    def doubt(self, parts: set[str]) -> None:
        """These parts, named as in Losses, are written whole with the next flush, the state in any case."""
        self._doubted |= parts
        self._dirty = True

    # --- what is written -------------------------------------------------------------------------------

    def flush(self, commands: Commands) -> list[str]:
        """Commands for all that changed; returns the names of the series that did."""
        if not self._dirty:
            return []
        self._empty(commands)
        keys, spine = self._keys, self.spine
        if len(spine):
            self.buckets.settle(*self.ends, genesis=spine.first == 0)
        changed = [
            writer.series.name for writer in (self._headers, self._blocks, self._retargets) if writer.flush(commands)
        ]
        changed += self.buckets.flush(commands)
        if "index" in self._doubted:
            members: list[Argument] = [
                f"{name}:{segment}" for name, writer in self.writers.items() for segment in sorted(writer.known)
            ]
            commands.spread("SADD", keys.series_index("chain"), members)
        if "layouts" in self._doubted:
            for name, writer in self.writers.items():
                commands.add("HSET", keys.series_layouts("chain"), name, writer.series.layout.version)
        self.recent.flush(keys, commands)
        days = sorted(self.largest.changed)
        _write(commands, keys.history_largest, {f"{day}:{era}": self.largest.get((day, era)) for day, era in days})
        _write(commands, keys.history_pools, {str(day): self.pools.get(day) for day in sorted(self.pools.changed)})
        for pool, name in self._named.items():
            commands.add("HSET", keys.state(domains.HISTORY), pools.name_field(pool), name)
        if spine.tip_hash:
            commands.add("HSET", keys.state(domains.HISTORY), "state", encode(self._state()))
            layouts.mark_state(commands, keys.checkpoint(domains.HISTORY), LAYOUT)
        self.largest.changed, self.pools.changed, self._named, self._doubted = set(), set(), {}, set()
        self._began_anew = self._dirty = False
        return changed

    def _empty(self, commands: Commands) -> None:
        """Take away what counts no more, and have written whole what is in doubt."""
        keys = self._keys
        if self._began_anew:
            self.views_written = False
            for key in (
                keys.state(domains.HISTORY), keys.history_recent, keys.history_largest, keys.history_pools,
                keys.views(domains.HISTORY),
            ):  # fmt: skip
                commands.add("DEL", key)
        if "recent" in self._doubted:
            commands.add("DEL", keys.history_recent)
            self.recent.rewrite()
        if "largest" in self._doubted:
            commands.add("DEL", keys.history_largest)
            self.largest.rewrite()
        if "pools" in self._doubted:
            commands.add("DEL", keys.history_pools)
            self.pools.rewrite()
        if "index" in self._doubted:
            commands.add("DEL", keys.series_index("chain"))
        if "state" in self._doubted:
            self._named = dict(self.pool_names)

    def _state(self) -> State:
        spine, segments = self.spine, [len(writer.known) for writer in self.writers.values()]
        counts = Counts(
            self.recent.listed, len(self.largest), len(self.pools), len(self.pool_names), sum(segments),
            sum(count > 0 for count in segments), self.views_written,
        )  # fmt: skip
        return State(
            spine.first, spine.tip, spine.floor_hash, spine.tip_hash, self.measured.intervals,
            self.given_up.intervals, self.lost.intervals, counts,
        )  # fmt: skip


def _write(commands: Commands, key: str, fields: Mapping[str, bytes]) -> None:
    """Set the fields; those without a value go."""
    written: list[Argument] = [part for name, value in fields.items() if value for part in (name, value)]
    removed: list[Argument] = [name for name, value in fields.items() if not value]
    commands.spread("HSET", key, written)
    commands.spread("HDEL", key, removed)

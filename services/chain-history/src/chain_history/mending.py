"""What is lost is made again.

Memory holds every header, all sums and the newest blocks. What only an older block itself tells is wanted again from
the backfill, and counted once all the same. Headers that are gone when the fold starts are not known to anybody here:
then everything begins anew (chain_history.loading).
"""

from __future__ import annotations

from typing import Final

from chain_history.coverage import Coverage
from chain_history.pools import PoolsByDay
from chain_history.store import Store
from shared import pools, redis
from shared.keys import REORG_BLOCKS, Keys
from shared.networks import RETARGET_INTERVAL
from shared.pools import Share
from shared.records import MINED_BLOCK
from shared.series import BLOCKS, DAY, DAYS, HEADERS, HOURS, RETARGETS, WEEKS, read
from shared.watch import Losses

MINED: Final = BLOCKS.read_as(MINED_BLOCK)
"""Of each block what is counted of it by pool."""

_BUCKETS: Final = {HOURS.name, DAYS.name, WEEKS.name}


def mend(store: Store, losses: Losses) -> None:
    """Have written anew what memory still holds, and want the rest again."""
    for name, segment in losses.segments:
        writer, spine = store.writers[name], store.spine
        writer.forget([segment])
        first = segment * writer.series.segment
        last = first + writer.series.segment - 1
        if writer.series is HEADERS:
            for height, header in spine.headers(first, last).items():
                writer.put(height, header)
        elif writer.series is RETARGETS:
            for period in range(max(first, -(-spine.first // RETARGET_INTERVAL)), last + 1):
                if period * RETARGET_INTERVAL > spine.tip:
                    break
                writer.put(period, spine.header(period * RETARGET_INTERVAL))
        elif writer.series is BLOCKS:
            for low, high in store.measured.within(first, last):
                for height in range(low, high + 1):
                    recent = store.recent.get(height)
                    if recent is not None and recent.block is not None:
                        writer.put(height, recent.block)
                    else:
                        store.lost.add(height, height)
        # hours, days and weeks are in the writer as a whole
    store.doubt(losses.parts)


async def make_again(store: Store, client: redis.Client, keys: Keys, losses: Losses) -> None:
    """After a restart: as `mend`, and what only a running fold had in memory is made of what is there.

    Raises ValueError where that cannot be.
    """
    newest = store.spine.tip - REORG_BLOCKS + 1
    if "pools" in losses.parts or _BUCKETS & {name for name, _ in losses.segments}:
        await _sum_up(store, client, keys)
    if "recent" in losses.parts:
        for first, last in store.measured.within(newest, store.spine.tip):
            store.lost.add(first, last)
    if "largest" in losses.parts:
        for first, last in store.measured.intervals:
            store.lost.add(first, last)
    mend(store, losses)


async def count_pools(store: Store, client: redis.Client, keys: Keys) -> bool:
    """Pools anew of the blocks that are there; whether these are all that are measured. Changes nothing else.

    A third of the time that all sums take: what an older layout left is converted so, where nothing is lost.
    """
    found: dict[int, dict[int, Share]] = {}
    counted, size = 0, MINED.segment
    for first, last in store.measured.intervals:
        for low in range(first - first % size, last + 1, size):
            for height, block in await read(client, keys, MINED, max(low, first), min(low + size - 1, last)):
                share = pools.of_block(block, store.subsidy(height))
                day = found.setdefault(block.time // DAY, {})
                day[share.pool] = pools.together(day[share.pool], share) if share.pool in day else share
                counted += 1
    store.pools = PoolsByDay({day: pools.pack(shares.values()) for day, shares in found.items()})
    return counted == len(store.measured)


async def _sum_up(store: Store, client: redis.Client, keys: Keys) -> None:
    """Buckets and pools anew, of the headers and of the blocks that are there; newest first, so that old hours go."""
    before, spine, size = store.measured, store.spine, BLOCKS.segment
    store.measured, store.pools = Coverage(), PoolsByDay()
    store.buckets.reset()
    for segment in range(spine.tip // size, spine.first // size - 1, -1):
        first, last = segment * size, segment * size + size - 1
        headers = spine.headers(first, last)
        store.buckets.headers(headers.values(), 1)
        blocks = {at: block for at, block in await read(client, keys, BLOCKS, first, last) if at in before}
        for height, block in blocks.items():
            store.measured.add(height, height)
            store.count_pool(height, block, 1)
        store.buckets.blocks(blocks.items(), 1)
    for first, last in before.less(store.measured).intervals:
        store.lost.cut(first, last)  # not counted any more
        if last > spine.tip - REORG_BLOCKS:
            raise ValueError(f"statistics of blocks up to {last} are gone together with the sums over them")

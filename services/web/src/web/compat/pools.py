"""`/api/v1/mining/pools/{interval}` with mempool.space's shape: who mined how many blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from shared.pools import UNKNOWN, Share, of_block
from shared.series import DAY, HOUR, HOURS
from shared.views import HistoryView
from web.charts.data.reading import MINED_BLOCKS, SeriesReader
from web.compat.mining import EACH_BLOCK, INTERVALS, begin
from web.compat.past import Asked, Pasts
from web.miners.figures import slug_of

PASTS: Final = Pasts(INTERVALS, "history")


@PASTS.get("/api/v1/mining/pools/{interval}")
async def pools(asked: Asked) -> dict[str, Any]:
    """Exact up to a week; over longer intervals of whole days (UTC)."""
    reader, history, tip, interval, now = asked.reader, asked.history, asked.tip, asked.interval, asked.now
    start = begin(interval, now)
    exact = INTERVALS.get(interval, now) <= EACH_BLOCK
    first = max(start, reader.network.genesis_time) // DAY
    found, names = await reader.pools_together(1 if exact else first, 0 if exact else max(now, history.time) // DAY)
    if exact:
        heights = await reader.heights(start, now, history)
        blocks = await reader.read(MINED_BLOCKS, heights.start, heights.stop - 1)
        subsidy = reader.network.subsidy
        shares = counted(of_block(block, subsidy(height)) for height, block in blocks if block.time >= start)
    else:
        shares = counted(found)
    ranked = sorted(shares.items(), key=lambda item: (-item[1][0], names.get(item[0], "")))
    return {
        "pools": [_pool(rank, pool, names, *share) for rank, (pool, share) in enumerate(ranked, 1)],
        "blockCount": sum(blocks for blocks, _ in shares.values()),
        "lastEstimatedHashrate": tip.hashrate if tip else 0,
        "lastEstimatedHashrate3d": await _three_days(reader, history),
        "lastEstimatedHashrate1w": tip.hashrate_7d if tip else 0,
    }


def counted(shares: Iterable[Share]) -> dict[int, tuple[int, int]]:
    """Blocks and empty blocks by pool."""
    found: dict[int, tuple[int, int]] = {}
    for share in shares:
        blocks, empty = found.get(share.pool, (0, 0))
        found[share.pool] = (blocks + share.blocks, empty + share.empty)
    return found


def _pool(rank: int, pool: int, names: dict[int, str], blocks: int, empty: int) -> dict[str, Any]:
    name = names.get(pool, f"Pool {pool}") if pool != UNKNOWN else "Unknown"
    return {
        "poolId": pool,
        "name": name,
        "link": "",
        "blockCount": blocks,
        "rank": rank,
        "emptyBlocks": empty,
        "slug": slug_of(name),
        "avgMatchRate": None,  # nobody compares blocks with what the mempool promised
        "avgFeeDelta": None,
        "poolUniqueId": pool,
    }


async def _three_days(reader: SeriesReader, history: HistoryView) -> float:
    """H/s over the 72 hours that end with the tip's."""
    last = history.time // HOUR
    hours = await reader.read(HOURS, last - 71, last)
    seconds = history.time - (last - 71) * HOUR
    return sum(bucket.work for _, bucket in hours) / seconds if seconds > 0 else 0.0

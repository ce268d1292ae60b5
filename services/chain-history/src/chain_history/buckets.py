"""Hours, days and weeks: sums over the blocks whose own time lies in them, and the hashrate at their end.

Every sum is of whole numbers, so that a block taken back leaves exactly what was there before it, in whatever order
blocks came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chain_history.hashrate import HashrateEstimates
from shared.commit import Commands
from shared.keys import Keys
from shared.networks import Network
from shared.pow import work
from shared.records import NO_BUCKET, Block, Bucket, Header
from shared.series import DAYS, HOURS, WEEKS, Series
from shared.series_writer import SeriesWriter

ALL: Final[tuple[Series[Bucket], ...]] = (HOURS, DAYS, WEEKS)

_SUMS: Final = len(NO_BUCKET) - 5 - 2 + len(NO_BUCKET.percentiles) + len(NO_BUCKET.output_bands)


class Buckets:
    """All buckets of all sizes."""

    def __init__(self, keys: Keys, network: Network) -> None:
        self._network = network
        self.writers = {series.name: SeriesWriter(series, keys, mirrored=True) for series in ALL}
        self._hashrates = HashrateEstimates(self.writers)

    def settled(self, first_time: int, end_time: int, *, genesis: bool) -> None:
        """The writers hold what was stored when `settle` was called with these."""
        self._hashrates = HashrateEstimates(self.writers, first_time, end_time, genesis=genesis)

    def reset(self) -> None:
        """Forget everything."""
        for writer in self.writers.values():
            writer.reset()
        self._hashrates = HashrateEstimates(self.writers)

    def headers(self, headers: Iterable[Header], sign: int) -> None:
        """Count these headers in (`sign` 1) or out (-1)."""
        known = [(header.time, work(header.bits)) for header in headers]
        for writer in self.writers.values():
            found: dict[int, tuple[int, int]] = {}
            for time, amount in known:
                index = writer.series.index(time)
                count, total = found.get(index, (0, 0))
                found[index] = (count + sign, total + sign * amount)
            for index, (count, total) in found.items():
                bucket = writer.get(index) or NO_BUCKET
                changed = bucket._replace(headers=bucket.headers + count, work=bucket.work + total)
                writer.put(index, changed if changed.headers else None)
            self._hashrates.work_changed(writer.series, found)

    def blocks(self, blocks: Iterable[tuple[int, Block]], sign: int) -> None:
        """Count these measured blocks, by height, in (`sign` 1) or out (-1). Their headers are there."""
        known = [(block.time, _sums(height, block, self._network.subsidy(height))) for height, block in blocks]
        for writer in self.writers.values():
            found: dict[int, list[int]] = {}
            counts: dict[int, int] = {}
            for time, sums in known:
                index = writer.series.index(time)
                held = found.get(index)
                found[index] = list(sums) if held is None else [a + b for a, b in zip(held, sums, strict=True)]
                counts[index] = counts.get(index, 0) + 1
            for index, more in found.items():
                bucket = writer.get(index)
                if bucket is not None:  # None: too old to be kept
                    writer.put(index, _added(bucket, more, counts[index], sign))

    def settle(self, first_time: int, end_time: int, *, genesis: bool) -> None:
        """Estimate hashrates anew where work changed. Times of the lowest header and of the newest, Unix seconds."""
        self._hashrates.settle(first_time, end_time, genesis=genesis)

    def flush(self, commands: Commands) -> list[str]:
        """Commands for what changed; returns the names of the series that did."""
        return [name for name, writer in self.writers.items() if writer.flush(commands)]


def _sums(height: int, block: Block, subsidy: int) -> tuple[int, ...]:
    return (height, *block[:8], subsidy, *block.percentiles, block.feerate, *block.output_bands)


def _added(bucket: Bucket, more: list[int], count: int, sign: int) -> Bucket:
    held = (*bucket[5:15], *bucket.percentiles, bucket.feerate, *bucket.output_bands)
    sums = [a + sign * b for a, b in zip(held, more, strict=True)]
    shares = (tuple(sums[10:15]), sums[15], tuple(sums[16:]))
    return Bucket._make((bucket.headers, bucket.blocks + sign * count, *bucket[2:5], *sums[:10], *shares))

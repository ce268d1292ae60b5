"""Hashrate by time: the work of the blocks in a day, or in seven, over the seconds in it.

A bucket's estimate is over the time that ends with the bucket. The newest bucket is not over yet, so its time ends
with the newest block, and the newest day and week take theirs from the newest hour. Where the time begins below the
lowest header that is known there is no estimate (0) until those headers have come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from shared.records import Bucket
from shared.series import DAY, DAYS, HOURS, WEEK, WEEKS, Series
from shared.series_writer import SeriesWriter

Estimates = tuple[float, float]
"""H/s over a day and over seven days."""


class HashrateEstimates:
    """Knows which buckets must be estimated anew, and does it."""

    def __init__(
        self,
        writers: Mapping[str, SeriesWriter[Bucket]],
        first_time: int = 0,
        end_time: int = 0,
        *,
        genesis: bool = False,
    ) -> None:
        self._writers = writers
        self._dirty: dict[str, set[int]] = {name: set() for name in writers}
        self._first_time = first_time  # of the lowest header
        self._end_time = end_time  # of the newest header
        self._genesis = genesis  # whether the lowest header is the chain's first

    def work_changed(self, series: Series[Any], indices: Iterable[int]) -> None:
        """The work in these buckets is another."""
        self._dirty[series.name].update(indices)

    def settle(self, first_time: int, end_time: int, *, genesis: bool) -> None:
        """Estimate anew what is out of date. Unix seconds of the lowest header (perhaps the first) and the newest."""
        for name, writer in self._writers.items():
            index, dirty = writer.series.index, self._dirty[name]
            if end_time != self._end_time:
                dirty.update((index(self._end_time), index(end_time)))
            if (first_time, genesis) != (self._first_time, self._genesis):
                dirty.update((index(self._first_time), index(first_time)))
        self._first_time, self._end_time, self._genesis = first_time, end_time, genesis
        self._estimate(HOURS)
        days = self._estimate(DAYS)
        self._dirty[WEEKS.name].update(day * DAY // WEEK for day in days)
        self._estimate(WEEKS)

    def _stored(self, series: Series[Any], index: int) -> Estimates:
        bucket = self._writers[series.name].get(index)
        return (bucket.hashrate_1d, bucket.hashrate_7d) if bucket else (0.0, 0.0)

    def _estimate(self, series: Series[Any]) -> list[int]:
        """Estimate the buckets that rest on a dirty one; returns those that came out different."""
        writer, dirty = self._writers[series.name], self._dirty[series.name]
        self._dirty[series.name] = set()
        reach = max(1, WEEK // series.step)
        newest = series.index(self._end_time)
        changed: list[int] = []
        for first, last in _runs(dirty, reach):
            low, high = max(first, series.oldest(newest)), min(last, newest)
            buckets = [writer.get(index) for index in range(low - reach + 1, high + 1)]
            sums = [0, *accumulate(bucket.work if bucket else 0 for bucket in buckets)]
            for index, (place, bucket) in zip(
                range(low, high + 1), list(enumerate(buckets, 1))[reach - 1 :], strict=True
            ):
                if bucket is None:
                    continue
                if index == newest and series is not HOURS:
                    rates = self._stored(HOURS, HOURS.index(self._end_time))
                else:
                    rates = self._over(series, DAY, sums, place, index), self._over(series, WEEK, sums, place, index)
                if rates != (bucket.hashrate_1d, bucket.hashrate_7d):
                    writer.put(index, bucket._replace(hashrate_1d=rates[0], hashrate_7d=rates[1]))
                    changed.append(index)
        return changed

    def _over(self, series: Series[Any], span: int, sums: list[int], place: int, index: int) -> float:
        """H/s over `span` seconds up to the end of a bucket; `sums[place]` is all work up to it."""
        until = (index + 1) * series.step
        if span < series.step:  # a week's last day
            return self._stored(DAYS, until // DAY - 1)[0]
        count = span // series.step
        begin = until - span
        if begin < self._first_time and not self._genesis:
            return 0.0
        seconds = min(until, self._end_time) - max(begin, self._first_time)
        return (sums[place] - sums[place - count]) / seconds if seconds > 0 else 0.0


def _runs(dirty: set[int], reach: int) -> list[tuple[int, int]]:
    """The indices that rest on dirty ones, as few intervals."""
    runs: list[tuple[int, int]] = []
    for index in sorted(dirty):
        if runs and index <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], index + reach - 1)
        else:
            runs.append((max(index, 0), index + reach - 1))
    return runs

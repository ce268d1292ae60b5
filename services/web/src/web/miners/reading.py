"""Reads what the figures of mining pools are made of: each block up to a week, whole days (UTC) beyond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.pools import Share, of_block, together
from shared.pow import work
from shared.records import BucketWork, MinedBlock
from shared.series import DAY, HEADERS
from shared.views import HistoryView
from web.charts import span as spans
from web.charts.data import measured
from web.charts.data.reading import DAY_WORK, HEADER_TIMES, MINED_BLOCKS, SeriesReader
from web.miners.figures import Over, Span, ranked

RANGES: Final[dict[str, int | None]] = {"1d": DAY, "1w": 7 * DAY, "1m": 30 * DAY, "1y": 365 * DAY, "all": None}
"""Seconds of each range; None: all there is."""

USUAL: Final = "1w"
"""The range that is meant where none is asked for."""

EACH_BLOCK: Final = 7 * DAY
"""Seconds of the longest range that is counted block by block."""

SHOWN_DAYS: Final = 60
"""Days of the picture of a pool's blocks a day, today among them."""

LAST: Final = 20
"""Blocks of a pool that are listed."""

_BEGINS_LATE: Final = 30 * DAY
"""A genesis block so much older than the block on it was not mined by this chain's miners."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What lies in a span."""

    headers: int
    work: int  # hashes expected for them
    shares: Sequence[Share]  # of those that are measured
    names: dict[int, str]


@dataclass(frozen=True, slots=True)
class Activity:
    """What a pool did lately."""

    days: tuple[tuple[int, int | None], ...]  # day (Unix time over 86,400) and blocks; None: too few are known of it
    last: tuple[tuple[int, MinedBlock], ...]  # its newest blocks by their heights, newest first


async def over(reader: SeriesReader, history: HistoryView, name: str, now: int) -> Over:
    """All pools over one of RANGES. Raises Unavailable."""
    seconds, end = RANGES[name], max(now, history.time)
    exact = seconds is not None and seconds <= EACH_BLOCK
    start = await _begins(reader, history)
    if seconds is not None:
        start = max(start, now - seconds if exact else (now // DAY + 1) * DAY - seconds)
    first = (reader.network.genesis_time if seconds is None else start) // DAY
    heights = await reader.heights(start if exact else first * DAY, end + 1, history)
    if exact:
        counted = await _by_block(reader, heights, start)
    else:
        counted = await _by_day(reader, first, end // DAY)
    span = await _span(reader, history, Span(name, start, end, heights, None, 0, None, None), counted)
    return ranked(span, counted.shares, counted.names)


async def _begins(reader: SeriesReader, history: HistoryView) -> int:
    """When the chain's miners began, Unix seconds."""
    genesis = reader.network.genesis_time
    begins = await reader.begins(history)
    return begins if begins - genesis > _BEGINS_LATE else genesis


async def _by_block(reader: SeriesReader, heights: range, start: int) -> Counted:
    headers = await reader.read(HEADERS, heights.start, heights.stop - 1)
    inside = [header for _, header in headers if header.time >= start]
    blocks = await reader.read(MINED_BLOCKS, heights.start, heights.stop - 1)
    subsidy = reader.network.subsidy
    shares = _summed(of_block(block, subsidy(height)) for height, block in blocks if block.time >= start)
    _, names = await reader.pools_together(1, 0)  # the names alone
    return Counted(len(inside), sum(work(header.bits) for header in inside), shares, names)


async def _by_day(reader: SeriesReader, first: int, last: int) -> Counted:
    days = [bucket for _, bucket in await reader.read(DAY_WORK, first, last)]
    shares, names = await reader.pools_together(first, last)
    return Counted(sum(day.headers for day in days), sum(day.work for day in days), shares, names)


def _summed(shares: Iterable[Share]) -> list[Share]:
    found: dict[int, Share] = {}
    for share in shares:
        found[share.pool] = together(found[share.pool], share) if share.pool in found else share
    return list(found.values())


async def _span(reader: SeriesReader, history: HistoryView, span: Span, counted: Counted) -> Span:
    """The span with what of it is known."""
    lowest, known = history.first_header, sum(share.blocks for share in counted.shares)
    since = span.start
    whole = lowest == 0 or span.heights.start > lowest
    if not whole:
        times = await reader.read(HEADER_TIMES, lowest, lowest)
        since = max([since, *(time for _, time in times)])
    blocks = history.height + 1 if RANGES[span.name] is None else counted.headers if whole else None
    seconds = span.end - since
    asked = spans.Span(span.name, span.start, span.end)
    if not counted.headers:
        notice = measured.nothing(history, asked)
    elif blocks is not None and known >= blocks:
        notice = ""
    else:
        notice = measured.notice(history, span.start) or measured.header_notice(history, span.start, None)
    return Span(
        name=span.name,
        start=span.start,
        end=span.end,
        heights=span.heights,
        blocks=blocks,
        known=known,
        hashrate=counted.work / seconds if counted.work and seconds > 0 else None,
        newest=history.time if counted.headers else None,
        notice=notice,
    )


# --- one pool ---------------------------------------------------------------------------------------------


async def activity(reader: SeriesReader, history: HistoryView, pool: int, now: int) -> Activity:
    """What a pool did lately. Raises Unavailable."""
    today = max(now, history.time) // DAY
    found = await reader.days_of(pool, reader.network.genesis_time // DAY, today)
    shown = range(today - SHOWN_DAYS + 1, today + 1)
    buckets = dict(await reader.read(DAY_WORK, shown.start, today))
    lowest = min(buckets, default=today) if history.first_header else 0
    days = [(day, found.get(day, 0) if day >= lowest and _known(buckets.get(day)) else None) for day in shown]
    return Activity(tuple(days), tuple(await _last(reader, history, pool, found)))


def _known(bucket: BucketWork | None) -> bool:
    """Whether a day's blocks are known well enough: half of them, or that there are none."""
    return bucket is None or bucket.blocks * 2 >= bucket.headers


async def _last(
    reader: SeriesReader, history: HistoryView, pool: int, days: dict[int, int]
) -> list[tuple[int, MinedBlock]]:
    """The pool's newest blocks, from the newest days that hold enough of them."""
    wanted: set[int] = set()
    for day in sorted(days, reverse=True):
        wanted.add(day)
        if sum(days[one] for one in wanted) >= LAST:
            break
    found: list[tuple[int, MinedBlock]] = []
    for first, last in _runs(sorted(wanted)):
        heights = await reader.heights(first * DAY, (last + 1) * DAY, history)
        blocks = await reader.read(MINED_BLOCKS, heights.start, heights.stop - 1)
        found += [one for one in blocks if one[1].pool == pool and first <= one[1].time // DAY <= last]
    return sorted(found, key=lambda one: -one[0])[:LAST]


def _runs(days: list[int]) -> list[tuple[int, int]]:
    """Rising days as few intervals."""
    runs: list[tuple[int, int]] = []
    for day in days:
        if runs and runs[-1][1] == day - 1:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs

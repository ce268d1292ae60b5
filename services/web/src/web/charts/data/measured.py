"""What blocks hold, by block, hour, day or week: read once for all figures of a chart, as the same kind of record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.networks import Network
from shared.records import NO_BUCKET, Block, Bucket, Header
from shared.series import BLOCKS, DAY, DAYS, HEADERS, HOUR, HOURS, WEEKS, Series
from shared.views import HistoryView
from web.charts import span as spans
from web.charts.data.reading import HEADER_TIMES, SeriesReader
from web.charts.span import Grain, Span
from web.words import formats, moments
from web.words.sentence import count, say, shown

_SERIES: Final[dict[Grain, Series[Bucket]]] = {"hour": HOURS, "day": DAYS, "week": WEEKS}

WINDOWS: Final[dict[Grain, tuple[int, str]]] = {
    "block": (144, say("Moving average of 144 blocks")),
    "hour": (24, say("Moving average of 24 hours")),
    "day": (7, say("Moving average of 7 days")),
    "week": (4, say("Moving average of 4 weeks")),
}
"""Points that a moving average is over, and what a legend calls it."""

_EACH: Final[dict[Grain, str]] = {
    "block": say("each block"),
    "hour": say("each hour"),
    "day": say("each day"),
    "week": say("each week"),
}

LONGEST_DETAIL: Final = 90 * DAY
"""Spans up to this may be shown by block or by hour, so their heights are looked up."""

SOURCE: Final = say("Statistics of your node's blocks")
SOURCE_OF_BOTH: Final = say("Statistics of your node's blocks and its mempool")


@dataclass(frozen=True, slots=True)
class Samples:
    """Buckets in rising time. None: not measured, or not well enough. The first `lead` lie before the span."""

    grain: Grain
    times: list[int]  # a block's own time, else the bucket's first second
    buckets: list[Bucket | None]
    lead: int
    tip_time: int

    @property
    def resolution(self) -> str:
        """What one point stands for."""
        return _EACH[self.grain]

    @property
    def window(self) -> int:
        """Points of the moving average."""
        return WINDOWS[self.grain][0]

    @property
    def average(self) -> str:
        """What the moving average is called."""
        return WINDOWS[self.grain][1]

    @property
    def as_of(self) -> int | None:
        """Time that the newest point speaks of."""
        for time, bucket in zip(reversed(self.times), reversed(self.buckets), strict=True):
            if bucket is not None:
                step = spans.STEPS[self.grain]
                return min(time + step, max(self.tip_time, time)) if step else time
        return None


async def measured(reader: SeriesReader, history: HistoryView, span: Span) -> Samples:
    """The samples of a span, with as many before it as a moving average needs."""
    heights: range | None = None
    if span.seconds <= LONGEST_DETAIL or history.height < spans.SHORT_CHAIN:
        heights = await reader.heights(span.start, span.end, history)
    grain = spans.grain(span, None if heights is None else len(heights), history.time)
    if grain == "block" and heights is not None:
        return await _by_block(reader, history, span, heights)
    first, lead = _first_index(span, grain)
    last = min(span.end - 1, max(history.time, span.start)) // spans.STEPS[grain]
    if grain == "hour" and heights is not None and not spans.hours_kept(span, history.time):
        found = await _hours(reader, history, first - lead, last)
    else:
        found = dict(await reader.read(_SERIES[grain], first - lead, last))
    return _dense(grain, found, range(first - lead, last + 1), lead, history)


def _first_index(span: Span, grain: Grain) -> tuple[int, int]:
    """The first whole bucket of the span, and how many before it are wanted; `all` begins with the first block's."""
    step = spans.STEPS[grain]
    index = span.start // step if span.range == "all" else -(-span.start // step)
    return index, min(WINDOWS[grain][0] - 1, index)


def _dense(grain: Grain, found: dict[int, Bucket], indices: range, lead: int, history: HistoryView) -> Samples:
    """Every bucket in turn: one without a block is empty, not missing."""
    step = spans.STEPS[grain]
    buckets = [_trusted(found.get(index, NO_BUCKET)) for index in indices]
    if history.first_header > 0 and found:  # below the lowest header nothing is known
        lowest = min(found)
        buckets = [None if index < lowest else bucket for index, bucket in zip(indices, buckets, strict=True)]
    return Samples(grain, [index * step for index in indices], buckets, lead, history.time)


def _trusted(bucket: Bucket) -> Bucket | None:
    """None where less than half of the blocks is measured: what is known then is no mean of them all."""
    return None if bucket.blocks * 2 < bucket.headers else bucket


def whole(bucket: Bucket | None) -> Bucket | None:
    """None where any block is not measured: a sum would be too low."""
    return bucket if bucket is not None and bucket.blocks == bucket.headers else None


async def _by_block(reader: SeriesReader, history: HistoryView, span: Span, heights: range) -> Samples:
    lead = min(WINDOWS["block"][0] - 1, heights.start - history.first_header)
    found = dict(await reader.read(BLOCKS, heights.start - lead, heights.stop - 1))
    points = [(block.time, height) for height, block in found.items()]
    if len(found) < lead + len(heights):  # the others are gaps at their own times
        known = await reader.read(HEADER_TIMES, heights.start - lead, heights.stop - 1)
        points += [(time, height) for height, time in known if height not in found]
    before = sorted((height, time) for time, height in points if height < heights.start)
    inside = sorted((time, height) for time, height in points if height >= heights.start)
    shown = [(time, height) for height, time in before]
    shown += [(time, height) for time, height in inside if span.start <= time < span.end]
    return Samples(
        "block",
        [time for time, _ in shown],
        [as_bucket(height, found[height], reader.network) if height in found else None for _, height in shown],
        len(before),
        history.time,
    )


async def _hours(reader: SeriesReader, history: HistoryView, first: int, last: int) -> dict[int, Bucket]:
    """Hours that are not kept any more, summed up from their blocks."""
    heights = await reader.heights(first * HOUR, (last + 1) * HOUR, history)
    headers = await reader.read(HEADERS, heights.start, heights.stop - 1)
    blocks = dict(await reader.read(BLOCKS, heights.start, heights.stop - 1))
    return _summed(headers, blocks, reader.network)


def _summed(headers: Iterable[tuple[int, Header]], blocks: dict[int, Block], network: Network) -> dict[int, Bucket]:
    found: dict[int, Bucket] = {}
    for height, header in headers:
        index = header.time // HOUR
        held = found.get(index, NO_BUCKET)
        block = blocks.get(height)
        more = NO_BUCKET._replace(headers=1) if block is None else as_bucket(height, block, network)
        found[index] = plus(held, more)
    return found


def plus(one: Bucket, other: Bucket) -> Bucket:
    """Two buckets as one; without hashrates of its own."""
    numbers = [a + b for a, b in zip(one[:15], other[:15], strict=True)]
    percentiles = tuple(a + b for a, b in zip(one.percentiles, other.percentiles, strict=True))
    bands = tuple(a + b for a, b in zip(one.output_bands, other.output_bands, strict=True))
    return Bucket._make((*numbers, percentiles, one.feerate + other.feerate, bands))


def as_bucket(height: int, block: Block, network: Network) -> Bucket:
    """A bucket of this one block; without its work."""
    return Bucket(
        1, 1, 0, 0.0, 0.0, height, *block[:8], network.subsidy(height), block.percentiles, block.feerate,
        block.output_bands,
    )  # fmt: skip


# --- words ------------------------------------------------------------------------------------------------


def notice(history: HistoryView, start: int) -> str:
    """What is missing of blocks' statistics since `start`; empty where nothing is."""
    if history.measured_from == 0 or (history.measured_from_time is not None and history.measured_from_time <= start):
        return ""
    wanted = max(1, history.height + 1 - history.unavailable)
    lacking = history.height + 1 - history.measured
    done = min(99, history.measured * 100 // wanted)
    if history.measured and (history.measured_from is None or lacking < history.measured_from):  # more below the gap
        if not history.complete:
            return count(
                "Statistics of %(number)s block are not there yet: they are left out, and being fetched: "
                "%(done)s %% done.",
                "Statistics of %(number)s blocks are not there yet: they are left out, and being fetched: "
                "%(done)s %% done.",
                lacking,
                done=done,
            )
        return count(
            "Your nodes have not given %(number)s block, pruned or not readable: there is a gap until one does.",
            "Your nodes have not given %(number)s blocks, pruned or not readable: there is a gap until one does.",
            lacking,
        )
    known = say("Block statistics are not known yet")
    if history.measured_from_time is not None:
        known = say("Block statistics are known from %(day)s on", day=day(history.measured_from_time))
    if not history.complete:
        return say("%(known)s; older ones are being fetched: %(done)s %% done.", known=known, done=done)
    if not history.unavailable:
        return ""
    return say("%(known)s: your nodes have not given older ones, pruned or not readable.", known=known)


def header_notice(history: HistoryView, start: int, first_time: int | None) -> str:
    """What is missing of headers since `start`, with the time of an early one that is known; empty where nothing is."""
    if history.first_header == 0 or (first_time is not None and first_time <= start):
        return ""
    height = shown(formats.whole, history.first_header)
    return say("Headers are known from block %(height)s on; older ones are being fetched.", height=height)


def day(seconds: int) -> str:
    """A date in words."""
    return shown(moments.date, seconds)


def nothing(history: HistoryView, span: Span) -> str:
    """Why a figure of blocks has no point, and what happens next."""
    if history.time < span.start:
        return say(
            "There is no block in this time: the newest one known is of %(day)s. New blocks appear by themselves.",
            day=day(history.time),
        )
    missing = notice(history, span.start)
    return missing or say("There is no block in this time.")

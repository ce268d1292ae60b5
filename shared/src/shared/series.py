"""Series: records by index, kept in segments of fixed size, so that a range is one GETRANGE a segment.

An index is a height, the number of a retarget period, or Unix time divided by the series' step. A series has one
writer (shared.series_writer) and any number of readers (`read`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from shared import keys as k
from shared import layouts, price_records, records, redis
from shared.errors import TooLong, UnknownLayout
from shared.keys import Keys
from shared.packing import Layout
from shared.prices import DIRECT

R = TypeVar("R")
S = TypeVar("S")

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
WEEK: Final = 7 * DAY

MOST_SEGMENTS: Final = 1_024
"""Segments of one reading at most: those of two million blocks."""


@dataclass(frozen=True, slots=True)
class Series(Generic[R]):
    """One series. `step` is the seconds from one index to the next, 0 where the index is no time."""

    name: str
    domain: str
    layout: Layout[R]
    segment: int  # records in one segment
    step: int = 0
    keep: int = 0  # newest records that are kept; 0: all
    observed: bool = False  # indices are from a clock, which may be wrong: what is kept is counted in segments

    @property
    def size(self) -> int:
        """Bytes of a segment: each is written whole."""
        return self.segment * self.layout.width

    def index(self, time: int) -> int:
        """The index of the span that a moment (Unix seconds) lies in."""
        return time // self.step

    def read_as(self, layout: Layout[S]) -> Series[S]:
        """The same bytes, of which a reader takes only what it needs."""
        return Series(self.name, self.domain, layout, self.segment, self.step, self.keep, self.observed)

    def oldest(self, newest: int) -> int:
        """The lowest index that is kept when `newest` is the highest: segments go as a whole."""
        return max(0, (newest - self.keep + 1) // self.segment * self.segment) if self.keep else 0

    def outlived(self, segments: Collection[int], newest: int) -> set[int]:
        """Of the segments that there are, those that are not kept when `newest` is the highest index.

        Where a clock says the index, one look from a far future would make all others old. So the newest segments
        are kept whatever time they are of, and such a look costs one of them at most.
        """
        if self.keep and self.observed:
            kept = -(-self.keep // self.segment) + 2  # at least `keep` records however they lie, and one to lose
            return set(sorted(segments)[:-kept])
        oldest = self.oldest(newest)
        return {segment for segment in segments if (segment + 1) * self.segment <= oldest}


HEADERS: Final = Series("headers", "chain", records.HEADER, k.SEGMENT_BLOCKS)
BLOCKS: Final = Series("blocks", "chain", records.BLOCK, k.SEGMENT_BLOCKS)
RETARGETS: Final = Series("retargets", "chain", records.HEADER, 512)
"""The first header of each retarget period, by the period's number."""

HOURS: Final = Series("hours", "chain", records.BUCKET, k.HOUR_SEGMENT, HOUR, k.HOURS_KEEP)
DAYS: Final = Series("days", "chain", records.BUCKET, k.DAY_SEGMENT, DAY)
WEEKS: Final = Series("weeks", "chain", records.BUCKET, k.WEEK_SEGMENT, WEEK)
"""Weeks begin on Thursdays, as Unix time does."""

FLOW_10S: Final = Series("flow-10s", "mempool", records.FLOW, k.FLOW_10S_SEGMENT, 10, k.FLOW_10S_KEEP, True)
FLOW_MINUTES: Final = Series(
    "flow-minutes", "mempool", records.FLOW, k.FLOW_MINUTE_SEGMENT, MINUTE, k.FLOW_MINUTE_KEEP, True
)
FLOW_HOURS: Final = Series("flow-hours", "mempool", records.FLOW, k.MEMPOOL_HOUR_SEGMENT, HOUR)
CONGESTION_MINUTES: Final = Series(
    "congestion-minutes",
    "mempool",
    records.CONGESTION,
    k.CONGESTION_MINUTE_SEGMENT,
    MINUTE,
    k.CONGESTION_MINUTE_KEEP,
    True,
)
CONGESTION_HOURS: Final = Series("congestion-hours", "mempool", records.CONGESTION, k.MEMPOOL_HOUR_SEGMENT, HOUR)


def _prices(name: str, segment: int, step: int, keep: int = 0) -> dict[str, Series[price_records.Bar]]:
    return {
        currency: Series(f"price-{name}-{currency}", "market", price_records.BAR, segment, step, keep, bool(keep))
        for currency in DIRECT
    }


PRICE_MINUTES: Final = _prices("minutes", k.PRICE_MINUTE_SEGMENT, MINUTE, k.PRICE_MINUTES_KEEP)
PRICE_HOURS: Final = _prices("hours", k.PRICE_HOUR_SEGMENT, HOUR, k.PRICE_HOURS_KEEP)
PRICE_DAYS: Final = _prices("days", k.DAY_SEGMENT, DAY)
"""What a bitcoin cost, by currency. A day is one in UTC."""

FX_DAYS: Final = Series("fx-days", "market", price_records.RATES, k.DAY_SEGMENT, DAY)
"""The rates of the ECB, on the days on which it set some."""

QUOTE_MINUTES: Final = Series(
    "quote-minutes", "market", price_records.QUOTES, k.QUOTE_MINUTE_SEGMENT, MINUTE, k.QUOTE_MINUTES_KEEP, True
)
"""What each source said last in a minute, so that the price can be worked out again."""

CHAIN_SERIES: Final[tuple[Series[Any], ...]] = (HEADERS, BLOCKS, RETARGETS, HOURS, DAYS, WEEKS)
MEMPOOL_SERIES: Final[tuple[Series[Any], ...]] = (
    FLOW_10S, FLOW_MINUTES, FLOW_HOURS, CONGESTION_MINUTES, CONGESTION_HOURS,
)  # fmt: skip

MARKET_SERIES: Final[tuple[Series[Any], ...]] = (
    *PRICE_MINUTES.values(), *PRICE_HOURS.values(), *PRICE_DAYS.values(), FX_DAYS, QUOTE_MINUTES,
)  # fmt: skip


async def read(client: redis.Client, keys: Keys, series: Series[R], first: int, last: int) -> list[tuple[int, R]]:
    """(index, record) of all that is there from `first` to `last`, ascending. One round trip.

    Raises UnknownLayout where it is stored in another layout, now or by the time it was read.
    """
    first = max(first, 0)
    if last < first:
        return []
    width, size = series.layout.width, series.segment
    segments = range(first // size, last // size + 1)
    if len(segments) > MOST_SEGMENTS:
        most = MOST_SEGMENTS * size
        raise TooLong(f"the series {series.name} is asked for {first} to {last}: expected {most} records at most")
    layout_of = keys.series_layouts(series.domain), series.name
    pipeline = client.pipeline(transaction=False)
    pipeline.hget(*layout_of)
    for segment in segments:
        start, end = max(first - segment * size, 0), min(last - segment * size, size - 1)
        pipeline.getrange(keys.series(series.domain, series.name, segment), start * width, end * width + width - 1)
    pipeline.hget(*layout_of)
    before, *raws, after = await pipeline.execute()
    if any(raws):
        _check_layout(series, before)
        _check_layout(series, after)
    found: list[tuple[int, R]] = []
    for segment, raw in zip(segments, raws, strict=True):
        there = enumerate(series.layout.records(raw), max(first, segment * size))
        found += [(index, record) for index, record in there if record is not None]
    return found


async def lost(client: redis.Client, keys: Keys, series: Series[Any], segments: Iterable[int]) -> list[int]:
    """Those of the segments that the index says are there, and are not. One round trip."""
    asked = list(segments)
    pipeline = client.pipeline(transaction=False)
    for segment in asked:
        pipeline.sismember(keys.series_index(series.domain), f"{series.name}:{segment}")
        pipeline.exists(keys.series(series.domain, series.name, segment))
    answers = await pipeline.execute()
    listed, there = answers[::2], answers[1::2]
    return [one for one, said, exists in zip(asked, listed, there, strict=True) if said and not exists]


def _check_layout(series: Series[Any], stored: bytes | None) -> None:
    """For a reader: what is stored must be just what it knows."""
    what, wanted = f"the series {series.name}", series.layout.version
    if (version := layouts.understood(stored, wanted, what)) != wanted:
        raise UnknownLayout(f"{what} is stored in layout {version} until its service has converted it to {wanted}")


async def segments_of(client: redis.Client, keys: Keys, domain: str) -> dict[str, set[int]]:
    """The segments that exist, by the name of their series."""
    found: dict[str, set[int]] = {}
    for member in await client.smembers(keys.series_index(domain)):
        name, _, segment = member.decode().rpartition(":")
        found.setdefault(name, set()).add(int(segment))
    return found

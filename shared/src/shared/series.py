"""Series: records by index, kept in segments of fixed size, so that a range is one GETRANGE a segment.

An index is a height, the number of a retarget period, or Unix time divided by the series' step. A series has one
writer (`SeriesWriter`) and any number of readers (`read`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from shared import keys as k
from shared import layouts, records, redis
from shared.commit import Commands
from shared.errors import TooLong, UnknownLayout
from shared.keys import Keys
from shared.records import Layout

R = TypeVar("R")

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

    def index(self, time: int) -> int:
        """The index of the span that a moment (Unix seconds) lies in."""
        return time // self.step

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

CHAIN_SERIES: Final[tuple[Series[Any], ...]] = (HEADERS, BLOCKS, RETARGETS, HOURS, DAYS, WEEKS)
MEMPOOL_SERIES: Final[tuple[Series[Any], ...]] = (
    FLOW_10S, FLOW_MINUTES, FLOW_HOURS, CONGESTION_MINUTES, CONGESTION_HOURS,
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
    unpack = series.layout.unpack
    for segment, raw in zip(segments, raws, strict=True):
        index = max(first, segment * size)
        for at in range(0, len(raw) - width + 1, width):
            record = unpack(raw, at)
            if record is not None:
                found.append((index, record))
            index += 1
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


class SeriesWriter(Generic[R]):
    """A series as its one writer holds it: what is to be written, and, where `mirrored`, everything that was."""

    def __init__(self, series: Series[R], keys: Keys, *, mirrored: bool) -> None:
        self.series = series
        self._keys = keys
        self._mirrored = mirrored
        self._known: set[int] = set()
        self._segments: dict[int, bytearray] = {}
        self._pending: dict[int, bytes] = {}
        self._dropped: set[int] = set()
        self._newest = -1

    async def load(self, client: redis.Client, segments: Iterable[int]) -> None:
        """Take over what is stored: these segments exist. Where reading fails, nothing has changed.

        An older layout is converted: the next flush writes every segment anew. Raises UnknownLayout for a newer one.
        """
        known, held = set(segments), {}
        layout, size = self.series.layout, self.series.segment
        stored = await client.hget(self._keys.series_layouts(self.series.domain), self.series.name)
        version = layouts.understood(stored, layout.version, f"the series {self.series.name}")
        if known and (self._mirrored or version != layout.version):
            pipeline = client.pipeline(transaction=False)
            ordered = sorted(known)
            for segment in ordered:
                pipeline.get(self._key(segment))
            raws = dict(zip(ordered, await pipeline.execute(), strict=True))
            if stored is None and any(raw is not None and len(raw) == size * layout.width for raw in raws.values()):
                version = layout.version  # only the version was lost
            for segment, raw in raws.items():
                if raw is None or version != layout.version:  # gone all the same, or not in today's form
                    known.discard(segment)
                if raw is not None:
                    held[segment] = self._converted(bytearray(raw), version).ljust(size * layout.width, b"\0")
            if version == layout.version and not self._mirrored:
                held = {}
        self._known, self._segments, self._pending, self._dropped = known, held, {}, set()
        self._newest = self._last()

    def _converted(self, raw: bytearray, version: int) -> bytearray:
        """A segment in today's layout."""
        layout = old = self.series.layout
        while old.version > version and old.before is not None:
            old = old.before
        if old is layout:
            return raw
        records = (old.unpack(raw, at) for at in range(0, len(raw) - old.width + 1, old.width))
        return bytearray(b"".join(bytes(layout.width) if one is None else layout.pack(one) for one in records))

    def _key(self, segment: int) -> str:
        return self._keys.series(self.series.domain, self.series.name, segment)

    def get(self, index: int) -> R | None:
        """The record at an index; None where there is none. For mirrored series."""
        segment, at = divmod(index, self.series.segment)
        held = self._segments.get(segment)
        return None if held is None else self.series.layout.unpack(held, at * self.series.layout.width)

    def _last(self) -> int:
        """The highest index with a record, -1 without one."""
        width, size = self.series.layout.width, self.series.segment
        for segment, held in sorted(self._segments.items(), reverse=True):
            for place in reversed(range(size)):
                if self.series.layout.unpack(held, place * width) is not None:
                    return segment * size + place
        return -1

    def put(self, index: int, record: R | None) -> None:
        """Write a record, None to remove it. One that is too old to be kept is dropped, now or with the next flush."""
        series = self.series
        if index < 0 or (not series.observed and index < series.oldest(self._newest)):
            return
        raw = bytes(series.layout.width) if record is None else series.layout.pack(record)
        self._pending[index] = raw
        segment, at = divmod(index, series.segment)
        held = self._segments.get(segment)
        if held is None and self._mirrored:
            held = self._segments[segment] = bytearray(series.segment * series.layout.width)
        if held is not None:
            held[at * series.layout.width : (at + 1) * series.layout.width] = raw
        if record is not None:
            self._newest = max(self._newest, index)

    def adopt(self, segments: Iterable[int]) -> None:
        """These segments exist, whatever is in them: `reset` has them deleted."""
        self._known |= set(segments)

    def reset(self) -> None:
        """Forget everything; what is stored goes with the next flush."""
        self._dropped |= self._known | self._segments.keys()
        self._known, self._segments, self._pending, self._newest = set(), {}, {}, -1

    @property
    def known(self) -> frozenset[int]:
        """The segments that are stored, once what was flushed is committed."""
        return frozenset(self._known)

    def forget(self, segments: Iterable[int]) -> None:
        """These segments were lost: what may be left of them goes with the next flush, and is then written anew."""
        lost = set(segments)
        self._known -= lost
        self._dropped |= lost

    def rewrite(self) -> None:
        """What is stored is in doubt: the next flush writes everything anew. For mirrored series."""
        self._known, self._pending = set(), {}

    def expected(self) -> dict[str, int]:
        """The keys that are stored by our account, with their lengths."""
        return {self._key(segment): self.series.segment * self.series.layout.width for segment in self._known}

    def flush(self, commands: Commands) -> bool:
        """Commands for what was put since the last call; returns whether there is any.

        Where they are not carried out, `load` before the next call.
        """
        before = len(commands.arguments)
        self._delete(self._dropped, commands)
        self._dropped = set()
        width, size = self.series.layout.width, self.series.segment
        there = self._known | self._segments.keys() | {index // size for index in self._pending}
        gone = self.series.outlived(there, self._newest)
        for segment in gone:
            self._segments.pop(segment, None)
        self._delete(gone & self._known, commands)
        self._known -= gone
        unwritten = len(commands.arguments)
        for segment in sorted(self._segments.keys() - self._known):
            self._create(segment, bytes(self._segments[segment]), commands)
            self._pending = {index: raw for index, raw in self._pending.items() if index // size != segment}
        for run in _runs([index for index in sorted(self._pending) if index // size not in gone], size):
            segment, place = divmod(run[0], size)
            raw = b"".join(self._pending[index] for index in run)
            if segment in self._known:
                commands.add("SETRANGE", self._key(segment), place * width, raw)
            else:
                self._create(segment, (bytes(place * width) + raw).ljust(size * width, b"\0"), commands)
        self._pending = {}
        if not self._mirrored:
            self._segments = {}
        if len(commands.arguments) > unwritten:
            layouts_key = self._keys.series_layouts(self.series.domain)
            commands.add("HSET", layouts_key, self.series.name, self.series.layout.version)
        return len(commands.arguments) > before

    def _create(self, segment: int, raw: bytes, commands: Commands) -> None:
        """Write a segment whole, so that nothing that was left there remains, and Redis allocates it once."""
        commands.add("SET", self._key(segment), raw)
        commands.add("SADD", self._keys.series_index(self.series.domain), f"{self.series.name}:{segment}")
        self._known.add(segment)

    def _delete(self, segments: set[int], commands: Commands) -> None:
        for segment in sorted(segments):
            commands.add("DEL", self._key(segment))
            commands.add("SREM", self._keys.series_index(self.series.domain), f"{self.series.name}:{segment}")


def _runs(indices: Sequence[int], segment: int) -> Iterable[list[int]]:
    """Consecutive indices, never beyond the end of a segment."""
    run: list[int] = []
    for index in indices:
        if run and (index != run[-1] + 1 or index % segment == 0):
            yield run
            run = []
        run.append(index)
    if run:
        yield run

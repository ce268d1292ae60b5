"""Writing a series: what changed in few commands; a segment whole where it is new, in doubt, or of an older layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic

from shared import layouts, redis
from shared.commit import Commands
from shared.keys import Keys
from shared.series import R, Series


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

    def back(self, last: int, first: int) -> Iterator[tuple[int, R]]:
        """(index, record) from `last` down to `first`. For mirrored series; what is not there costs nothing."""
        width, size = self.series.layout.width, self.series.segment
        for segment in range(last // size, first // size - 1, -1):
            held = self._segments.get(segment)
            if held is None:
                continue
            for index in range(min(last, (segment + 1) * size - 1), max(first, segment * size) - 1, -1):
                record = self.series.layout.unpack(held, (index - segment * size) * width)
                if record is not None:
                    yield index, record

    @property
    def held(self) -> frozenset[int]:
        """The segments that are in memory."""
        return frozenset(self._segments)

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

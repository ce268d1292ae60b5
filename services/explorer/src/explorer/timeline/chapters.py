"""Chapters: spans of the timeline that are dropped as a whole, each a few thousand small hashes.

A chapter ends when its buckets are as full as a listpack should be, when it is old enough, or when it takes its share
of the memory that there is. So there are some hundred at most, and one transaction is looked for in all of them in one
round trip. A chapter that is dropped is out of sight at once; its buckets are deleted some at a time.

Its number is the Unix second at which it starts, so that a record says its moment even where the list of chapters was
lost, and two chapters never share a key.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
import structlog

from explorer.timeline.records import Stay, Went, bucket, pack_stay, stay_field, went_record
from shared import redis
from shared.commit import Argument, Commands
from shared.keys import Keys

DAY_MS: Final = 86_400_000

CHAPTERS: Final = 100
"""At about this many parts of the days to be kept a chapter ends."""

LONGEST_DAYS: Final = 37
"""The moments of its records are milliseconds in 32 bits."""

FILL: Final = 80
"""Records of a bucket on average when its chapter ends: listpacks hold 128 (`hash-max-listpack-entries`)."""

BITS: Final = 13
"""Bits of a txid that choose the bucket where a chapter is of one day: 655,360 records, a busy day of mainnet."""

MOST_BITS: Final = 18

SHARE: Final = 16
"""At this part of the memory that there is a chapter ends."""

AT_ONCE: Final = 512
"""Buckets of a chapter that is dropped, deleted by one commit."""

KEY_BYTES: Final = 100
RECORD_BYTES: Final = 4
"""Beside the bytes of its records: of a bucket, and of each record (measured; see README.md)."""

_log: Any = structlog.get_logger()


class Chapter(msgspec.Struct):
    """One chapter, as it is stored."""

    bits: int
    end_ms: int = 0  # of its newest record
    count: int = 0
    size: int = 0  # bytes of its records
    dropped: int = -1  # buckets that are deleted already; -1: it is kept

    @property
    def bytes(self) -> int:
        """Of Redis' memory, about."""
        buckets = 1 << self.bits
        filled = buckets * -math.expm1(-self.count / buckets)
        return self.size + self.count * RECORD_BYTES + int(filled * KEY_BYTES)


class Chapters:
    """All of them, and what is to be written."""

    def __init__(self, keys: Keys, days: int, memory: int) -> None:
        self._keys = keys
        self._days = days
        self._memory = memory * 1_000_000
        span = min(max(1, math.ceil(days / CHAPTERS)), LONGEST_DAYS)
        self._span_ms = span * DAY_MS
        self._bits = min(BITS + math.ceil(math.log2(span)), MOST_BITS)
        self.kept: dict[int, Chapter] = {}  # oldest first
        self._going: dict[int, Chapter] = {}  # dropped, but not deleted yet
        self._changed: set[int] = set()
        self._records: dict[str, dict[bytes, bytes]] = {}  # by bucket

    async def load(self, client: redis.Client) -> None:
        """Read what was committed last. One that cannot be read is left alone: the others tell of themselves."""
        self.kept, self._going = {}, {}
        self._changed, self._records = set(), {}
        for number, chapter in sorted(read(await client.hgetall(self._keys.timeline_chapters)).items()):
            (self.kept if chapter.dropped < 0 else self._going)[number] = chapter

    def discard(self) -> None:
        """What was to be written is not; the chapters stay."""
        self._changed, self._records = set(self.kept) | set(self._going), {}

    def rewrite(self) -> None:
        """What is stored of the chapters themselves is in doubt."""
        self._changed = set(self.kept) | set(self._going)

    @property
    def total(self) -> int:
        """Bytes of Redis' memory, about."""
        return sum(chapter.bytes for chapter in self.kept.values())

    # --- records ---------------------------------------------------------------------------------------

    def stay(self, txid: bytes, stay: Stay) -> int:
        """Keep a stay; returns the number of its chapter."""
        number, chapter = self.current(stay.end_ms)
        self._put(number, chapter, txid, stay_field(txid, number * 1000, stay), pack_stay(stay))
        return number

    def went(self, txid: bytes, went: Went) -> None:
        """Keep what went for a transaction."""
        number, chapter = self.current(went.time_ms)
        self._put(number, chapter, txid, *went_record(txid, number * 1000, went))

    def _put(self, number: int, chapter: Chapter, txid: bytes, name: bytes, value: bytes) -> None:
        there = self._records.setdefault(self._keys.timeline(number, bucket(txid, chapter.bits)), {})
        if name not in there:
            chapter.count += 1
            chapter.size += len(name) + len(value)
        there[name] = value
        self._changed.add(number)

    def newest(self, time_ms: int) -> int:
        """The number of the newest chapter, whatever its age: one that begins at this moment where there is none."""
        return next(reversed(self.kept)) if self.kept else self.current(time_ms)[0]

    def current(self, time_ms: int) -> tuple[int, Chapter]:
        """The chapter that a record of this moment goes into."""
        if self.kept:
            number = next(reversed(self.kept))
            chapter = self.kept[number]
            full = chapter.count >= FILL << chapter.bits or chapter.bytes >= self._memory // SHARE
            if not full and 0 <= time_ms - number * 1000 < self._span_ms:
                chapter.end_ms = max(chapter.end_ms, time_ms)
                return number, chapter
        number = time_ms // 1000
        while number in self.kept or number in self._going:
            number -= 1
        chapter = self.kept[number] = Chapter(self._bits, time_ms)
        self._changed.add(number)
        return number, chapter

    # --- commits ---------------------------------------------------------------------------------------

    @property
    def going(self) -> bool:
        """Whether buckets wait to be deleted."""
        return bool(self._going)

    def trim(self, now_ms: int) -> list[int]:
        """Drop what is too old, or too much; returns which chapters. The newest is always kept."""
        dropped = []
        total = self.total
        for number, chapter in list(self.kept.items())[:-1]:
            if chapter.end_ms >= now_ms - self._days * DAY_MS and total <= self._memory:
                break
            _log.info("timeline_trimmed", chapter=number, records=chapter.count, until_ms=chapter.end_ms)
            total -= chapter.bytes
            chapter.dropped = 0
            self._going[number] = self.kept.pop(number)
            self._changed.add(number)
            dropped.append(number)
        return dropped

    def flush(self, commands: Commands) -> None:
        """Commands for all that changed, and for a part of what is to be deleted."""
        for key, records in self._records.items():
            written: list[Argument] = [part for record in records.items() for part in record]
            commands.spread("HSET", key, written)
        self._records = {}
        self._delete(commands)
        for number in sorted(self._changed):
            chapter = self.kept.get(number) or self._going.get(number)
            if chapter is not None:
                commands.add("HSET", self._keys.timeline_chapters, number, msgspec.json.encode(chapter))
        self._changed = set()

    def _delete(self, commands: Commands) -> None:
        for number, chapter in self._going.items():
            if chapter.dropped == 0:
                commands.add("DEL", self._keys.timeline_blocks(number))
            last = min(chapter.dropped + AT_ONCE, 1 << chapter.bits)
            for one in range(chapter.dropped, last):
                commands.add("DEL", self._keys.timeline(number, one))
            chapter.dropped = last
            self._changed.add(number)
            if last == 1 << chapter.bits:
                del self._going[number]
                commands.add("HDEL", self._keys.timeline_chapters, number)
            return


def read(stored: dict[bytes, bytes]) -> dict[int, Chapter]:
    """The chapters that can be read, by number."""
    found = {}
    for number, raw in stored.items():
        try:
            found[int(number)] = msgspec.json.decode(raw, type=Chapter)
        except (ValueError, msgspec.MsgspecError) as error:
            _log.error("timeline_chapter_unreadable", chapter=number.decode(errors="replace"), error=repr(error))
    return found

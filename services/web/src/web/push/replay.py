"""What a resuming client of `/api/v1/events` missed: all after its cursor, up to where the live messages begin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from web.push.audience import Batch
from web.push.cursor import ALL_KEPT, BEGINNING, EntryId, encode
from web.push.sse import closing
from web.push.tail import Entry, end_of, parse, unbroken

CAP: Final = 20_000
"""Entries of one stream that are sent after a cursor at most; beyond it the client reads the state anew."""

PAGE: Final = 500
"""Entries read from Redis at once."""


class Trimmed(Exception):
    """What the client asks for is not all there any more, or is too much; says why."""


@dataclass(frozen=True, slots=True)
class Missed:
    """From where to where; `since` lacks the streams that are not resumed, `sequences` is `seq` at `until`."""

    since: Mapping[str, EntryId]
    until: Mapping[str, EntryId]
    sequences: Mapping[str, int | None]


async def missed(redis: Any, keys: Mapping[str, str], streams: Sequence[str], wanted: Missed) -> AsyncIterator[Batch]:
    """Batches of what came after `since` up to and with `until`, stream by stream, each message with its cursor.

    Raises Trimmed before the first entry that would leave a hole, redis.exceptions.RedisError where Redis does not
    answer.
    """
    positions = {**wanted.until, **wanted.since}
    for name in streams:
        if name not in wanted.since or wanted.since[name] == wanted.until[name]:
            continue
        async for page in _entries(redis, name, keys[name], wanted):
            pieces: list[bytes] = []
            for entry in page:
                positions[name] = entry.id
                pieces += (entry.content, closing(encode(streams, positions)))
            yield Batch(*pieces, count=len(page))
        positions[name] = wanted.until[name]


async def _entries(redis: Any, name: str, key: str, wanted: Missed) -> AsyncIterator[list[Entry]]:
    since, until, last_seq = wanted.since[name], wanted.until[name], wanted.sequences[name]
    if since > until:
        raise Trimmed(f"{name}: the cursor is ahead of the stream, which began anew")
    everything = since == ALL_KEPT  # wherever it begins, and however much it is: the stream itself is bounded
    seq = None if everything else await _check_start(redis, name, key, since)
    if seq is not None and last_seq is not None and last_seq - seq > CAP:
        raise Trimmed(f"{name}: {last_seq - seq} entries since the cursor are more than {CAP}")
    after, sent = since, 0
    while after < until:
        raw = await redis.xrange(key, min=f"({after}", max=str(until), count=PAGE)
        if not raw:
            break
        page = [parse(entry_id, fields) for entry_id, fields in raw]
        if not unbroken(seq, page):
            raise Trimmed(f"{name}: entries after the cursor are gone")
        sent += len(page)
        if sent > CAP and not everything:
            raise Trimmed(f"{name}: more than {CAP} entries since the cursor")
        after, seq = page[-1].id, page[-1].seq
        yield page
    if seq is not None and last_seq is not None and seq != last_seq:
        raise Trimmed(f"{name}: entries after the cursor are gone")


async def _check_start(redis: Any, name: str, key: str, since: EntryId) -> int | None:
    """`seq` of the entry at the cursor, None where there is no such entry but nothing is missing after it either."""
    at = await redis.xrange(key, min=str(since), max="+", count=1)
    if at:
        entry = parse(*at[0])
        if entry.id == since:
            return entry.seq
    if not at:
        last, seq = await end_of(redis, key)
        if last > since:  # there were entries after the cursor, and all of them are gone
            raise Trimmed(f"{name}: entries after the cursor are gone")
        return seq
    info = await redis.xinfo_stream(key)
    if not info["first-entry"]:
        raise Trimmed(f"{name}: entries after the cursor are gone")
    first = EntryId.of(info["first-entry"][0])
    trimmed = info["entries-added"] > info["length"]
    # A cursor that we gave out names an entry that existed, so before the first entry something is missing; the
    # beginning itself is exact for as long as nothing was ever trimmed.
    if since < first and (trimmed or since != BEGINNING):
        raise Trimmed(f"{name}: the cursor is older than the oldest entry kept, {first}")
    return None

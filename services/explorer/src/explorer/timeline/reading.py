"""What is known of one transaction, read in three round trips; and who went for whom around it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import structlog

from explorer.timeline import blocks
from explorer.timeline.blocks import Block
from explorer.timeline.chapters import Chapter, read
from explorer.timeline.meta import Meta
from explorer.timeline.records import Stay, Waiting, Went, bucket, identity, unpack, unpack_waiting
from explorer.timeline.telling import told
from shared import redis
from shared.domains import TIMELINE
from shared.errors import BadEntry
from shared.keys import Keys
from shared.lookups.transaction import Replaced, Replacements, Step

LEVELS: Final = 8
"""Steps from one transaction to who went for whom, each a round trip."""

NODES: Final = 100
"""Transactions of one tree of replacements."""

_SCAN: Final = 10_000
"""More than a bucket holds: a listpack is looked through at once, whatever is asked for."""

_SPECIAL: Final = frozenset(b"*?[]\\")

_log: Any = structlog.get_logger()

Records = list[tuple[int, Stay | Went]]
"""Of one transaction, each with the number of its chapter."""


async def timeline(client: redis.Client, keys: Keys, txid: str) -> list[Step]:
    """What happened to a transaction as this dashboard saw it, oldest first; empty: it was never seen here.

    Raises ValueError where it is no txid, one of redis.TROUBLE.
    """
    wanted = _txid(txid)
    pipeline = client.pipeline(transaction=False)
    pipeline.hget(keys.timeline_waiting, wanted)  # first: what moves meanwhile is found in both places, not in none
    pipeline.hget(keys.state(TIMELINE), "meta")
    pipeline.hgetall(keys.timeline_chapters)
    raw_waiting, raw_meta, raw_chapters = await pipeline.execute()
    waiting = _waiting(raw_waiting)
    meta = msgspec.json.decode(raw_meta, type=Meta) if raw_meta else Meta()
    [records] = await _records(client, keys, _kept(raw_chapters), [wanted])
    named = {(chapter, one.block) for chapter, one in records if isinstance(one, Stay) and one.block}
    return told(waiting, meta, [one for _, one in records], await _blocks(client, keys, named))


async def connected_since(client: redis.Client, keys: Keys, time_ms: int) -> dict[str, tuple[int, int]]:
    """Blocks that were connected from this moment on and stand: hash -> height, and when. Raises one of TROUBLE."""
    numbers = sorted(_kept(await client.hgetall(keys.timeline_chapters)))
    first = max((place for place, number in enumerate(numbers) if number * 1000 <= time_ms), default=0)
    pipeline = client.pipeline(transaction=False)
    for number in numbers[first:]:
        pipeline.hvals(keys.timeline_blocks(number))
    found: dict[str, tuple[int, int]] = {}
    for raw in [one for part in await pipeline.execute() for one in part]:
        block = blocks.unpack(raw)
        if block.turns and block.turns[-1][1] and block.turns[-1][0] >= time_ms and block.height is not None:
            found[block.hash.hex()] = block.height, block.turns[-1][0]
    return found


async def replacements(client: redis.Client, keys: Keys, txid: str) -> Replacements:
    """Who went for whom, from a transaction both ways. Raises as `timeline` does."""
    found: dict[tuple[bytes, bytes, int], None] = {}
    ahead, seen, complete = [_txid(txid)], {_txid(txid)}, True
    kept = _kept(await client.hgetall(keys.timeline_chapters))
    for _ in range(LEVELS):
        if not ahead:
            break
        fresh: dict[bytes, None] = {}
        for one, records in zip(ahead, await _records(client, keys, kept, ahead), strict=True):
            for _, record in records:
                if isinstance(record, Went):
                    found[record.txid, one, record.time_ms] = None
                    fresh[record.txid] = None
                elif record.end == "replaced":
                    found[one, record.ref, record.end_ms] = None
                    fresh[record.ref] = None
        ahead = [one for one in fresh if one not in seen]
        if len(seen) + len(ahead) > NODES:
            ahead, complete = ahead[: NODES - len(seen)], False
        seen.update(ahead)
    edges = [
        Replaced(txid=old.hex(), by=new.hex(), time_ms=time_ms)
        for old, new, time_ms in sorted(found, key=lambda edge: (edge[2], edge[0]))
        if old in seen and new in seen
    ]
    return Replacements(edges=edges, complete=complete and not ahead)


def _txid(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != 32:
        raise ValueError(f"{text!r} is no txid: expected 64 hex digits")
    return raw


def _kept(stored: dict[bytes, bytes]) -> dict[int, Chapter]:
    return {number: chapter for number, chapter in read(stored).items() if chapter.dropped < 0}


def _waiting(raw: bytes | None) -> Waiting | None:
    try:
        return unpack_waiting(raw) if raw is not None else None
    except (ValueError, struct.error) as error:
        _log.error("timeline_record_unreadable", error=repr(error))
        return None


async def _records(client: redis.Client, keys: Keys, kept: dict[int, Chapter], txids: Iterable[bytes]) -> list[Records]:
    """What each transaction's buckets hold of it: one round trip, where no bucket has outgrown its form."""
    asked: list[tuple[int, int, str, bytes]] = []
    pipeline = client.pipeline(transaction=False)
    found: list[Records] = []
    for place, txid in enumerate(txids):
        found.append([])
        pattern = b"".join(b"\\" + bytes((byte,)) if byte in _SPECIAL else bytes((byte,)) for byte in identity(txid))
        for number, chapter in kept.items():
            key = keys.timeline(number, bucket(txid, chapter.bits))
            asked.append((place, number, key, pattern + b"*"))
            pipeline.hscan(key, match=asked[-1][3], count=_SCAN)
    if not asked:
        return found
    for (place, number, key, pattern), (cursor, part) in zip(asked, await pipeline.execute(), strict=True):
        there, more = dict(part), cursor
        while more:
            more, part_more = await client.hscan(key, more, match=pattern, count=_SCAN)
            there |= part_more
        for name, value in there.items():
            try:
                found[place].append((number, unpack(name, value, number * 1000)))
            except BadEntry as error:
                _log.error("timeline_record_unreadable", key=key, error=str(error))
    return found


async def _blocks(client: redis.Client, keys: Keys, named: set[tuple[int, bytes]]) -> dict[bytes, Block]:
    """The blocks that records name, by what they are named by."""
    if not named:
        return {}
    pipeline = client.pipeline(transaction=False)
    for chapter, ref in sorted(named):
        pipeline.hget(keys.timeline_blocks(chapter), ref)
    found: dict[bytes, Block] = {}
    for (_, ref), raw in zip(sorted(named), await pipeline.execute(), strict=True):
        if raw is not None:
            try:
                found[ref] = blocks.unpack(raw)
            except struct.error as error:
                _log.error("timeline_record_unreadable", error=repr(error))
    return found

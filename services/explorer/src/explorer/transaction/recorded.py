"""What was not told of a transaction, and follows from what was: that it was mined again.

A block that leaves the chain gives its transactions back. Where the next one takes them before anybody could tell that
they wait again, neither their return nor their removal is published: chain-ingest tells what differs between two looks.
That block was told of, though, and the node says what is in it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import structlog

from explorer.core.transactions import Hint
from explorer.timeline.reading import connected_since
from shared import redis
from shared.keys import Keys
from shared.lookups.transaction import Found, Step

TRIED: Final = 10
"""Blocks that are looked into for a transaction whose block left the chain."""

_log: Any = structlog.get_logger()


async def mined_again(client: redis.Client, keys: Keys, steps: Sequence[Step]) -> list[Hint]:
    """Where a transaction may be whose block left the chain: the blocks since then, lowest first."""
    if not steps or steps[-1].what != "disconnected":
        return []
    later = await _since(client, keys, steps[-1].time_ms)
    return [_hint(block) for block in sorted(later, key=later.__getitem__)[:TRIED]]


def _hint(block: str) -> Hint:
    async def hint(_: str) -> str | None:
        return block

    return hint


async def with_block(client: redis.Client, keys: Keys, steps: list[Step], found: Found) -> list[Step]:
    """With the block that the node says it is in, where that was connected after all that was told."""
    place = found.place
    if place is None or not place.best or not steps or steps[-1].what in ("seen", "mined"):
        return steps
    _, time_ms = (await _since(client, keys, steps[-1].time_ms)).get(place.hash, (None, None))
    if time_ms is None:
        return steps
    return [*steps, Step(what="mined", time_ms=time_ms, block=place.hash, height=place.height)]


async def _since(client: redis.Client, keys: Keys, time_ms: int) -> dict[str, tuple[int, int]]:
    try:
        return await connected_since(client, keys, time_ms)
    except struct.error as error:
        _log.error("timeline_record_unreadable", error=repr(error))
        return {}

"""Several streams of one fold, also in other slots of a cluster than its state.

No script reaches two slots, so what the fold commits names no stream: the commit holds the position in each beside the
state, and each is read from there. Nothing is delivered to a group, hence nothing is pending, and no read that was
cancelled loses anything. Afterwards the fold's group in each stream is told how far that was read, since by it the
producer knows what to keep: told again as often as one likes, and of its own accord, so that one that got lost, or was
deleted with its stream, is made up for by the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from shared import redis
from shared.checkpoint import Position
from shared.inbox import Inbox
from shared.inputs import Batch, align
from shared.letters import Entry
from shared.tasks import end

TELL_SECONDS: Final = 1.0
"""Between two times that the groups are told how far the fold came."""

AGAIN_SECONDS: Final = 15.0
"""The same while nothing comes; then it is also seen whether a stream was made anew."""


class Feeds:
    """The streams, each read in its own order; which of them is next has no meaning."""

    inbox: Inbox | None = None

    def __init__(self, client: redis.Client, streams: Sequence[str], group: str) -> None:
        self._client = client
        self._streams = streams
        self._group = group
        self._reads: dict[int, asyncio.Task[list[Entry]]] = {}  # what comes next of each, on its way or read ahead
        self._turn = 0  # whose entries are looked for first
        self._anew: dict[int, str] = {}  # where we stand in a stream that ends before: all that it holds is read
        self._told: Position | None = None
        self._told_at = 0.0

    async def align(self, position: Position) -> None:
        """Begin to read what follows the position; raises one of TROUBLE."""
        await self.end()
        await self._tell(position)

    async def tell(self, position: Position) -> None:
        """The position is committed: tell the groups, where it is time to."""
        pause = AGAIN_SECONDS if position == self._told else TELL_SECONDS
        if time.monotonic() - self._told_at >= pause:
            await self._tell(position)

    async def end(self) -> None:
        """End what is on its way."""
        reads, self._reads = self._reads, {}
        await end(*reads.values())

    async def read(self, reader: redis.Client, position: Position, count: int, block: int) -> Batch:
        """Up to `count` entries of one of the streams, waited for `block` milliseconds."""
        for place, stream in enumerate(self._streams):
            if place not in self._reads:
                entry, _ = position.of(place)
                start = "0-0" if self._anew.get(place) == entry else entry
                self._reads[place] = asyncio.create_task(_following(reader, stream, start, count), name=stream)
        await asyncio.wait(self._reads.values(), timeout=block / 1_000, return_when=asyncio.FIRST_COMPLETED)
        for at in range(len(self._streams)):
            place = (self._turn + at) % len(self._streams)
            if self._reads[place].done():
                entries = self._reads.pop(place).result()
                if entries:
                    self._turn = place + 1
                    return Batch(place, entries)
        return Batch()

    async def _tell(self, position: Position) -> None:
        for place, stream in enumerate(self._streams):
            entry, seq = position.of(place)
            start = await align(self._client, stream, self._group, entry, seq)
            anew = entry if start != entry else None
            if self._anew.get(place) == anew:
                continue
            if anew is None:
                del self._anew[place]
                continue
            self._anew[place] = anew
            if place in self._reads:  # it waits for what comes after an entry that the stream will not reach
                await end(self._reads.pop(place))
        self._told, self._told_at = position, time.monotonic()


async def _following(reader: redis.Client, stream: str, start: str, count: int) -> list[Entry]:
    reply = await reader.xread({stream: start}, count=count, block=redis.BLOCK_MS) or {}
    entries: list[Entry] = reply.get(stream.encode(), [])
    return entries

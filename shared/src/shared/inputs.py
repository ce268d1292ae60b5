"""What a fold reads: its stream, in order, and its inbox, where it has one, once the stream is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from shared import redis
from shared.checkpoint import Position, is_beyond
from shared.fold import Wiring
from shared.inbox import Inbox
from shared.letters import Entry


class Batch(NamedTuple):
    """What was read at once: entries of one stream in order, or of the inbox."""

    place: int = 0  # which stream of the fold's: 0 is the first
    entries: list[Entry] = []  # noqa: RUF012 - the value of where there are none, never changed
    letters: list[Entry] = []  # noqa: RUF012 - the same


class Inputs:
    """The streams of one fold, read through its group."""

    def __init__(self, client: redis.Client, wiring: Wiring, group: str) -> None:
        self.inbox: Inbox | None = None
        if wiring.inbox is not None and wiring.inbox_family is not None:
            self.inbox = Inbox(client, wiring.inbox, group, wiring.inbox_family)
        self._client = client
        self._stream = wiring.stream
        self._group = group

    async def align(self, position: Position) -> None:
        """Have exactly what follows the checkpoint delivered."""
        await align(self._client, self._stream, self._group, position.entry, position.seq)
        if self.inbox is not None:
            await self.inbox.align()

    async def tell(self, position: Position) -> None:
        """The commit has acknowledged what it contains."""

    async def end(self) -> None:
        """Nothing is on its way between two reads."""

    async def read(self, reader: redis.Client, position: Position, count: int, block: int) -> Batch:
        """What is next: up to `count` entries of the stream; of the inbox at most one, once the stream is silent."""
        stream, inbox = self._stream, self.inbox
        try:
            if inbox is None:
                return Batch(0, *await self._read(reader, (stream,), count, block))
            [entries] = await self._read(reader, (stream,), count, None)
            return (
                Batch(0, entries) if entries else Batch(0, *await self._read(reader, (stream, inbox.stream), 1, block))
            )
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):  # Redis 7.0 says UNBLOCKED to who waits
                raise
            # the stream was deleted: the producer's cursor tells whether entries of it are gone
            await self.align(position)
            return Batch()

    async def _read(
        self, reader: redis.Client, streams: tuple[str, ...], count: int, block: int | None
    ) -> list[list[Entry]]:
        wanted = dict.fromkeys(streams, ">")
        reply = await reader.xreadgroup(self._group, self._group, wanted, count=count, block=block) or {}
        return [reply.get(stream.encode(), []) for stream in streams]


async def align(client: redis.Client, stream: str, group: str, entry: str, seq: int) -> str:
    """Make a group stand where its fold does; returns after which entry there is what follows.

    A stream that was deleted, or that lost its end in a failover, may number its next entries below the checkpoint:
    then all that it holds follows, and `seq` tells whether it does. Redis reckons what is unread from the entries that
    were added since then, which `seq` is ahead of by those before.
    """
    try:
        await client.xgroup_create(stream, group, id=entry, mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    info = await client.xinfo_stream(stream)
    start, read = "0-0", 0
    if not is_beyond(entry, info["last-generated-id"].decode()):
        start, read = entry, max(0, seq - _ahead(info))
    await client.xgroup_setid(stream, group, id=start, entries_read=read)
    return start


def _ahead(info: dict[str, Any]) -> int:
    """How far `seq` is ahead of what Redis says was added to the stream."""
    last = info["last-entry"]
    seq = last[1].get(b"seq", b"") if last else b""
    return int(seq) - int(info["entries-added"]) if seq.isdigit() else 0


def lag_of(group: Mapping[str, Any]) -> int | None:
    """Entries that were not delivered to a group yet, as XINFO GROUPS tells of it; None where Redis cannot tell.

    It cannot after some resets of a group, and reckons less than none where a stream was deleted and made anew.
    """
    lag = group["lag"]
    return None if lag is None or int(lag) < 0 else int(lag)

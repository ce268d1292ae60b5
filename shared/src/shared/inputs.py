"""What a fold reads: its stream, in order, and its inbox, where it has one, once the stream is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.exceptions import ResponseError

from shared import redis
from shared.checkpoint import Position
from shared.fold import Source
from shared.inbox import Inbox
from shared.letters import Entry


class Inputs:
    """The streams of one fold, read through its group."""

    def __init__(self, client: redis.Client, source: Source, group: str) -> None:
        self.inbox: Inbox | None = None
        if source.inbox is not None and source.inbox_family is not None:
            self.inbox = Inbox(client, source.inbox, group, source.inbox_family)
        self._client = client
        self._stream = source.stream
        self._group = group

    async def align(self, position: Position) -> None:
        """Make the group deliver exactly what follows the checkpoint.

        A stream that was deleted, or that lost its end in a failover, may number its next entries below the
        checkpoint: then all that it holds is delivered, and `seq` tells whether it follows. Redis reckons what is
        unread from the entries that were added since then, which `seq` is ahead of by those before.
        """
        stream, client = self._stream, self._client
        try:
            await client.xgroup_create(stream, self._group, id=position.entry, mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        info = await client.xinfo_stream(stream)
        start, read = "0-0", 0
        if not position.is_beyond(info["last-generated-id"].decode()):
            start, read = position.entry, max(0, position.seq - _ahead(info))
        await client.xgroup_setid(stream, self._group, id=start, entries_read=read)
        if self.inbox is not None:
            await self.inbox.align()

    async def read(self, reader: redis.Client, position: Position, count: int, block: int) -> list[list[Entry]]:
        """What is next: up to `count` entries of the stream; of the inbox at most one, once the stream is silent."""
        stream, inbox = self._stream, self.inbox
        try:
            if inbox is None:
                return [*await self._read(reader, (stream,), count, block), []]
            [entries] = await self._read(reader, (stream,), count, None)
            return [entries, []] if entries else await self._read(reader, (stream, inbox.stream), 1, block)
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):  # Redis 7.0 says UNBLOCKED to who waits
                raise
            # the stream was deleted: the producer's cursor tells whether entries of it are gone
            await self.align(position)
            return [[], []]

    async def _read(
        self, reader: redis.Client, streams: tuple[str, ...], count: int, block: int | None
    ) -> list[list[Entry]]:
        wanted = dict.fromkeys(streams, ">")
        reply = await reader.xreadgroup(self._group, self._group, wanted, count=count, block=block) or {}
        return [reply.get(stream.encode(), []) for stream in streams]


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

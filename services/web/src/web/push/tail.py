"""Follows one stream for as long as somebody listens, and hands each entry on once and in order.

A tail keeps its own position, so that a failed or cancelled XREAD neither loses nor repeats anything. Where entries
are gone before they were read (trimmed, or the stream made anew) it says so to its listeners and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

import structlog
from redis.exceptions import RedisError, ResponseError

from shared.logging import Trouble
from shared.redis import BLOCK_MS
from shared.tasks import ending
from web.push.cursor import BEGINNING, EntryId
from web.push.sse import content

BATCH: Final = 500
"""Entries read at once."""

SEQ_DIGITS: Final = 19
"""More than these count nothing."""

LINGER: Final = 10.0
"""Seconds that a tail is kept after its last listener went, so that a reload does not restart it."""

BACKOFF: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts while Redis does not answer."""


class Entry(NamedTuple):
    """A stream entry; `seq` counts from 1 without a hole (None: written by something else, or by one of several)."""

    id: EntryId
    seq: int | None
    content: bytes  # type and data as a message has them, encoded once for everybody


class Listener(Protocol):
    """Who wants a stream's entries. Both calls come from the event loop and must not wait."""

    def entries(self, stream: str, batch: Sequence[Entry]) -> None:
        """New entries, oldest first. None at all says that the position is known now: entries follow from here."""

    def interrupted(self, stream: str, reason: str, position: EntryId) -> None:
        """Entries before `position` were lost; those after it follow."""


class Tail:
    """One stream. `position` is the last entry handed on, `seq` its number, both None until the stream was located."""

    def __init__(
        self,
        name: str,
        key: str,
        connect: Callable[[], Any],
        log: structlog.stdlib.BoundLogger,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.name = name
        self.position: EntryId | None = None
        self.seq: int | None = None
        self._key = key
        self._connect = connect
        self._on_failure = on_failure
        self._trouble = Trouble(log.bind(stream=name), "tail")
        self._listeners: dict[Listener, None] = {}
        self._located = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stop: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """Whether somebody needs this stream now."""
        return self._task is not None

    def add(self, listener: Listener) -> None:
        """Hand entries to this listener from the present position on."""
        self._listeners[listener] = None
        if self._stop is not None:
            self._stop.cancel()
            self._stop = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow(), name=f"tail:{self.name}")
            self._task.add_done_callback(self._ended)

    def remove(self, listener: Listener) -> None:
        """Stop handing entries to this listener; without any left, the tail ends after a while."""
        self._listeners.pop(listener, None)
        if not self._listeners and self._task is not None and self._stop is None:
            self._stop = asyncio.get_running_loop().call_later(LINGER, self._end)

    async def located(self, limit: float) -> bool:
        """Wait until the position is known; False where Redis did not tell within `limit` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._located.wait(), limit)
        return self.position is not None

    async def close(self) -> None:
        """End the task and wait for it."""
        task = self._task
        self._end()
        if task is not None:
            await asyncio.wait([task], timeout=2)

    def _end(self) -> None:
        if self._stop is not None:
            self._stop.cancel()
            self._stop = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.position = self.seq = None
        self._located.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(error)

    async def _follow(self) -> None:
        attempt = 0
        while not ending():
            client = self._connect()
            try:
                await self._locate(client)
                self._trouble.ended()
                attempt = 0
                while not ending():
                    await self._read(client)
            except (RedisError, OSError, TimeoutError) as error:
                self._trouble.failed(error)
            finally:
                with suppress(RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
            attempt += 1

    async def _read(self, client: Any) -> None:
        reply = await client.xread({self._key: str(self.position)}, count=BATCH, block=BLOCK_MS)
        if not reply:
            await self._locate(client)  # an idle stream: make sure that it is still the same one
            return
        [raw] = reply.values()
        batch = [parse(entry_id, fields) for entry_id, fields in raw]
        if not unbroken(self.seq, batch):
            self._interrupt(f"entries of {self.name} were gone before they were read", self.position or BEGINNING)
        self.position, self.seq = batch[-1].id, batch[-1].seq
        for listener in list(self._listeners):
            listener.entries(self.name, batch)

    async def _locate(self, client: Any) -> None:
        """Find the stream's end at the start; later, see whether the position still makes sense."""
        last, seq = await end_of(client, self._key)
        if self.position is None:
            self.position, self.seq = last, seq
            self._located.set()
            for listener in list(self._listeners):
                listener.entries(self.name, ())
        elif last < self.position:
            self._interrupt(f"{self.name} began anew", last)
            self.position, self.seq = last, seq

    def _interrupt(self, reason: str, position: EntryId) -> None:
        for listener in list(self._listeners):
            listener.interrupted(self.name, reason, position)


def unbroken(seq: int | None, batch: Sequence[Entry]) -> bool:
    """Whether these entries follow the one numbered `seq` without a hole, as far as their numbers tell."""
    for entry in batch:
        if seq is not None and entry.seq is not None and entry.seq != seq + 1:
            return False
        seq = entry.seq
    return True


def parse(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    """An entry as redis-py gives it. What no service of ours wrote may hold anything."""
    seq, kind = fields.get(b"seq", b""), fields.get(b"type", b"")
    one_line = kind.splitlines() == [kind]
    return Entry(
        EntryId.of(entry_id),
        (int(seq) or None) if seq.isdigit() and len(seq) < SEQ_DIGITS else None,
        content(kind if one_line else b"message", fields.get(b"data", b"null")),
    )


async def end_of(client: Any, key: str) -> tuple[EntryId, int | None]:
    """The last id that a stream gave out and the `seq` of its last entry; the beginning where there is no stream."""
    try:
        info = await client.xinfo_stream(key)
    except ResponseError as error:
        if "no such key" in str(error).lower():
            return BEGINNING, None
        raise
    last = info["last-entry"]
    return EntryId.of(info["last-generated-id"]), parse(*last).seq if last else None

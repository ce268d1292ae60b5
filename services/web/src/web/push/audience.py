"""Clients of a push connection, and what they are sent: bytes made once, shared by all, never waited for.

A client whose socket takes no more gets a bounded queue; beyond its bound the client is told to start over (`reset`)
and let go. All queues together are bounded as well: beyond that, those that wait for most are let go. Nothing here
holds up the others: a push is a plain call that never waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from aiohttp import HttpVersion11, web

QUEUE_BYTES: Final = 4 * 1024 * 1024
"""Bytes that wait for one client at most; one batch may go beyond it."""

TOTAL_BYTES: Final = 48 * 1024 * 1024
"""Bytes that wait for all clients together; what waits for several counts once."""

QUEUE_MESSAGES: Final = 10_000
"""Messages that wait for one client at most."""

SOCKET_BYTES: Final = 64 * 1024
"""Bytes that the transport may hold before the queue is used."""

STALLED: Final = 20.0
"""Seconds after which a client that takes nothing is cut off."""

FAREWELL: Final = 2.0
"""Seconds that a client that was too slow has for its last message."""

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


class Batch:
    """Messages, in pieces that other batches may share; put together as an HTTP chunk only to be sent."""

    __slots__ = ("_chunk", "_pieces", "count", "size", "waits")

    def __init__(self, *pieces: bytes, count: int = 1) -> None:
        self._pieces = pieces
        self._chunk: bytes | None = None
        self.size = sum(map(len, pieces))
        self.count = count
        self.waits = 0  # for so many clients

    def keep(self) -> Batch:
        """Stay put together: more clients are about to be sent this."""
        self._chunk = self.wire(chunked=True)
        return self

    def let_go(self) -> None:
        """Whoever is still sent this puts it together again."""
        self._chunk = None

    def wire(self, *, chunked: bool) -> bytes:
        """What goes over the wire."""
        if not chunked:
            return b"".join(self._pieces)
        return self._chunk or b"".join((b"%x\r\n" % self.size, *self._pieces, b"\r\n"))


HEARTBEAT: Final = Batch(b": keep-alive\n\n").keep()


def content(event: bytes, data: bytes) -> bytes:
    """Type and data of one Server-Sent Event (html.spec.whatwg.org, 9.2.6), without the line that ends it."""
    lines = b"\ndata: ".join(data.splitlines()) if b"\n" in data or b"\r" in data else data
    return b"event: %b\ndata: %b\n" % (event, lines)


def closing(cursor: str = "") -> bytes:
    """The end of a message, with the cursor behind it."""
    return f"id: {cursor}\n\n".encode() if cursor else b"\n"


def message(event: str, data: bytes, cursor: str = "") -> bytes:
    """One whole message."""
    return content(event.encode(), data) + closing(cursor)


class Backlog:
    """What waits for all clients of this process together."""

    def __init__(self) -> None:
        self.bytes = 0
        self._behind: set[Client] = set()

    def added(self, client: Client, batch: Batch) -> None:
        """A batch waits for a client. Lets go of those that wait for most while it is too much."""
        if batch.waits == 0:
            self.bytes += batch.size
        batch.waits += 1
        self._behind.add(client)
        while self.bytes > TOTAL_BYTES and self._behind:
            max(self._behind, key=lambda one: one.waiting).give_up()

    def removed(self, client: Client, batch: Batch) -> None:
        """It does not wait for that client any more."""
        batch.waits -= 1
        if batch.waits == 0:
            self.bytes -= batch.size
        if not client.waiting:
            self._behind.discard(client)


BACKLOG: Final = Backlog()
"""Of this process: memory is one, however many audiences there are."""


class Client:
    """One connection. Until `run`, what is pushed waits in the queue, so that older messages can go first."""

    __slots__ = (
        "_chunked",
        "_live",
        "_messages",
        "_queue",
        "_request",
        "_response",
        "_transport",
        "_wake",
        "slow",
        "waiting",
    )

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._response = web.StreamResponse(headers=HEADERS)
        self._chunked = request.version >= HttpVersion11
        self._queue: deque[Batch] = deque()
        self.waiting = 0  # bytes
        self._messages = 0
        self._live = False
        self._wake: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.slow = False

    @property
    def response(self) -> web.StreamResponse:
        """What the handler returns when all is over."""
        return self._response

    async def open(self, headers: dict[str, str]) -> None:
        """Send the headers."""
        self._response.headers.update(headers)
        await self._response.prepare(self._request)
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        self._transport = transport

    def push(self, batch: Batch) -> None:
        """Send now if the socket takes it, else queue it. Never waits."""
        if self.slow:
            return
        transport = self._transport
        direct = self._live and not self._queue
        if direct and transport is not None and transport.get_write_buffer_size() < SOCKET_BYTES:
            if not transport.is_closing():
                transport.write(batch.wire(chunked=self._chunked))
            return
        if self.waiting > QUEUE_BYTES or self._messages > QUEUE_MESSAGES:
            self.give_up()
            return
        self._queue.append(batch)
        self.waiting += batch.size
        self._messages += batch.count
        self._awake(True)
        BACKLOG.added(self, batch)

    def give_up(self) -> None:
        """Too slow: let go of what waits; the client is told, and let go itself."""
        self.slow = True
        self.release()
        self._awake(True)

    def release(self) -> None:
        """Let go of what waits."""
        while self._queue:
            self._take()

    def _take(self) -> Batch:
        batch = self._queue.popleft()
        self.waiting -= batch.size
        self._messages -= batch.count
        BACKLOG.removed(self, batch)
        return batch

    async def send(self, batch: Batch) -> None:
        """Send before anything that waits in the queue, as fast as the client takes it."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        transport.write(batch.wire(chunked=self._chunked))
        del batch  # a client that reads slowly must hold nothing but what its socket does
        async with asyncio.timeout(STALLED):
            await self._request.writer.drain()

    async def run(self, farewell: Callable[[], Batch]) -> None:
        """Go live and stay until the client goes, is too slow, or `leave` is called."""
        self._live = True
        try:
            while not self.slow:
                while self._queue:
                    await self.send(self._take())
                if not await self._woken():
                    break
            if self.slow:
                self._part(farewell())
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()
            return
        await self._finish()

    def leave(self) -> None:
        """End the connection after what was written."""
        self._awake(False)

    async def _woken(self) -> bool:
        if not self._wake.done():
            await self._wake
        stay = self._wake.result()
        if stay:
            self._wake = asyncio.get_running_loop().create_future()
        return stay

    def _awake(self, stay: bool) -> None:
        if not self._wake.done():
            self._wake.set_result(stay)
        elif not stay:
            self._wake = asyncio.get_running_loop().create_future()
            self._wake.set_result(False)

    def _part(self, last: Batch) -> None:
        """Leave a last message to a client that does not keep up, and cut it off should it not even take that."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(last.wire(chunked=self._chunked))
            asyncio.get_running_loop().call_later(FAREWELL, transport.abort)

    async def _finish(self) -> None:
        self._response.force_close()
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._response.write_eof()


class Audience:
    """Clients that are all sent the same."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()

    def broadcast(self, batch: Batch) -> None:
        """Push to every client."""
        batch.keep()
        for client in self.clients:
            client.push(batch)
        batch.let_go()

    def part(self, client: Client) -> None:
        """This client is gone."""
        self.clients.discard(client)
        client.release()

    def dismiss(self) -> None:
        """End every connection."""
        for client in self.clients:
            client.leave()


async def keep_alive(audiences: Callable[[], Iterable[Audience]], interval: float) -> None:
    """Send a comment to everybody every `interval` seconds, a few hundred at a time, for ever."""
    while True:
        await asyncio.sleep(interval)
        for audience in list(audiences()):
            for index, client in enumerate(list(audience.clients)):
                client.push(HEARTBEAT)
                if index % 200 == 199:
                    await asyncio.sleep(0)

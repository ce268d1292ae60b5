"""Clients of a push connection, and what they are sent: bytes made once, shared by all, never waited for.

A client whose socket takes no more gets a bounded queue; beyond its bound the client is told to start over (`reset`)
and let go. Nothing here holds up the others: a push is a plain call that never waits.
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
    """Messages as one piece of bytes, as such and framed as an HTTP chunk."""

    __slots__ = ("count", "framed", "raw")

    def __init__(self, raw: bytes, count: int = 1) -> None:
        self.raw = raw
        self.framed = b"%x\r\n%b\r\n" % (len(raw), raw)
        self.count = count


HEARTBEAT: Final = Batch(b": keep-alive\n\n")


def message(event: str, data: bytes, cursor: str = "") -> bytes:
    """One Server-Sent Event (html.spec.whatwg.org, 9.2.6)."""
    lines = b"\ndata: ".join(data.splitlines()) if b"\n" in data or b"\r" in data else data
    head = f"event: {event}\nid: {cursor}\n" if cursor else f"event: {event}\n"
    return b"%bdata: %b\n\n" % (head.encode(), lines)


class Client:
    """One connection. Until `run`, what is pushed waits in the queue, so that older messages can go first."""

    __slots__ = (
        "_bytes",
        "_chunked",
        "_live",
        "_messages",
        "_queue",
        "_request",
        "_response",
        "_transport",
        "_wake",
        "slow",
    )

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._response = web.StreamResponse(headers=HEADERS)
        self._chunked = request.version >= HttpVersion11
        self._queue: deque[Batch] = deque()
        self._bytes = 0
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
                transport.write(batch.framed if self._chunked else batch.raw)
            return
        if self._bytes > QUEUE_BYTES or self._messages > QUEUE_MESSAGES:
            self.slow = True
            self._queue.clear()
            self._bytes = self._messages = 0
        else:
            self._queue.append(batch)
            self._bytes += len(batch.raw)
            self._messages += batch.count
        self._awake(True)

    async def send(self, batch: Batch) -> None:
        """Send before anything that waits in the queue, as fast as the client takes it."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        transport.write(batch.framed if self._chunked else batch.raw)
        async with asyncio.timeout(STALLED):
            await self._request.writer.drain()

    async def run(self, farewell: Callable[[], Batch]) -> None:
        """Go live and stay until the client goes, is too slow, or `leave` is called."""
        self._live = True
        try:
            while not self.slow:
                while self._queue:
                    batch = self._queue.popleft()
                    self._bytes -= len(batch.raw)
                    self._messages -= batch.count
                    await self.send(batch)
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
            transport.write(last.framed if self._chunked else last.raw)
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
        for client in self.clients:
            client.push(batch)

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

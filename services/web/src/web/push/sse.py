"""Server-Sent Events: how messages are written, and how they travel in the body of one HTTP answer.

The standard: html.spec.whatwg.org, 9.2. What is sent to whom and when is decided in `audience`, which knows nothing of
this form; another one is another `Connection`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiohttp import HttpVersion11, web

from web.push.audience import Batch, Frame

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}

_HEARTBEAT: Final = Batch(b": keep-alive\n\n").keep()


def content(event: bytes, data: bytes) -> bytes:
    """Type and data of one message (9.2.6), without the line that ends it."""
    lines = b"\ndata: ".join(data.splitlines()) if b"\n" in data or b"\r" in data else data
    return b"event: %b\ndata: %b\n" % (event, lines)


def closing(cursor: str = "") -> bytes:
    """The end of a message, with the cursor behind it."""
    return f"id: {cursor}\n\n".encode() if cursor else b"\n"


def message(event: str, data: bytes, cursor: str = "") -> bytes:
    """One whole message."""
    return content(event.encode(), data) + closing(cursor)


def chunk(pieces: Sequence[bytes], size: int) -> bytes:
    """As one chunk of HTTP/1.1 (RFC 9112, 7.1)."""
    return b"".join((b"%x\r\n" % size, *pieces, b"\r\n"))


def bare(pieces: Sequence[bytes], size: int) -> bytes:
    """As it is: the body of HTTP/1.0 ends with the connection."""
    del size
    return b"".join(pieces)


class EventStream:
    """One HTTP answer that goes on and on."""

    __slots__ = ("_frame", "_request", "_transport", "response")

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._frame: Frame = chunk if request.version >= HttpVersion11 else bare
        self.response = web.StreamResponse(headers=HEADERS)

    @property
    def heartbeat(self) -> Batch:
        """A comment, which readers pass over."""
        return _HEARTBEAT

    @property
    def buffered(self) -> int:
        """Bytes that the socket has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._transport is None or self._transport.is_closing()

    async def open(self, headers: dict[str, str]) -> None:
        """Send the headers. Raises ConnectionError where the client has gone."""
        self.response.headers.update(headers)
        await self.response.prepare(self._request)
        if self._request.transport is None:
            raise ConnectionResetError("the client has gone")
        self._transport = self._request.transport

    def write(self, batch: Batch) -> None:
        """Hand it to the socket, unless that is closed."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(batch.wire(self._frame))

    async def drained(self) -> None:
        """Wait until the socket has taken enough."""
        await self._request.writer.drain()

    async def finish(self) -> None:
        """End the answer, and the connection after it."""
        self.response.force_close()
        with suppress(ConnectionError):
            await self.response.write_eof()

    def abort(self) -> None:
        """Cut it off."""
        if self._transport is not None:
            self._transport.abort()

"""Documents: the bytes of one URL, made once for each change of state and sent to everyone who asks.

A request costs a look at two headers and one write: status line, headers and body stand ready as one piece of bytes,
which is renewed once a second for its `Date` and `Age`. What is out of the ordinary (HEAD, HTTP/1.0, a connection that
closes) takes aiohttp's usual way with the same headers and bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, TypeAlias

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from web.http.answers import Answer

MAX_AGE: Final = 10.0
"""Seconds after which a document is made anew although nothing changed, because it says how old things are."""

PACKED: Final = "-gzip"
"""What the validator of the compressed bytes ends with."""

GZIP_FROM: Final = 512
"""Bytes below which compression does not pay."""


Aging: TypeAlias = Callable[[], float | None]
"""Tells how many seconds ago the figures of a document were last known to be true; None: not known."""


class Prepared(web.StreamResponse):
    """A response whose bytes, headers included, are there already."""

    def __init__(self, status: int, raw: bytes) -> None:
        super().__init__(status=status)
        self._raw = raw
        self._writer: AbstractStreamWriter | None = None

    @property
    def keep_alive(self) -> bool:
        """Always: other connections take the usual way."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Hand the bytes to the socket."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        transport.write(self._raw)
        self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Wait until a slow client took enough."""
        del data
        if self._writer is not None:
            await self._writer.drain()


class Rendition:
    """One status with one body in one encoding, ready to send; kept with the current date and age."""

    __slots__ = ("_age", "_date", "_head", "_raw", "body", "headers", "status", "unchanged")

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        body: bytes,
        age: Aging | None = None,
        unchanged: Rendition | None = None,
    ) -> None:
        self.unchanged = unchanged  # what a client that has it already gets
        self._age = age
        self.status = status
        self.headers = headers
        self.body = body
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if status != HTTPStatus.NOT_MODIFIED:
            lines.append(f"Content-Length: {len(body)}")
        self._head = "\r\n".join(lines).encode("latin-1")
        self._date = 0
        self._raw = b""

    def response(self, request: web.Request) -> web.StreamResponse:
        """For this request."""
        if request.method != "GET" or request.version != HttpVersion11 or not request.keep_alive:
            return web.Response(status=self.status, headers={**self.headers, **self._aged()}, body=self.body)
        now = int(time.time())
        if now != self._date:
            moving = {"Date": formatdate(now, usegmt=True), **self._aged()}
            lines = "".join(f"\r\n{name}: {value}" for name, value in moving.items())
            self._raw = b"%b%b\r\n\r\n%b" % (self._head, lines.encode(), self.body)
            self._date = now
        return Prepared(self.status, self._raw)

    def _aged(self) -> dict[str, str]:
        age = None if self._age is None else self._age()
        return {} if age is None else {"Age": str(int(age))}


class Document:
    """One URL. `build` is called when somebody asks and what is kept is out of date; `renders` counts that.

    `age` tells how old its figures are, for those that have any. `effort` is gzip's level, 1 (fast) to 9.
    """

    def __init__(
        self,
        build: Callable[[], Answer],
        max_age: float = MAX_AGE,
        *,
        age: Aging | None = None,
        effort: int = 6,
    ) -> None:
        self._build = build
        self._max_age = max_age
        self._age = age
        self._effort = effort
        self._expires = 0.0
        self._etag = ""
        self._answer: Answer | None = None
        self._plain: Rendition | None = None
        self._gzip: Rendition | None = None
        self.renders = 0
        self.requests = 0

    def invalidate(self) -> None:
        """What it shows has changed."""
        self._expires = 0.0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        self.requests += 1
        answer = self._answer
        if answer is None or time.monotonic() >= self._expires:
            answer = self._renew()
        headers = request.headers
        if len(answer.body) >= GZIP_FROM and _takes_gzip(headers.get("Accept-Encoding")):
            rendition = self._gzip
            if rendition is None:
                rendition = self._gzip = self._rendition(answer, packed=True)
        else:
            rendition = self._plain
            if rendition is None:
                rendition = self._plain = self._rendition(answer, packed=False)
        matches = headers.get("If-None-Match")
        if matches is not None and rendition.unchanged is not None and _listed(self._etag, matches):
            return rendition.unchanged.response(request)
        return rendition.response(request)

    def _renew(self) -> Answer:
        answer = self._build()
        self.renders += 1
        self._expires = time.monotonic() + self._max_age
        if answer != self._answer:
            self._answer = answer
            self._etag = hashlib.blake2b(answer.body, digest_size=12).hexdigest()
            self._plain = self._gzip = None
        return answer

    def _rendition(self, answer: Answer, *, packed: bool) -> Rendition:
        # A strong validator names one representation, so the compressed one has its own.
        shared = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding", **answer.headers}
        unchanged, age = None, None
        if answer.status == HTTPStatus.OK:
            age = self._age
            shared["ETag"] = f'"{self._etag}{PACKED if packed else ""}"'
            unchanged = Rendition(HTTPStatus.NOT_MODIFIED, shared, b"", age)
        headers = {"Content-Type": answer.content_type, **shared}
        if packed:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(answer.body, compresslevel=self._effort, mtime=0)
            return Rendition(answer.status, headers, body, age, unchanged)
        return Rendition(answer.status, headers, answer.body, age, unchanged)


def _listed(etag: str, matches: str) -> bool:
    """Whether If-None-Match names this state, in either encoding (weak comparison, RFC 9110 13.1.2)."""
    if matches.strip() == "*":
        return True
    for part in matches.split(","):
        tag = part.strip().removeprefix("W/").strip('"')
        if tag in (etag, etag + PACKED):
            return True
    return False


def _takes_gzip(accepted: str | None) -> bool:
    """Whether Accept-Encoding allows gzip (RFC 9110 12.5.3); without the header we send the plain bytes."""
    if not accepted:
        return False
    allowed = False
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip() in ("gzip", "*"):
            quality = parameters.replace(" ", "")
            refused = quality.startswith("q=0") and not quality[3:].strip(".0")
            if name.strip() == "gzip":
                return not refused
            allowed = not refused
    return allowed

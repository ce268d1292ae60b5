"""What a URL answers: status, body and headers, made once and sent to many; the shapes of errors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import orjson
from aiohttp import web

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

CORS: Final = {"Access-Control-Allow-Origin": "*"}

PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding, Accept-Language, Cookie",
    "X-Content-Type-Options": "nosniff",
}
"""Of every page: nothing from elsewhere, no inline script or style; and that it is another in each language."""

PRIVATE: Final = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
"""Of what no other origin may read."""

RETRY_AFTER: Final = 5
"""Seconds that a client is asked to wait for what is not available yet."""

API_HEADERS: Final = {**CORS, "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers without those that depend on the request."""

    body: bytes
    content_type: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, request: web.Request) -> web.Response:
        """As an ordinary response of its own, for what is not worth keeping."""
        headers = {"Content-Type": self.content_type, "Cache-Control": "no-cache", **self.headers}
        del request
        return web.Response(status=self.status, body=self.body, headers=headers)


class Unavailable(Exception):
    """There is nothing to show: the message says what is missing, why, and what happens next."""


def document(value: Any, **headers: str) -> Answer:
    """A JSON document of the API."""
    try:
        body = orjson.dumps(value)
    except TypeError:  # a whole number beyond 64 bits: absurd, but JSON has no bound
        body = msgspec.json.encode(value, enc_hook=_text)
    return Answer(body, JSON, headers={**API_HEADERS, **headers})


def _text(value: object) -> str:
    """What is a text of a kind of its own (web.words.sentence): msgspec knows plain ones only."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} in a JSON document: expected what JSON has")


def error(status: int, code: str, text: str, *, retry_after: int | None = None) -> Answer:
    """An error of our own API: `{"error": {"code", "message"}}`."""
    body = orjson.dumps({"error": {"code": code, "message": text}})
    return Answer(body, JSON, status, {**API_HEADERS, **retry(retry_after)})


def moved(path: str) -> Answer:
    """It has another address, for good; `path` is one of ours."""
    return Answer(b"", TEXT, 301, {"Location": path})


def retry(seconds: int | None) -> dict[str, str]:
    """The header that says when to ask again."""
    return {} if seconds is None else {"Retry-After": str(seconds)}


def private(answer: Answer) -> Answer:
    """The answer, to be read by no other origin."""
    kept = {name: value for name, value in answer.headers.items() if name not in CORS}
    return replace(answer, headers={**kept, **PRIVATE})

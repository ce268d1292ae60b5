"""What a request may bring along: little, in a form that is expected, from a page of ours or from no browser at all."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from prometheus_client import Counter

MOST: Final = 100_000
"""Bytes that are read."""

FIELDS_MOST: Final = 10

FORM: Final = "application/x-www-form-urlencoded"

POSTS: Final = Counter("web_posts", "Requests that brought something along", ["path", "status"])


class Unreadable(Exception):
    """What was brought cannot be taken: a status, and why in words."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


async def brought(request: web.Request, kind: str) -> bytes:
    """The body. Raises Unreadable where it is of another type than `kind`, or has more than MOST bytes."""
    if request.content_type != kind:
        raise Unreadable(415, "unsupported_type", f"The body must be of the type {kind}.")
    body = bytearray()
    if (request.content_length or 0) <= MOST:
        async for part in request.content.iter_any():
            body += part
            if len(body) > MOST:
                break
        else:
            return bytes(body)
    raise Unreadable(413, "too_large", f"The body may have {MOST} bytes at most.")


async def fields(request: web.Request) -> dict[str, str]:
    """The fields of a form; of several with one name the last. Raises Unreadable."""
    body = await brought(request, FORM)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MOST)
    except ValueError:
        raise Unreadable(400, "bad_form", "The body is no form.") from None
    return dict(pairs)

"""Requests that are no request, or too long: told in our words, without a trace and without what was sent."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp
import pytest
from yarl import URL

from support.markup import Balanced
from web.http.serving import LONGEST, TOO_LONG, UNREAD

SENT = "zq" * 4_500  # more than the 8,190 bytes that aiohttp takes by itself


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (f"/address/{SENT}", 400, "This cannot be looked up"),
        (f"/tx/{SENT}", 400, "A transaction is named by the 64 hexadecimal digits"),
        (f"/nowhere/{SENT}", 404, "There is nothing at"),
        (f"/search?q={SENT}", 400, "This cannot be looked up"),
        (f"/api/address/{SENT}", 400, "Invalid Bitcoin address"),
        (f"/api/v1/{SENT}", 404, "not_found"),
    ],
    ids=lambda value: str(value)[:12],
)
async def test_what_is_too_long_is_answered_as_everything_else_is(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, path: str, status: int, words: str
) -> None:
    with caplog.at_level(logging.WARNING):
        async with http.get(path) as response:
            body = await response.text()
    assert response.status == status
    assert words in body
    assert len(body) < 60_000
    if response.content_type == "text/html":
        Balanced(body)
    assert "Traceback" not in body
    assert not caplog.records


async def raw(site: Any, sent: bytes) -> str:
    """What is answered until the connection ends."""
    url = URL(site.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        writer.write(sent)
        return (await asyncio.wait_for(reader.read(), 5)).decode()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"GET /address/" + b"zq" * LONGEST + b" HTTP/1.1\r\nHost: x\r\n\r\n", TOO_LONG),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"zq" * 20_000 + b"\r\n\r\n", TOO_LONG),
        (b"GET /zqzq HTTP/zqzq\r\n\r\n", UNREAD),
        (b"zqzq\r\n\r\n", UNREAD),
    ],
)
async def test_what_cannot_be_read_is_said_to_be(
    site: Any, caplog: pytest.LogCaptureFixture, sent: bytes, words: str
) -> None:
    with caplog.at_level(logging.WARNING):
        said = await raw(site, sent)
    assert said.startswith("HTTP/1.0 400 ") or said.startswith("HTTP/1.1 400 ")
    assert said.endswith(f"\r\n\r\n{words}")
    assert "zq" not in said
    assert "Python" not in said
    assert not caplog.records

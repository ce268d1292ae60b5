"""Runs web inside the test's own loop, and reads Server-Sent Events as the standard says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import structlog
from aiohttp import web

from shared import redis
from shared.keys import Keys
from shared.networks import NETWORKS
from shared.views import MempoolView, TipView
from web.http.reach import LOOPBACK, Reach
from web.http.serving import Runner
from web.state.snapshot import Snapshot
from web.website import Site
from web.words.currency import USUAL


class Running:
    """A site that listens; `admin` is the operator's address."""

    def __init__(self, site: Site, url: str, admin: str) -> None:
        self.site = site
        self.url = url
        self.admin = admin

    async def ready(self, limit: float = 5) -> None:
        """Once a whole reading is over that found both domains: the heartbeats are read after the views."""

        def known() -> bool:
            snapshot = self.site.state.snapshot
            return bool(snapshot.read_at and snapshot[TipView] and snapshot[MempoolView])

        await until(known, limit)


@contextlib.asynccontextmanager
async def serving(
    url: str,
    *,
    network: str = "main",
    demo: bool = False,
    heartbeat: float = 15,
    reach: Reach = LOOPBACK,
    currency: str = USUAL,
    wallet_secret: str = "",
    wallet_example: Callable[[], str] = str,
) -> AsyncIterator[Running]:
    """Web on a free port, as web.app runs it, without its own heartbeat."""
    client = redis.connect(url)
    site = Site(
        Snapshot(NETWORKS[network], demo=demo),
        Keys(network),
        client,
        connect=lambda: redis.connect_blocking(url),
        log=structlog.get_logger(),
        version="0.1.0",
        heartbeat=heartbeat,
        reach=reach,
        currency=currency,
        wallet_secret=wallet_secret,
        wallet_example=wallet_example,
    )
    runners = [Runner(application, 1.5) for application in (site.application(), site.operators())]
    for runner in runners:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.start()
    try:
        yield Running(site, *(f"http://127.0.0.1:{runner.addresses[0][1]}" for runner in runners))
    finally:
        site.dismiss()
        for runner in runners:
            await runner.cleanup()
        await site.close()
        await client.aclose()
        assert not site.failed.done() or site.failed.exception() is None
        site.failed.cancel()


async def until(what: Callable[[], Any], limit: float = 5) -> Any:
    """The first true value of `what`."""
    deadline = time.monotonic() + limit
    while not (value := what()):
        assert time.monotonic() < deadline, f"not within {limit} s"
        await asyncio.sleep(0.01)
    return value


@dataclass(frozen=True)
class Message:
    event: str
    id: str
    data: Any


class Events:
    """One connection to a stream of events. `last_id` is what a browser would send when it comes back."""

    def __init__(self, response: aiohttp.ClientResponse, last_id: str = "") -> None:
        self.response = response
        self.last_id = last_id
        self.comments = 0
        self._buffer = b""

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, url: str, streams: str, last_id: str = "", **query: str) -> AsyncIterator[Self]:
        """Connect, and wait until the server has told the cursor to start from."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=10)
        async with (
            aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
            session.get(f"{url}/api/v1/events", params={"streams": streams, **query}, headers=headers) as response,
        ):
            assert response.status == 200, await response.text()
            events = cls(response, last_id)
            assert await events._block() is None
            yield events

    async def next(self) -> Message:
        """The next message; fails at the end of the stream."""
        message = await self.next_or_end()
        assert message is not None, "the stream ended"
        return message

    async def next_or_end(self) -> Message | None:
        """The next message, None at the end of the stream."""
        while True:
            message = await self._block()
            if message is not None or self.response.content.at_eof():
                return message

    async def take(self, count: int) -> list[Message]:
        """So many messages."""
        found: list[Message] = []
        while len(found) < count:
            message = await self.next_or_end()
            assert message is not None, f"the stream ended after {len(found)} of {count} messages"
            found.append(message)
        return found

    async def _block(self) -> Message | None:
        while b"\n\n" not in self._buffer:
            more = await self.response.content.readany()
            if not more:
                return None
            self._buffer += more
        block, _, self._buffer = self._buffer.partition(b"\n\n")
        event, data = "message", []
        for line in block.decode().split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not field:
                self.comments += 1
            elif field == "event":
                event = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                self.last_id = value
        return Message(event, self.last_id, json.loads("\n".join(data))) if data else None

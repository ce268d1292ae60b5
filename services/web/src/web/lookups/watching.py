"""`/live/lookup?about=`: tells an open page that what it shows is another, and the explorer what is looked at.

On the wire: `changed` with an empty object; the page asks for itself again then. What is watched is renewed while
somebody looks, and ends by itself (Keys.watched): nobody has to say goodbye.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiohttp import web

from shared import redis
from shared.keys import Keys
from shared.logging import Trouble
from web.http import answers
from web.lookups.asking import Lookups
from web.push.audience import Audience, Batch, Client
from web.push.sse import EventStream, message

RENEW: Final = 10.0
"""Seconds between two renewals of what is watched."""

WATCH_MS: Final = 30_000
"""How long something is watched after the last renewal."""

MOST: Final = 5_000
"""Things that are looked at live at once; further ones are told of new blocks alone."""

JUST_NOW: Final = 30.0
"""Seconds from when a page was made until it is watched: what changed meanwhile is told to whoever begins to look."""

_ABOUT: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{32}")
_CHANGED: Final = Batch(message("changed", b"{}"))
_GONE: Final = Batch(message("reset", b"{}"))


class Watching:
    """Everyone who has a page of a look-up open."""

    def __init__(
        self, client: Any, keys: Keys, lookups: Lookups, now: Callable[[], float], log: structlog.stdlib.BoundLogger
    ) -> None:
        """`now` tells Unix seconds by Redis' clock."""
        self._redis = client
        self._key = keys.watched
        self._now = now
        self._trouble = Trouble(log, "watching")
        self._audiences: dict[str, Audience] = {}
        self._new = asyncio.Event()
        self._closed = False
        self._lookups = lookups
        self._moved_at = -math.inf
        lookups.on_change(self.changed)
        lookups.on_missed(self.moved)

    def audiences(self) -> list[Audience]:
        """Of each thing that is looked at."""
        return list(self._audiences.values())

    def changed(self, about: str) -> None:
        """This is another now."""
        audience = self._audiences.get(about)
        if audience is not None:
            audience.broadcast(_CHANGED)

    def moved(self) -> None:
        """The chain has another tip, or changes may have been missed: every look-up is another."""
        self._moved_at = time.monotonic()
        for audience in self._audiences.values():
            audience.broadcast(_CHANGED)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Tell of changes for as long as the client stays."""
        about = request.query.get("about", "")
        if not _ABOUT.fullmatch(about):
            text = "about is none of what can be watched: expected a txid, a script hash or the name of a wallet"
            return answers.error(400, "bad_about", text).response(request)
        if self._closed:
            return answers.error(503, "stopping", "The server is stopping; try again", retry_after=2).response(request)
        stream = EventStream(request)
        client = Client(stream)
        audience = self._audiences.setdefault(about, Audience())
        audience.clients.add(client)
        if self._lookups.changed_lately(about, JUST_NOW) or time.monotonic() - self._moved_at < JUST_NOW:
            client.push(_CHANGED)
        self._new.set()
        try:
            await stream.open({})
            await client.run(lambda: _GONE)
        except (ConnectionError, TimeoutError):
            pass  # the client went, or stopped reading
        finally:
            audience.part(client)
            if not audience.clients and self._audiences.get(about) is audience:
                del self._audiences[about]
        return stream.response

    async def renew(self) -> None:
        """Tell the explorer what is looked at, for ever."""
        while True:
            self._new.clear()
            if self._audiences:
                try:
                    until = int(self._now() * 1000) + WATCH_MS
                    await self._redis.zadd(self._key, dict.fromkeys(list(self._audiences)[:MOST], until))
                    self._trouble.ended()
                except redis.TROUBLE as error:
                    self._trouble.failed(error)
            try:
                async with asyncio.timeout(RENEW):
                    await self._new.wait()
                await asyncio.sleep(0.05)  # those that come together are told together
            except TimeoutError:
                pass

    def dismiss(self) -> None:
        """End every connection and accept no more."""
        self._closed = True
        for audience in self.audiences():
            audience.dismiss()

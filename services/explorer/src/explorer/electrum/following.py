"""Subscriptions with the active server: made anew with each connection, compared, and told."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from explorer.electrum.answers import Status, read
from explorer.electrum.book import Book, Entry
from explorer.electrum.dialect import NEWS_OF_SCRIPTS
from explorer.electrum.limits import Limits
from explorer.electrum.script import Script
from explorer.electrum.server import Server
from explorer.electrum.servers import Servers
from explorer.electrum.wire import Notified
from shared.errors import ElectrumError, ElectrumRefused, ElectrumTooLong, ElectrumUnreachable
from shared.logging import Trouble
from shared.tasks import together

AT_ONCE: Final = 200
"""Subscriptions made side by side with a new connection."""

LOOK_SECONDS: Final = 0.5
"""Between two looks at which server is the one to follow, where none of them changes."""


class Following:
    """Who is subscribed where."""

    def __init__(self, book: Book, limits: Limits) -> None:
        self._book = book
        self._limits = limits
        self._made: tuple[str, int] | None = None  # the connection on which everything is subscribed
        self._changed = asyncio.Event()
        self._trouble = Trouble(structlog.get_logger(), "electrum_subscription")

    async def follow(self, servers: Servers) -> None:
        """Go on until cancelled: whenever another connection is the active one, subscribe to everything there."""
        while True:
            server = servers.choose()
            if server is not None and self._made != (server.name, server.connection):
                made = server.name, server.connection
                try:
                    await self._renew(server)
                    self._made = made
                    self._trouble.ended()
                except ElectrumError as error:
                    self._trouble.failed(error)
            await servers.changed(LOOK_SECONDS)

    async def tell(self) -> None:
        """Go on until cancelled: tell what changed, of several changes in quick succession the last."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for entry, status in self._book.tell():
                for listener in entry.listeners:
                    listener(entry.script.hash, status)
            await asyncio.sleep(self._limits.tell)

    def heard(self, server: Server, news: Notified) -> bool:
        """A server told something; returns whether anybody asked for it. Raises ElectrumMalformed."""
        if news.method not in NEWS_OF_SCRIPTS:
            return False
        named, status = read(news.method, news.raw, tuple[str, Status])
        entry = self._book.find(named)
        if entry is None:
            return False
        if server.name in entry.sources:  # another one may still tell of what was subscribed there before
            self._take(entry, status, news.arrival)
        return True

    async def subscribe(self, server: Server, entry: Entry) -> Status:
        """Subscribe one script there; returns its status."""
        if server.dialect is None:
            raise ElectrumUnreachable("it is not connected")
        method, name = server.dialect.call("subscribe", entry.script)
        others = entry.sources - {server.name}
        entry.sources.add(server.name)  # now: news may come right behind the answer
        try:
            arrival, status = await server.ask(method, name, kind=Status)
        except BaseException:
            entry.sources.discard(server.name)
            raise
        entry.sources -= others
        self._take(entry, status, arrival)
        return entry.status

    async def leave(self, servers: Servers, script: Script) -> None:
        """Nobody follows the script any more: tell the active server, if it can be told."""
        server = servers.choose()
        if server is None or server.dialect is None or not server.dialect.unsubscribes:
            return
        try:
            method, name = server.dialect.call("unsubscribe", script)
            await server.ask(method, name, kind=bool)
        except ElectrumError as error:  # the connection went, and the subscription with it; news of it are passed over
            self._trouble.failed(error)

    async def _renew(self, server: Server) -> None:
        entries = list(self._book.entries.values())
        for start in range(0, len(entries), AT_ONCE):
            await together(*(self._again(server, entry) for entry in entries[start : start + AT_ONCE]))

    async def _again(self, server: Server, entry: Entry) -> None:
        try:
            await self.subscribe(server, entry)
        except (ElectrumTooLong, ElectrumRefused) as error:  # this server does not follow this one; the others it may
            self._trouble.failed(error)

    def _take(self, entry: Entry, status: Status, arrival: int) -> None:
        self._book.heard(entry, status, arrival)
        if self._book.changed:
            self._changed.set()

"""Scripts that somebody looks at: subscribed at the Electrum server, each change of their history told once.

One replica does it. What it told last of a script stands in Redis, written in the commit that told it; whoever takes
over compares, and tells what came meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from explorer.address.seen import TOLD_MS, Known, Seen
from explorer.electrum.answers import Status
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from shared.commit import Commands, Cursor
from shared.domains import CHANGES
from shared.errors import ElectrumError, ElectrumRefused, ElectrumTooLong
from shared.events.base import entry_fields
from shared.events.lookups import AddressChanged
from shared.lease import Lease
from shared.leased import Leased
from shared.logging import Trouble
from shared.service import Service
from shared.tasks import accompanied, pause, together

HOLDER: Final = "explorer-live"
"""Whose the lease is."""

LOOK_SECONDS: Final = 0.3
"""Between two looks at what is watched."""

MOST: Final = 10_000
"""Scripts that are followed: those that are watched longest."""

AT_ONCE: Final = 100
"""Subscriptions made, and ended, side by side."""

TOLD_AT_ONCE: Final = 200
"""Changes in one commit."""

AGAIN_SECONDS: Final = 1.0
REFUSED_SECONDS: Final = 30.0
"""After which a subscription is tried again that could not be made; and one that the server does not want to make."""

RENEW_SECONDS: Final = 10.0
LEAVE_SECONDS: Final = 2.0

_HASH: Final = re.compile(rb"[0-9a-f]{64}")

_DUE: Final = """
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1)
"""
"""What is over goes; what is watched, those first that are watched longest."""


@dataclass(slots=True)
class _Followed:
    script: Script
    heard: bool = False  # a change, since it was subscribed


class Live:
    """The watch of one replica. Without an Electrum server there is nobody who could tell of a change."""

    def __init__(self, service: Service, electrum: Electrum, seen: Seen) -> None:
        client, keys = service.redis, service.keys
        self._service = service
        self._electrum = electrum
        self._seen = seen
        self._keys = keys
        self._stream = keys.stream(CHANGES)
        self._lease = Lease(client, keys.lease(CHANGES.slot, HOLDER), keys.fence(CHANGES.slot, HOLDER))
        self._leased = Leased(service, self._lease, name="live")
        self._cursor = Cursor(client, keys.producer(CHANGES))
        self._due = client.register_script(_DUE)
        self._trouble = Trouble(service.log, "live_subscription")
        self._wake = asyncio.Event()
        self._followed: dict[str, _Followed] = {}
        self._news: dict[str, str] = {}
        self._rest_until: dict[str, float] = {}
        self._renew_at = 0.0

    async def run(self) -> None:
        """Follow while this replica is the active one, until the service is told to stop."""
        if not self._electrum.configured:
            self._service.health.ok()
            await self._service.stopping.wait()
            return
        await self._leased.run(self._work)

    async def _work(self) -> None:
        await self._cursor.load()
        self._news.clear()
        self._rest_until.clear()
        self._renew_at = 0.0
        try:
            await accompanied(self._follow(), self._tell())
        finally:
            left, self._followed = self._followed, {}
            if not self._service.stopping.is_set():  # else the connection ends, and they with it
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_SECONDS):
                        await self._leave(one.script for one in left.values())

    # --- who is followed -----------------------------------------------------------------------------

    async def _follow(self) -> None:
        stopping = self._service.stopping
        while not stopping.is_set():
            names: list[bytes] = await self._due(keys=[self._keys.watched], args=[MOST])
            await self._compare({name.decode() for name in names if _HASH.fullmatch(name)})
            if self._followed and time.monotonic() >= self._renew_at:
                self._renew_at = time.monotonic() + RENEW_SECONDS
                await self._seen.renew(list(self._followed))
            self._leased.well()
            self._service.health.ok(watched=len(self._followed))
            await pause(stopping, LOOK_SECONDS)

    async def _compare(self, wanted: set[str]) -> None:
        """Subscribe to what is wanted and known, leave what is not wanted any more."""
        over = [self._followed.pop(name) for name in list(self._followed) if name not in wanted]
        for one in over:
            self._news.pop(one.script.hash, None)
        if over:
            await self._service.redis.delete(*(self._keys.status_told(one.script.hash) for one in over))
            await self._leave(one.script for one in over)
        now = time.monotonic()
        self._rest_until = {name: until for name, until in self._rest_until.items() if until > now}
        new = [name for name in wanted if name not in self._followed and name not in self._rest_until]
        if new:
            known = list((await self._seen.known(new)).values())  # what is not known is a transaction, or never asked
            for start in range(0, len(known), AT_ONCE):
                await together(*map(self._subscribe, known[start : start + AT_ONCE]))

    async def _subscribe(self, known: Known) -> None:
        name = known.script.hash
        one = self._followed[name] = _Followed(known.script)
        try:
            status = await self._electrum.subscribe(known.script, self._heard) or ""
        except ElectrumError as error:
            del self._followed[name]
            refused = isinstance(error, ElectrumRefused | ElectrumTooLong)
            self._rest_until[name] = time.monotonic() + (REFUSED_SECONDS if refused else AGAIN_SECONDS)
            self._trouble.failed(error)
            return
        self._trouble.ended()
        if one.heard:
            return
        if known.status is not None and known.status != status:
            self._news[name] = status
            self._wake.set()
        elif not known.told:
            await self._service.redis.set(self._keys.status_told(name), status, px=TOLD_MS)

    async def _leave(self, scripts: Iterable[Script]) -> None:
        every = list(scripts)
        for start in range(0, len(every), AT_ONCE):
            await together(*(self._unsubscribe(one) for one in every[start : start + AT_ONCE]))

    async def _unsubscribe(self, script: Script) -> None:
        try:
            await self._electrum.unsubscribe(script, self._heard)
        except ElectrumError as error:  # somebody else's subscription to it, which is made again with the connection
            self._trouble.failed(error)

    # --- what is told --------------------------------------------------------------------------------

    def _heard(self, name: str, status: Status) -> None:
        one = self._followed.get(name)
        if one is not None:
            one.heard = True
            self._news[name] = status or ""
            self._wake.set()

    async def _tell(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._news:
                some = dict(islice(self._news.items(), TOLD_AT_ONCE))
                await self._publish(some)
                for name, status in some.items():
                    if self._news.get(name) == status:
                        del self._news[name]

    async def _publish(self, changes: dict[str, str]) -> None:
        commands = Commands()
        for name, status in changes.items():
            fields = entry_fields(AddressChanged(key=name, status=status), 0)
            commands.add("XADD", self._stream, "MAXLEN", "~", CHANGES.keep, "*", *fields)
            commands.add("SET", self._keys.status_told(name), status, "PX", TOLD_MS)
        count = int(self._cursor.value or 0) + len(changes)
        await self._cursor.commit(self._lease.key, self._lease.token, str(count), commands)

"""The addresses that holders published, followed: one replica does, and others stand by.

With an Electrum server each is subscribed, and its balance asked for with each notification, each connection and each
block. Without one the node's coins are scanned for all of them at once, now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Final

from explorer.address.scan import Scans
from explorer.core.node import Nodes
from explorer.electrum.answers import Status
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from explorer.treasury.asking import AtServer, ByScan
from explorer.treasury.balances import Balances
from explorer.treasury.published import Published
from shared.domains import TREASURIES
from shared.errors import ConfigError, ElectrumError, RpcError
from shared.leased import Leased
from shared.logging import Trouble
from shared.outlet import Outlet
from shared.service import Service
from shared.tasks import end, together

LIST_SECONDS: Final = 5.0
"""Between two looks at who published what."""

LOOK_SECONDS: Final = 0.3
"""Between two looks at whether the server has another block, or is another one."""

AGAIN_SECONDS: Final = 5.0
"""After which those are asked about again of whom nothing was told."""

SUBSCRIBE_SECONDS: Final = 30.0
"""After which a subscription is tried again that was refused: until then the balance is asked for with each block."""

SCAN_SECONDS: Final = 600.0
SCAN_SHARE: Final = 20
"""After a scan there is none for ten minutes, and for twenty times as long as it took: a node does one at a time."""

START_SECONDS: Final = 60.0
"""After one that somebody did before a restart there is none for so long."""

GIVE_WAY_SECONDS: Final = 5.0
CONFIRM_SECONDS: Final = 2.0
AT_ONCE: Final = 100
LEAVE_SECONDS: Final = 2.0


class Watch:
    """The watch of one replica."""

    def __init__(self, service: Service, electrum: Electrum, nodes: Nodes, scans: Scans) -> None:
        keys, stream = service.keys, TREASURIES.announces
        self._service = service
        self._electrum = electrum
        self._outlet = Outlet(service, TREASURIES.slot, keys.stream(stream), keys.producer(stream), keep=stream.keep)
        self._leased = Leased(service, self._outlet.lease, name="treasuries")
        self._published = Published(service.redis, keys)
        self._balances = Balances(keys, "electrum" if electrum.configured else "scan")
        self._server = AtServer(service, electrum, nodes, self._balances)
        self._scan = ByScan(service, nodes, scans, self._balances)
        self._trouble = Trouble(service.log, "treasuries_asked")
        self._wake = asyncio.Event()
        self._begin()

    def _begin(self) -> None:
        """Nothing is known of what another did meanwhile."""
        self._subscribed: dict[str, Script] = {}
        self._again: dict[str, float] = {}  # until when a subscription is not tried
        self._news: set[str] = set()
        self._looked: object = None  # the server, connection and block of the last whole look
        self._failed_until = self._list_at = self._confirm_at = self._scan_at = 0.0

    async def run(self) -> None:
        """Follow while this replica is the active one, until the service is told to stop."""
        await self._leased.run(self._work)

    async def _work(self) -> None:
        self._begin()
        self._published.forget()
        await self._outlet.producer.load()
        stored = await self._service.redis.hgetall(self._service.keys.state(TREASURIES))
        for why in self._balances.restored(stored):
            self._service.log.warning("treasury_unreadable", what=why)
        newest = max((one.as_of_ms for one in self._balances.known.values()), default=0)
        self._scan_at = time.monotonic() + max(0.0, START_SECONDS - (self._service.clock.now_ms - newest) / 1000)
        turn = self._at_server if self._electrum.configured else self._by_scan
        try:
            while not self._service.stopping.is_set():
                self._wake.clear()
                await self._learn()
                await turn()
                await self._publish()
                await self._outlet.trim()
                self._leased.well()
                self._service.health.ok(treasuries=len(self._balances.scripts))
                await self._rest()
        finally:
            left = list(self._subscribed.values())
            if left and not self._service.stopping.is_set():  # else the connection ends, and they with it
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_SECONDS):
                        await self._leave(left)

    async def _learn(self) -> None:
        """Who published what, where it is time to look."""
        if time.monotonic() < self._list_at:
            return
        self._list_at = time.monotonic() + LIST_SECONDS
        holders = await self._published.look()
        if holders is not None:
            self._balances.follow(holders)
            await self._publish()  # who is followed is said before anything is known of them

    async def _publish(self) -> None:
        await self._outlet.publish(self._balances.flush(self._service.clock.now_ms))
        if self._balances.scripts and self._balances.whole and time.monotonic() >= self._confirm_at:
            self._confirm_at = time.monotonic() + CONFIRM_SECONDS
            await self._outlet.producer.confirm("electrum" if self._electrum.configured else "scan")

    async def _rest(self) -> None:
        stopping = asyncio.ensure_future(self._service.stopping.wait())
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({stopping, woken}, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(stopping, woken)

    # --- at an Electrum server -----------------------------------------------------------------------

    async def _at_server(self) -> None:
        scripts, now = self._balances.scripts, time.monotonic()
        await self._subscribe(scripts, now)
        if not scripts or (now < self._failed_until and not self._news):
            return
        try:
            server, tip = self._electrum.servers.choose(), await self._electrum.tip()
            at = (server.name, server.connection, tip.hash) if server else None
            if at is None or at != self._looked or now >= self._failed_until > 0:
                due = set(scripts)
            else:
                due = self._news & scripts.keys() | (scripts.keys() - self._balances.known.keys())
            if not due:
                return
            self._news -= due
            look = await self._server.look(scripts[name] for name in sorted(due))
        except ElectrumError as error:
            self._failed(error)
            return
        if look is None:  # another block came: all of them are asked about again
            self._looked = None
            return
        self._balances.take(look)
        if due == scripts.keys():
            self._looked = at
        if self._balances.away:
            self._failed_until = time.monotonic() + AGAIN_SECONDS
        else:
            self._failed_until = 0.0
            self._trouble.ended()

    def _failed(self, error: Exception) -> None:
        self._trouble.failed(error)
        self._balances.silent("away", str(error))
        self._looked = None
        self._failed_until = time.monotonic() + AGAIN_SECONDS

    async def _subscribe(self, scripts: dict[str, Script], now: float) -> None:
        over = [self._subscribed.pop(name) for name in list(self._subscribed) if name not in scripts]
        if over:
            await self._leave(over)
        new = [one for name, one in scripts.items() if name not in self._subscribed and self._again.get(name, 0) <= now]
        for start in range(0, len(new), AT_ONCE):
            await together(*map(self._follow, new[start : start + AT_ONCE]))

    async def _follow(self, script: Script) -> None:
        try:
            await self._electrum.subscribe(script, self._heard)
            self._subscribed[script.hash] = script
        except ElectrumError as error:
            self._again[script.hash] = time.monotonic() + SUBSCRIBE_SECONDS
            self._trouble.failed(error)

    async def _leave(self, scripts: Iterable[Script]) -> None:
        for one in scripts:
            with contextlib.suppress(ElectrumError):  # somebody else's subscription, made again with the connection
                await self._electrum.unsubscribe(one, self._heard)

    def _heard(self, name: str, status: Status) -> None:
        del status  # the balance says what it is
        self._news.add(name)
        self._wake.set()

    # --- by scans of the node ------------------------------------------------------------------------

    async def _by_scan(self) -> None:
        scripts, now = self._balances.scripts, time.monotonic()
        new = scripts.keys() - self._balances.known.keys()
        if not scripts or now < self._failed_until or (now < self._scan_at and not new):
            return
        try:
            if not new and self._looked == await self._scan.best():
                return
            whole = await self._scan.look(scripts)
        except (RpcError, ConfigError) as error:
            self._failed(error)
            return
        if whole is None:
            self._failed_until = time.monotonic() + GIVE_WAY_SECONDS
            return
        self._trouble.ended()
        self._failed_until = 0.0
        self._looked = whole.hash
        self._scan_at = time.monotonic() + max(SCAN_SECONDS, SCAN_SHARE * whole.seconds)
        self._balances.take(whole.look)

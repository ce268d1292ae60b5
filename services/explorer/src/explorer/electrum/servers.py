"""All Electrum servers: which is asked, and which is asked next when that one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from explorer.electrum.dialect import UNKNOWN_METHOD
from explorer.electrum.endpoint import Endpoint
from explorer.electrum.limits import Limits
from explorer.electrum.refusals import plain
from explorer.electrum.server import Server
from explorer.electrum.wire import Notified
from shared.errors import (
    ElectrumBusy,
    ElectrumError,
    ElectrumMalformed,
    ElectrumRefused,
    ElectrumTooLong,
    ElectrumUnreachable,
)
from shared.networks import Network

T = TypeVar("T")

NONE_CONFIGURED: Final = "no Electrum server is configured: expected its address in <NODE>_ELECTRUM_URL"

_ELSEWHERE: Final = (ElectrumUnreachable, ElectrumMalformed, ElectrumBusy, ElectrumTooLong)


class Servers:
    """The servers, the preferred one first. All of them are kept connected, so that another one takes over at once."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        network: Network,
        limits: Limits,
        log: Any,
        known_height: Callable[[], int | None],
        news: Callable[[Server, Notified], bool],
    ) -> None:
        self.all = [Server(one, network, limits, log, self._changed, news) for one in endpoints]
        self.active: Server | None = None
        self._limits = limits
        self._known_height = known_height
        self._behind: dict[str, float] = {}  # since when a server's tip is below the known one, by the loop's clock
        self._event = asyncio.Event()

    def choose(self) -> Server | None:
        """The one to ask now: the active one while it is well, unless a preferred one has been well for a while."""
        now = asyncio.get_running_loop().time()
        well = [server for server in self.all if server.well]
        level = [server for server in well if not self.lags(server)] or well
        if self.active not in level:
            self.active = level[0] if level else None
            return self.active
        for server in level[: level.index(self.active)]:
            if server.since is not None and now - server.since >= self._limits.well and not self._rested(server, now):
                self.active = server
                break
        return self.active

    def lags(self, server: Server) -> bool:
        """Whether its tip has been below the known one for so long that others are preferred."""
        known, now = self._known_height(), asyncio.get_running_loop().time()
        if known is None or server.tip is None or server.tip.height >= known:
            self._behind.pop(server.name, None)
            return False
        return now - self._behind.setdefault(server.name, now) > self._limits.behind

    async def changed(self, seconds: float) -> bool:
        """Wait until any of them changed; False after so long without."""
        self._event.clear()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._event.wait()
        except TimeoutError:
            return False
        return True

    async def asked(self, call: Callable[[Server], Awaitable[T]]) -> T:
        """What `call` brings from the active server, or from the next that is well where that one fails.

        A connection that was lost is waited for, for a moment. Raises ElectrumError.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.await_server
        tried: set[tuple[str, int]] = set()
        failed: ElectrumError | None = None
        while True:
            server = next((one for one in self._in_order() if (one.name, one.connection) not in tried), None)
            if server is None:
                if failed is not None and not isinstance(failed, ElectrumUnreachable):
                    raise failed
                if not self.all or not await self._another(deadline):
                    raise failed or ElectrumUnreachable(self.why_nobody())
                continue
            tried.add((server.name, server.connection))
            try:
                return await call(server)
            except ElectrumRefused as error:
                if error.code != UNKNOWN_METHOD:
                    raise
                failed = error
            except _ELSEWHERE as error:
                if failed is None or isinstance(failed, ElectrumUnreachable):
                    failed = error

    def why_nobody(self) -> str:
        """Why none can be asked, for a person to read."""
        if not self.all:
            return NONE_CONFIGURED
        return "no Electrum server can be asked now: " + "; ".join(
            f"{server.name}: {plain(server.error) if server.error else 'not connected yet'}" for server in self.all
        )

    def _in_order(self) -> list[Server]:
        first = self.choose()
        return [*([first] if first else []), *(one for one in self.all if one.well and one is not first)]

    async def _another(self, deadline: float) -> bool:
        """Wait for a change before the deadline; a circuit closes without one, hence the looks in between."""
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        await self.changed(min(left, 0.2))
        return True

    def _rested(self, server: Server, now: float) -> bool:
        """Whether it was to be left alone just now."""
        return server.error is not None and now - server.error_at < self._limits.well

    def _changed(self) -> None:
        self._event.set()

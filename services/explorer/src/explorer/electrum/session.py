"""One connection to an Electrum server: requests side by side, limits of silence, and an end with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiorpcx import RPCSession  # type: ignore[import-untyped]  # it has no types

from explorer.electrum.limits import Limits
from explorer.electrum.wire import Answer, Exchange, Lines, Notified
from shared.errors import ElectrumError, ElectrumUnreachable

CUT: Final = "the server cut the connection"


class Session(RPCSession):  # type: ignore[misc]  # it has no types
    """What aiorpcx' transports hand bytes to. Its own limits are not used: they are for the whole of an answer."""

    def __init__(self, transport: Any, limits: Limits, notified: Callable[[Notified], None]) -> None:
        self._exchange = Exchange(notified, self._answered, self.end)
        super().__init__(transport, connection=self._exchange)
        self.ended = asyncio.Event()
        self.heard = self.loop.time()  # when anything came last
        self._limits = limits
        self._progress = self.heard  # when an answer, or a part of one, came last
        self._places = asyncio.Semaphore(limits.in_flight)

    @property
    def error(self) -> ElectrumError:
        """Why it ended."""
        return self._exchange.over or ElectrumUnreachable(CUT)

    async def ask(self, method: str, *args: Any) -> Answer:
        """One request. Raises ElectrumUnreachable, what ended the connection, or aiorpcx' RPCError."""
        try:
            async with asyncio.timeout(self._limits.longest), self._places:
                message, future = self._exchange.ask(method, args)
                if len(self._exchange.waiting) == 1:
                    self._progress = self.loop.time()
                try:
                    await self.transport.write(message)
                    return await future
                finally:
                    future.cancel()
        except TimeoutError:
            raise ElectrumUnreachable(f"no answer to {method} within {self._limits.longest:g} s") from None

    def end(self, error: ElectrumError) -> None:
        """Give the connection up; whoever waits is told why."""
        self._exchange.end(error)
        self.ended.set()

    async def watch(self) -> None:
        """Go on until it ended. Ends it where answers are due and nothing comes."""
        beat = min(1.0, self._limits.silence / 4)
        while not self.ended.is_set():
            if self._exchange.waiting and self.loop.time() - self._progress > self._limits.silence:
                self.end(ElectrumUnreachable(f"no answer for {self._limits.silence:g} s"))
                break
            try:
                await asyncio.wait_for(self.ended.wait(), beat)
            except TimeoutError:
                continue

    # --- what aiorpcx calls --------------------------------------------------------------------------

    def default_framer(self) -> Lines:
        """As the base says."""
        return Lines(self._limits.line, self.end)

    def data_received(self, data: bytes) -> None:
        """A piece of a stream came."""
        super().data_received(data)
        self.heard = self.loop.time()
        if b"\n" not in data:  # a part of something long: news are not
            self._progress = self.heard

    def _answered(self) -> None:
        self.heard = self._progress = self.loop.time()

    async def connection_lost(self) -> None:
        """The other side closed, or the network did."""
        self.end(ElectrumUnreachable(CUT))

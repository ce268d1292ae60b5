"""Listens to one exchange: over a conversation where it has one, by asking where it has none, or says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from market.exchange import Exchange, Quotes, Refused
from market.state import Market
from shared.backoff import Backoff
from shared.errors import OutsideError, OutsideMalformed, OutsideNotNow
from shared.logging import Trouble
from shared.outside.client import Outside, understood
from shared.outside.tally import Tally
from shared.service import Service
from shared.tasks import pause

ASK_SECONDS: Final = 10.0
"""Between two times that a currency is asked for."""

SILENT_MS: Final = 20_000
"""A currency of which a conversation has said nothing for so long is asked for."""

FIRST_SECONDS: Final = 2.5
"""Before anything is asked of an exchange with a conversation, which comes first."""

AGAIN_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0
"""Before a conversation is begun anew, doubled for each that did not last: each is a request, and others need some."""


@dataclass(slots=True)
class Listener:
    """One exchange's quotes, on their way into the market. `heard` is called when one is new."""

    service: Service
    outside: Outside
    exchange: Exchange
    market: Market
    tally: Tally
    heard: Callable[[], None]

    def work(self) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        """What is to be done side by side, until it is cancelled or the service is to stop.

        It is handed out as it is, and not as one task of two: whoever ends it must be able to cancel each again, since
        redis-py may drop a cancellation (shared.tasks.end). What Redis fails with is raised.
        """
        return self._talk(), self._ask()

    def _take(self, quotes: Quotes) -> bool:
        """Whether there was a good one."""
        now_ms, good, new = self.service.clock.now_ms, False, False
        for said in quotes:
            if isinstance(said, Refused):
                self.tally.refuse(said.why)
            else:
                good = True
                new |= self.market.hear(self.exchange.provider.name, said, now_ms)
        if new:
            self.heard()
        return good

    # --- conversations -------------------------------------------------------------------------------

    async def _talk(self) -> None:
        exchange, trouble = self.exchange, self._trouble("conversation")
        again = Backoff(AGAIN_SECONDS, LONGEST_SECONDS, quiet=LONGEST_SECONDS)
        while exchange.talk and exchange.conversation and not self.service.stopping.is_set():
            understand = exchange.conversation()

            def message(raw: str | bytes, understand: Any = understand) -> bool:
                self.tally.messages += 1
                try:
                    quotes: Quotes = understood(exchange.provider, understand, raw)
                except OutsideMalformed as error:  # one message; a talk of nothing else ends by its silence
                    self.tally.refuse(str(error))
                    return False
                if quotes:
                    self.tally.connected = True
                    trouble.ended()
                return self._take(quotes)

            try:
                await self.outside.converse(exchange.provider, exchange.talk, message)
            except OutsideNotNow as error:
                wait = min(error.wait, LONGEST_SECONDS)
            except OutsideError as error:
                trouble.failed(error)
                again.tried()
                wait = again.pause
            finally:
                self.tally.connected = False
            await pause(self.service.stopping, wait)

    # --- questions -----------------------------------------------------------------------------------

    async def _ask(self) -> None:
        trouble = self._trouble("question")
        asked: dict[str, float] = {}
        loop = asyncio.get_running_loop()
        if self.exchange.talk is not None:
            await pause(self.service.stopping, FIRST_SECONDS)
        while not self.service.stopping.is_set():
            wait = 0.5
            for currency, path in self.exchange.tickers.items():
                if not self._silent(currency) or loop.time() - asked.get(path, float("-inf")) < ASK_SECONDS:
                    continue
                try:
                    self._take(await self._answer(path, currency))
                    trouble.ended()
                except OutsideNotNow as error:
                    wait = max(wait, min(error.wait, 60.0))
                    break
                except OutsideError as error:
                    trouble.failed(error)
                asked[path] = loop.time()
            await pause(self.service.stopping, wait)

    async def _answer(self, path: str, currency: str) -> Quotes:
        def understand(body: bytes) -> Quotes:
            try:
                quotes = self.exchange.ticker(body, currency)
            except OutsideMalformed as error:
                self.tally.refuse(str(error))
                raise
            refused = [said for said in quotes if isinstance(said, Refused)]
            if refused and len(refused) == len(quotes):
                raise OutsideMalformed(refused[0].why)
            return quotes

        return await self.outside.get(self.exchange.provider, path, understand)

    def _silent(self, currency: str) -> bool:
        if self.exchange.talk is None:
            return True
        heard_ms = self.market.book.heard_ms(self.exchange.provider.name, currency)
        return self.service.clock.now_ms - heard_ms > SILENT_MS

    def _trouble(self, what: str) -> Trouble:
        return Trouble(self.service.log.bind(source=self.exchange.provider.name), what)

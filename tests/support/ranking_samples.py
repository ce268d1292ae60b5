"""Rankings, treasuries and nodes as marketcap's own fold writes them, of its made-up figures, at a price of choice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from marketcap import sample
from marketcap.board import Board
from marketcap.fold import RankingFold
from shared.clock import Moment
from shared.domains import MARKET, MARKETCAP
from shared.events.base import Event
from shared.events.prices import PriceUpdated
from shared.keys import FOLDED_SEQ
from shared.price_views import PricesView
from support.web_samples import Writer

RATES = {"USD": Decimal("1.25"), "SEK": Decimal(11), "JPY": Decimal(175)}
"""Units for one euro: a dollar is 0.80 EUR and 8.80 SEK."""

RATES_OF = "2026-05-29"


class Rankings:
    """Writes what marketcap shows, and says so on its stream."""

    def __init__(self, writer: Writer, **holders: int) -> None:
        """`holders` have cost so many USD for all that they hold, by their symbol; of the others nobody knows it."""
        self._writer = writer
        self._fold = RankingFold(writer.keys)
        self._now = int(time.time())
        self._flushes = 0
        board, made = Board(writer.keys), sample.made(self._now)
        claims = tuple(
            msgspec.structs.replace(one, cost=Decimal(holders[one.symbol])) if one.symbol in holders else one
            for one in made.claims
        )
        board.pretend(msgspec.structs.replace(made, claims=claims))
        for event in board.flush(self._now * 1000).events:
            self._fold.apply(event)

    async def at(self, price: float) -> None:
        """At so many USD for a bitcoin."""
        now_ms = int(time.time() * 1000)
        self._fold.apply(
            PriceUpdated(
                currency="USD", price=Decimal(str(price)), change_24h_percent=1.5, how="direct", agreed=True,
                sources=["kraken"], rejected=[], time_ms=now_ms, sample=True,
            )
        )  # fmt: skip
        await self._write(now_ms)

    async def told(self, event: Event) -> None:
        """What sources say is another."""
        self._fold.apply(event)
        await self._write(int(time.time() * 1000))

    async def _write(self, now_ms: int) -> None:
        self._flushes += 1
        changes = self._fold.flush(Moment(now_ms, self._flushes * 60_000))
        keys, redis = self._writer.keys, self._writer.redis
        await redis.hset(keys.views(MARKETCAP), mapping={**self._fold.shown, FOLDED_SEQ: self._flushes})
        await self.confirm()
        await self._writer.add(keys.stream(MARKETCAP.announces), *changes.events)

    async def confirm(self, *, age: float = 0) -> None:
        """What marketcap says now and then: that what it shows is what sources said last."""
        said = {"seq": 0, "time_ms": int((time.time() - age) * 1000), "node": "sample", "incomplete": ""}
        await self._writer.redis.hset(self._writer.keys.confirmed(MARKETCAP.slot), mapping=said)


async def rates(writer: Writer, known: Mapping[str, Decimal] = RATES, day: str = RATES_OF, **prices: Any) -> None:
    """The rates that the service market shows, beside no price of its own but those given."""
    view = PricesView(prices=prices, fx_day=day if known else "", sample=False, fx_rates=dict(known))
    await writer.redis.hset(
        writer.keys.views(MARKET), mapping={"prices": msgspec.json.encode(view), FOLDED_SEQ: int(time.time() * 1000)}
    )

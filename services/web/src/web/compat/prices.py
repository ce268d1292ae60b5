"""Prices as mempool.space has them: `/api/v1/prices` and `/api/v1/historical-price`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from aiohttp import web

from shared.domains import MARKET
from shared.price_views import PricesView
from shared.prices import BEGINNING, DIRECT
from shared.series import DAY
from web.charts.data.prices import price_at, priced
from web.charts.data.reading import SeriesReader
from web.compat.answers import refusal, unavailable
from web.endpoints import Endpoints
from web.http.answers import Answer, Unavailable, document
from web.http.prepared import Answering
from web.state.reading import State
from web.state.snapshot import Snapshot
from web.words.currency import CURRENCIES

ENDPOINTS: Final = Endpoints()

_CHANGES: Final = 60
"""Seconds after which the past is read anew: the newest minute is part of it."""


@ENDPOINTS.get("/api/v1/prices", shows=("market", "truth"), domains=(MARKET.name,))
def prices(s: Snapshot, now: float) -> Answer:
    """`{"time", "USD", "EUR", …}`: Unix seconds of the newest, whole units. A currency that is not known is left out.

    `sample` is there, and true, where the prices are made up.
    """
    del now
    view = s[PricesView]
    known = {code: view.prices[code] for code in DIRECT if code in view.prices} if view else {}
    if not known or view is None:
        return unavailable()
    told: dict[str, Any] = {"time": max(price.time_ms for price in known.values()) // 1000}
    told |= {code: round(price.price) for code, price in known.items()}
    return document(told | ({"sample": True} if view.sample else {}))


class PastPrices(Answering):
    """`/api/v1/historical-price`: of one moment, or of every day since 2010."""

    def __init__(self, state: State, reader: SeriesReader) -> None:
        super().__init__()
        self._state = state
        self._reader = reader

    def routes(self) -> Iterator[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Every address and who answers it."""
        yield "/api/v1/historical-price", self.handle

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`?currency=EUR&timestamp=1500000000`, both as one likes; without a moment, every day."""
        code, moment = request.query.get("currency", "").upper(), request.query.get("timestamp", "")
        now = int(self._state.now)
        if code and code not in CURRENCIES:
            text = f"currency={code[:10]!r} is not known: expected one of {', '.join(CURRENCIES)}"
            return refusal(400, text).response(request)
        if moment and not (moment.isascii() and moment.isdigit() and BEGINNING <= int(moment[:12]) <= now):
            text = f"timestamp={moment[:20]!r}: expected Unix seconds from {BEGINNING} to now"
            return refusal(400, text).response(request)
        wanted = (code,) if code else DIRECT

        async def built() -> Answer:
            return await (self._of_moment(wanted, int(moment)) if moment else self._of_days(wanted, now))

        key = (code, moment)
        try:
            answer = await self._built.get(key, now // _CHANGES, built)
        except Unavailable:
            return unavailable().response(request)
        age = (MARKET.name,)
        return await self._answers.answer(request, key, answer, lambda made: made, lambda: self._state.age(age))

    async def _of_moment(self, codes: tuple[str, ...], moment: int) -> Answer:
        """`{"prices": [{"time", "EUR", …}]}`; which span each price is of stands beside them."""
        found = {code: one for code in codes if (one := await price_at(self._reader, code, moment))}
        if not found:
            raise Unavailable("No price is known of that moment yet.")
        told: dict[str, Any] = {"time": min(one.time for one in found.values())}
        told |= {code: round(one.price, 2) for code, one in found.items()}
        resolutions = {code: one.resolution for code, one in found.items()}
        sources = {code: one.source for code, one in found.items()}
        return document({"prices": [told], "exchangeRates": {}, "resolution": resolutions, "source": sources})

    async def _of_days(self, codes: tuple[str, ...], now: int) -> Answer:
        days: dict[int, dict[str, Any]] = {}
        sample = False
        for code in codes:
            for one in await priced(self._reader, code, DAY, BEGINNING, now):
                days.setdefault(one.time, {"time": one.time})[code] = round(one.close, 2)
                sample |= one.source == "sample"
        if not days:
            raise Unavailable("No price is known yet.")
        told = {"prices": [days[time] for time in sorted(days, reverse=True)], "exchangeRates": {}}
        return document(told | ({"sample": True} if sample else {}))

"""`/api/v1/market-cap/{class}/history`: which rank Bitcoin had on each day, and the others some time ago."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from shared.assets import LISTS
from shared.domains import MARKETCAP
from shared.series import DAY
from web.http.answers import RETRY_AFTER, Answer, Unavailable, document, error
from web.http.prepared import Documents
from web.ranks.past import PERIODS, Past
from web.ranks.store import Ranks
from web.state.reading import State


class RanksApi:
    """The endpoint. Its documents are kept as bytes until what they show has changed."""

    def __init__(self, state: State, ranks: Ranks) -> None:
        self._state = state
        self._ranks = ranks
        self._written: Documents[Past] = Documents()

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""
        return self._written.requests, self._written.renders

    def routes(self) -> Iterator[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Every address and who answers it."""
        yield "/api/v1/market-cap/{class}/history", self.handle

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One list."""
        name = request.match_info["class"]
        if name not in LISTS:
            text = f"There is no class {name[:40]!r}: expected one of {', '.join(LISTS)}."
            return error(404, "not_found", text).response(request)
        try:
            past = await self._ranks.past(name)
        except Unavailable as reason:
            return error(503, "not_available", str(reason), retry_after=RETRY_AFTER).response(request)
        return await self._written.answer(request, name, past, ranks_answer, self._age)

    def _age(self) -> float | None:
        return self._state.age((MARKETCAP.name,))

    async def close(self) -> None:
        """Nothing is built here: that is `Ranks`'."""


def ranks_answer(past: Past) -> Answer:
    """Days that are not known are left out; `ranks` is null for a period whose day is not. Times in Unix seconds."""
    return document(
        {
            "class": past.name,
            "bitcoin": [
                {"time": place.day * DAY, "rank": place.rank, "value_usd": place.value_usd} for place in past.places
            ],
            "ranks": {period: past.before.get(period) for period in PERIODS},
        }
    )

"""`/api/v1/network/miners`: mining pools over a span of time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import web

from shared.domains import HISTORY
from web.http.answers import RETRY_AFTER, Answer, Unavailable, document, error
from web.http.prepared import Documents
from web.miners.figures import Miner, Over
from web.miners.reading import RANGES, USUAL
from web.miners.store import Miners
from web.state.reading import State


class MinersApi:
    """The endpoint. Its documents are kept as bytes until what they show has changed."""

    def __init__(self, state: State, miners: Miners) -> None:
        self._state = state
        self._miners = miners
        self._written: Documents[Over] = Documents()

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""
        return self._written.requests, self._written.renders

    def routes(self) -> Iterator[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Every address and who answers it."""
        yield "/api/v1/network/miners", self.handle

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`?range=…`."""
        name = request.query.get("range", USUAL)
        if name not in RANGES:
            text = f"range={name[:40]!r} is not known: expected one of {', '.join(RANGES)}."
            return error(400, "bad_span", text).response(request)
        try:
            over = await self._miners.over(name)
        except Unavailable as reason:
            return error(503, "not_available", str(reason), retry_after=RETRY_AFTER).response(request)
        return await self._written.answer(request, name, over, miners_answer, self._age)

    def _age(self) -> float | None:
        return self._state.age((HISTORY.name,))

    async def close(self) -> None:
        """Nothing is built here: that is `Miners`'."""


def miners_answer(over: Over) -> Answer:
    """All pools over a span. Amounts in satoshi, hashrates in H/s, times in Unix seconds."""
    span = over.span
    found: dict[str, Any] = {
        "range": span.name,
        "from": span.start,
        "to": span.end,
        "first_height": span.heights[0] if span.heights else None,
        "last_height": span.heights[-1] if span.heights else None,
        "blocks": span.blocks,
        "known_blocks": span.known,
        "hashrate": span.hashrate,
        "pools": [_pool(miner) for miner in over.miners],
        "as_of": span.newest,
    }
    if span.notice:
        found["notice"] = span.notice
    return document(found)


def _pool(miner: Miner) -> dict[str, Any]:
    return {
        "rank": miner.rank,
        "name": miner.name,
        "slug": miner.slug,
        "blocks": miner.blocks,
        "share_percent": miner.share,
        "hashrate": miner.hashrate,
        "fees": miner.fees,
        "subsidy": miner.subsidy,
        "empty_blocks": miner.empty,
        "fullness_percent": miner.fullness,
    }

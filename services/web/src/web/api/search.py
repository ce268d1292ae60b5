"""`/api/v1/search?q=…`: what is known here and begins as somebody types: the newest blocks, and mining pools.

Small and bounded; of what could be a key nothing is looked for. Nothing is logged or kept of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from aiohttp import web

from shared.views import BlocksView
from web.http.answers import Answer, Unavailable, document, error
from web.lookups.refusals import may_be_shown
from web.miners.figures import pool_path, slug_of
from web.miners.store import Miners
from web.state.reading import State

LONGEST: Final = 64
"""Characters that are looked for at most: a hash has so many."""

MOST: Final = 8
"""Things that are told at most."""

_MOST_BLOCKS: Final = 4
_SHORTEST: Final = 2


class SearchApi:
    """The endpoint. Each answer is made anew: it takes some microseconds, and no two are asked alike."""

    def __init__(self, state: State, miners: Miners) -> None:
        self._state = state
        self._miners = miners
        self._requests = 0

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""
        return self._requests, self._requests

    def routes(self) -> Iterator[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Every address and who answers it."""
        yield "/api/v1/search", self.handle

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`{"results": [{"kind", "value", "label", "path"}]}`; `value` is what to look for, `label` tells it apart."""
        self._requests += 1
        text = request.query.get("q", "").strip()
        if len(text) > LONGEST:
            said = f"q has {len(text)} characters: expected {LONGEST} at most"
            return _unkept(error(400, "bad_search", said)).response(request)
        found: list[dict[str, Any]] = []
        if len(text) >= _SHORTEST and may_be_shown(text):
            found = [*self._blocks(text.lower()), *await self._pools(text)][:MOST]
        return _unkept(document({"results": found})).response(request)

    def _blocks(self, text: str) -> list[dict[str, Any]]:
        """By the beginning of the height, or of the hash."""
        view = self._state.snapshot[BlocksView]
        rows = view.blocks if view else []
        found = [row for row in rows if str(row.height).startswith(text) or row.hash.startswith(text)]
        return [
            {
                "kind": "block",
                "value": str(row.height) if str(row.height).startswith(text) else row.hash,
                "label": f"{row.height} {row.pool or ''}".strip(),
                "path": f"/block/{row.hash}",
            }
            for row in found[:_MOST_BLOCKS]
        ]

    async def _pools(self, text: str) -> list[dict[str, Any]]:
        """By any part of the name, those whose beginning it is first."""
        wanted = slug_of(text)
        if len(wanted) < _SHORTEST:
            return []
        try:
            miners = (await self._miners.over("all")).miners
        except Unavailable:
            return []
        found = [one for one in miners if one.name and wanted in slug_of(one.name)]
        found.sort(key=lambda one: not slug_of(one.name or "").startswith(wanted))
        return [
            {"kind": "pool", "value": one.name, "label": one.name, "path": pool_path(one.name or "", one.slug)}
            for one in found
        ]

    async def close(self) -> None:
        """Nothing is built that could be under way."""


def _unkept(answer: Answer) -> Answer:
    return Answer(answer.body, answer.content_type, answer.status, {**answer.headers, "Cache-Control": "no-store"})

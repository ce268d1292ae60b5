"""`/api/v1/largest-transactions`: of the mempool, or in blocks over a span of time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from aiohttp import web

from shared.domains import HISTORY, MEMPOOL
from shared.views import CONFIRMED_LARGEST, LARGEST_RANGES, HistoryView, LargestView, MempoolView
from web.http.answers import RETRY_AFTER, Answer, document, error
from web.http.document import Document
from web.state import conditions
from web.state.reading import State
from web.state.snapshot import Snapshot

USUAL: Final = "1m"
"""The range that is meant where none is asked for."""


class Largest:
    """The endpoint: a document for each range."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._documents = {name: self._document(name) for name in ("mempool", *LARGEST_RANGES)}

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""
        made = self._documents.values()
        return sum(document.requests for document in made), sum(document.renders for document in made)

    def routes(self) -> Iterator[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Every address and who answers it."""
        yield "/api/v1/largest-transactions", self.handle

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`?range=…`."""
        name = request.query.get("range", USUAL)
        made = self._documents.get(name)
        if made is None:
            text = f"range={name[:40]!r} is not known: expected one of {', '.join(self._documents)}."
            return error(400, "bad_span", text).response(request)
        return await made.handle(request)

    def _document(self, name: str) -> Document:
        state, domain = self._state, _domain(name)
        made = Document(lambda: largest_answer(state.snapshot, name, state.now), age=lambda: state.age((domain,)))
        state.subscribe((domain, "truth", "notices"), made.invalidate)
        return made

    async def close(self) -> None:
        """Nothing is built that could be under way."""


def _domain(name: str) -> str:
    return (MEMPOOL if name == "mempool" else HISTORY).name


def largest_answer(s: Snapshot, name: str, now: float) -> Answer:
    """The largest transactions of the mempool, or in blocks over a span. Amounts in satoshi."""
    if name == "mempool":
        view, pool = s[LargestView], s[MempoolView]
        if view is None or pool is None or conditions.forsaken(s, now):
            return _missing(conditions.absence(s, now, MEMPOOL).why)
        waiting: list[dict[str, Any]] = [
            {"rank": rank, "txid": tx.txid, "value": tx.value, "height": None, "time": tx.time}
            for rank, tx in enumerate(view.transactions, 1)
        ]
        since, complete, found = None, pool.exact, waiting
    else:
        kept = s[CONFIRMED_LARGEST[name]]
        if kept is None or s[HistoryView] is None:
            return _missing(conditions.absence(s, now, HISTORY).why)
        since, complete = kept.since, kept.complete
        found = [
            {"rank": rank, "txid": tx.txid, "value": tx.value, "height": tx.height, "time": tx.time}
            for rank, tx in enumerate(kept.transactions, 1)
        ]
    true_ms = s.truth[_domain(name)].true_ms
    as_of = None if true_ms is None else true_ms // 1000
    return document({"range": name, "since": since, "complete": complete, "transactions": found, "as_of": as_of})


def _missing(why: str) -> Answer:
    return error(503, "not_available", why, retry_after=RETRY_AFTER)

"""Answers in the forms of mempool.space and Esplora where those are not ours."""

from __future__ import annotations

import msgspec

from shared.lookups.address import Working
from web.http.answers import API_HEADERS, JSON, RETRY_AFTER, TEXT, Answer, retry


def plain(text: str) -> Answer:
    """A plain text, as Esplora gives single values."""
    return Answer(text.encode(), TEXT, headers=API_HEADERS)


def refusal(status: int, text: str, *, retry_after: int | None = None) -> Answer:
    """An error as both give it: the words alone."""
    return Answer(text.encode(), TEXT, status, {**API_HEADERS, **retry(retry_after)})


def looking(text: str, working: Working, retry_after: int | None) -> Answer:
    """A scan goes on: 503 as for whatever is being looked up, and how far it is, as neither of them has it."""
    told = {"message": text, "progress": working.progress, "since": working.since_ms // 1000, "at": working.at or None}
    body = msgspec.json.encode({"error": told})
    return Answer(body, JSON, 503, {**API_HEADERS, **retry(retry_after)})


def unavailable() -> Answer:
    """What they would show is not known now."""
    return refusal(503, "Service Unavailable", retry_after=RETRY_AFTER)

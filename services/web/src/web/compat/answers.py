"""Answers in the forms of mempool.space and Esplora where those are not ours."""

from __future__ import annotations

from web.http.answers import API_HEADERS, RETRY_AFTER, TEXT, Answer, retry


def plain(text: str) -> Answer:
    """A plain text, as Esplora gives single values."""
    return Answer(text.encode(), TEXT, headers=API_HEADERS)


def refusal(status: int, text: str, *, retry_after: int | None = None) -> Answer:
    """An error as both give it: the words alone."""
    return Answer(text.encode(), TEXT, status, {**API_HEADERS, **retry(retry_after)})


def unavailable() -> Answer:
    """What they would show is not known now."""
    return refusal(503, "Service Unavailable", retry_after=RETRY_AFTER)

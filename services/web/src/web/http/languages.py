"""In which language a page answers: the one that its reader chose, else the one that the browser asks for."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from web.http.answers import Answer, error
from web.http.document import MAX_AGE, Aging, Document
from web.words.language import COOKIE, ENGLISH, LANGUAGES, Language, accepted, chosen, speaking

CHOOSE: Final = "/language"
"""The address that keeps a choice: `?to=de&from=/mempool`."""

_YEAR: Final = 365 * 86_400
_LONGEST: Final = 2_000
"""Characters of an address that a choice leads back to."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def language_of(request: web.Request) -> Language:
    """What this reader is to be answered in."""
    headers = request.headers
    if "Cookie" in headers and (language := chosen(request.cookies.get(COOKIE))) is not None:
        return language
    wanted = headers.get("Accept-Language")
    return accepted(wanted[:_LONGEST]) if wanted else ENGLISH


def by_reader(handle: Handler) -> Handler:
    """The handler, speaking the language of whoever asks."""

    @functools.wraps(handle)
    async def answered(request: web.Request) -> web.StreamResponse:
        with speaking(language_of(request)):
            return await handle(request)

    return answered


async def choose(request: web.Request) -> web.StreamResponse:
    """`/language?to=de&from=/mempool`: keeps the choice in a cookie for a year and leads back to the page."""
    language = chosen(request.query.get("to"))
    if language is None:
        known = ", ".join(LANGUAGES)
        return error(400, "bad_language", f"to is no language that is spoken here: expected {known}.").response(request)
    answer = Answer(b"", "text/plain; charset=utf-8", 303, {"Location": _ours(request.query.get("from", "/"))})
    response = answer.response(request)
    response.set_cookie(COOKIE, language.tag, max_age=_YEAR, path="/", samesite="Lax", httponly=True)
    return response


def _ours(address: str) -> str:
    """The address where it is a path of this site, else the first page: a link may come from anywhere."""
    plain = address.isascii() and address.isprintable() and "\\" not in address and len(address) <= _LONGEST
    if not plain or not address.startswith("/") or address.startswith("//"):
        return "/"
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else address


class Spoken:
    """One URL whose document is another in each language; made in those that somebody asks for."""

    def __init__(self, build: Callable[[], Answer], max_age: float = MAX_AGE, *, age: Aging | None = None) -> None:
        self._build = build
        self._max_age = max_age
        self._age = age
        self._documents: dict[str, Document] = {}  # by the language's tag

    def invalidate(self) -> None:
        """What it shows has changed."""
        for document in self._documents.values():
            document.invalidate()

    @property
    def requests(self) -> int:
        """Requests answered."""
        return sum(document.requests for document in self._documents.values())

    @property
    def renders(self) -> int:
        """Times that it was made, in whichever language."""
        return sum(document.renders for document in self._documents.values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request in its reader's language."""
        language = language_of(request)
        document = self._documents.get(language.tag)
        if document is None:
            document = self._documents[language.tag] = Document(self._build, self._max_age, age=self._age)
        with speaking(language):
            return await document.handle(request)

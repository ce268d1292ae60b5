"""For whom a page answers: in the language and currency that its reader chose, else as the browser asks for."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from web.http.answers import Answer, error
from web.http.document import MAX_AGE, Aging, Document
from web.words import currency, language
from web.words.language import ENGLISH, LANGUAGES, Language, accepted
from web.words.reader import Reader, reading

LANGUAGE: Final = "/language"
CURRENCY: Final = "/currency"
"""The addresses that keep a choice: `?to=de&from=/mempool`, `?to=EUR&from=/`."""

USUAL_CURRENCY: Final = web.AppKey("usual_currency", str)
"""In the application: the currency of readers who have not chosen (`CURRENCY`)."""

_YEAR: Final = 365 * 86_400
_LONGEST: Final = 2_000
"""Characters of an address that a choice leads back to."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def reader_of(request: web.Request) -> Reader:
    """Whom to answer. What an address asks for goes before what was chosen, and that before what is usual here."""
    code = currency.chosen(request.query.get("currency")) if request.query_string else None
    if code is None and "Cookie" in request.headers:
        code = currency.chosen(request.cookies.get(currency.COOKIE))
    return Reader(_language_of(request), code or request.app.get(USUAL_CURRENCY, currency.USUAL))


def _language_of(request: web.Request) -> Language:
    headers = request.headers
    if "Cookie" in headers and (wished := language.chosen(request.cookies.get(language.COOKIE))) is not None:
        return wished
    wanted = headers.get("Accept-Language")
    return accepted(wanted[:_LONGEST]) if wanted else ENGLISH


def by_reader(handle: Handler) -> Handler:
    """The handler, rendering for whoever asks."""

    @functools.wraps(handle)
    async def answered(request: web.Request) -> web.StreamResponse:
        with reading(reader_of(request)):
            return await handle(request)

    return answered


async def choose_language(request: web.Request) -> web.StreamResponse:
    """`/language?to=de&from=/mempool`: keeps the choice in a cookie for a year and leads back to the page."""
    wished = language.chosen(request.query.get("to"))
    if wished is None:
        known = ", ".join(LANGUAGES)
        return error(400, "bad_language", f"to is no language that is spoken here: expected {known}.").response(request)
    return _kept(request, language.COOKIE, wished.tag)


async def choose_currency(request: web.Request) -> web.StreamResponse:
    """`/currency?to=EUR&from=/`: the same for the currency in which values are told."""
    wished = currency.chosen(request.query.get("to"))
    if wished is None:
        known = ", ".join(currency.CURRENCIES)
        return error(400, "bad_currency", f"to is no currency that is known here: expected {known}.").response(request)
    return _kept(request, currency.COOKIE, wished)


def _kept(request: web.Request, name: str, value: str) -> web.StreamResponse:
    answer = Answer(b"", "text/plain; charset=utf-8", 303, {"Location": _ours(request.query.get("from", "/"))})
    response = answer.response(request)
    response.set_cookie(name, value, max_age=_YEAR, path="/", samesite="Lax", httponly=True)
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
    """One URL whose document is another for each reader; made for those who ask."""

    def __init__(self, build: Callable[[], Answer], max_age: float = MAX_AGE, *, age: Aging | None = None) -> None:
        self._build = build
        self._max_age = max_age
        self._age = age
        self._documents: dict[str, Document] = {}  # by the reader's key

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
        """Times that it was made, for whomever."""
        return sum(document.renders for document in self._documents.values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request as its reader wants."""
        who = reader_of(request)
        document = self._documents.get(who.key)
        if document is None:
            document = self._documents[who.key] = Document(self._build, self._max_age, age=self._age)
        with reading(who):
            return await document.handle(request)

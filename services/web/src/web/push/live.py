"""`/live?pages=`: the cards of pages that changed, pushed to everyone who has them open, and a pulse.

A browser has one connection for all its tabs, so a client names the pages that it shows; clients that name the same
ones for the same reader are sent the very same bytes. A card is rendered once for each change of state and each
reader's language and currency, whatever it is sent to. Of a long card, which holds a whole list, what is another is
sent (`rows`), once a second at most.

On the wire each message is a name and one JSON object, and no message answers another, so that they can travel over
anything that keeps their order: `cards`, from a card's name to its HTML, all of them first and then those that
changed; `pulse`, which says that the server is there and how old what it shows is; `reset`, the last one to a client
that is too slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, Final, Protocol

import orjson
from aiohttp import web
from markupsafe import Markup

from web.http import answers
from web.http.readers import reader_of
from web.push.audience import Audience, Batch, Client
from web.push.rows import thinned
from web.push.sse import EventStream, message
from web.words import currency, language
from web.words.reader import Reader, reading

PULSE: Final = 5.0
"""Seconds between two pulses; a page that hears nothing for 20 s calls itself stale."""

PACE: Final = 1.0
"""Seconds between two sendings of a long card."""

AUDIENCES: Final = 128
"""Audiences beyond which those of nobody are forgotten."""

_GONE: Final = Batch(message("reset", b"{}"))
_NOTHING: Final = Batch()


class Card(Protocol):
    """A card as it stands on a page."""

    html: Markup
    mark: str  # another only when something other than an age is


class Cards(Protocol):
    """Who renders cards."""

    def cards(self, names: Iterable[str]) -> Mapping[str, Card]:
        """These cards, up to date."""


class Known(Protocol):
    """Whose cards they are: it tells when it is another, and what open pages are told of it."""

    def after_change(self, callback: Callable[[], None]) -> None:
        """Call this after each change."""

    def pulse(self) -> dict[str, Any]:
        """What an open page is told regularly."""


class LivePages(Audience):
    """Everyone who has the same pages open in the same language and currency."""

    def __init__(self, names: Iterable[str], cards: Cards, reader: Reader, long: Set[str] = frozenset()) -> None:
        """`long` names the cards that are sent row by row."""
        super().__init__()
        self.reader = reader
        self.held = 0  # by requests under way
        self._cards = cards
        self._names = tuple(dict.fromkeys(names))
        self._short = tuple(name for name in self._names if name not in long)
        self._marks: dict[str, str] = {}  # of what everybody has
        self._apart: set[str] = set()  # cards of which somebody who came later has another state
        self._all = _NOTHING
        self._all_marks: dict[str, str] = {}
        self._due = 0.0  # when long cards may be sent again, by the loop's clock
        self._later: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        """The state is another: send what is different on the pages. Costs nothing while nobody looks."""
        if not self.clients:
            self._all, self._all_marks = _NOTHING, {}
            return
        cards = self._rendered(self._turn())
        html = {
            name: card.html for name, card in cards.items() if self._marks.get(name) != card.mark or name in self._apart
        }
        if html.keys() - set(self._short):
            self._due = asyncio.get_running_loop().time() + PACE
        sent = {
            name: text if name in self._short or name in self._apart else self._thinned(name, cards[name])
            for name, text in html.items()
        }
        self._marks = {**self._marks, **{name: card.mark for name, card in cards.items()}}
        self._apart -= cards.keys()
        if sent:
            self.broadcast(_batch(sent))

    def first(self) -> Batch:
        """Every card, as one piece of bytes that all share who come before the next change."""
        cards = self._rendered(self._names)
        marks = {name: card.mark for name, card in cards.items()}
        if not self.clients:
            self._marks = marks
        self._apart |= {name for name, mark in marks.items() if self._marks.get(name) != mark}
        if marks != self._all_marks:
            self._all_marks = marks
            self._all = _batch({name: card.html for name, card in cards.items()}).keep()
        return self._all

    def _turn(self) -> tuple[str, ...]:
        """The cards that may be sent now; for the others it is seen to that they follow."""
        if len(self._short) == len(self._names):
            return self._names
        loop = asyncio.get_running_loop()
        if self._later is not None and self._later.when() <= loop.time():
            self._later = None
        if loop.time() >= self._due:
            return self._names
        if self._later is None:
            self._later = loop.call_at(self._due, self.changed)
        return self._short

    def _thinned(self, name: str, card: Card) -> str:
        return thinned(str(card.html), card.mark, self._marks.get(name, ""))

    def _rendered(self, names: Iterable[str]) -> Mapping[str, Card]:
        with reading(self.reader):
            return self._cards.cards(names)


class Live:
    """The endpoint: an audience for each set of pages that somebody has open, and the pulse of all."""

    def __init__(
        self, cards: Cards, state: Known, pages: Mapping[str, Iterable[str]], long: Set[str] = frozenset()
    ) -> None:
        """`pages` says which cards each page has, `long` which of them are sent row by row."""
        self._cards = cards
        self._known = pages
        self._long = long
        self._pulse = state.pulse
        self._words = ""
        self._audiences: dict[tuple[str, tuple[str, ...]], LivePages] = {}
        self._closed = False
        state.after_change(self._changed)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Send everything once, then what changes, for as long as the client stays."""
        try:
            names = self._asked(request.query.get("pages", ""))
        except ValueError as error:
            return answers.error(400, "unknown_page", str(error)).response(request)
        if self._closed:
            return answers.error(503, "stopping", "The server is stopping; try again", retry_after=2).response(request)
        stream = EventStream(request)
        client = Client(stream)
        audience = self._audience(names, _reader(request))
        audience.held += 1
        try:
            await stream.open({})
            client.push(audience.first())
            client.push(self._beat(audience.reader))
            audience.clients.add(client)
            await client.run(lambda: _GONE)
        except (ConnectionError, TimeoutError):
            pass  # the client went, or stopped reading
        finally:
            audience.part(client)
            audience.held -= 1
        return stream.response

    def audiences(self) -> Iterable[LivePages]:
        """Every audience that is kept."""
        return self._audiences.values()

    async def beat(self) -> None:
        """Send a pulse to everybody now and then, for ever."""
        while True:
            await asyncio.sleep(PULSE)
            self._beat_all()

    def dismiss(self) -> None:
        """End every connection and accept no more."""
        self._closed = True
        for audience in self._audiences.values():
            audience.dismiss()

    def _asked(self, text: str) -> tuple[str, ...]:
        """The pages of a request, in the order in which we know them. Raises ValueError, in words."""
        asked = {name for name in text.split(",") if name}
        if not asked or not asked <= self._known.keys():
            wrong = ", ".join(repr(name[:20]) for name in sorted(asked - self._known.keys())[:3]) or "nothing"
            raise ValueError(f"pages is {wrong}: expected one or more of {', '.join(self._known)}, separated by commas")
        return tuple(name for name in self._known if name in asked)

    def _audience(self, names: tuple[str, ...], reader: Reader) -> LivePages:
        key = (reader.key, names)
        audience = self._audiences.get(key)
        if audience is None:
            if len(self._audiences) >= AUDIENCES:
                self._audiences = {key: one for key, one in self._audiences.items() if one.held}
            shown = [card for name in names for card in self._known[name]]
            audience = self._audiences[key] = LivePages(shown, self._cards, reader, self._long)
        return audience

    def _changed(self) -> None:
        for audience in self._audiences.values():
            audience.changed()
        if self._pulse()["node"] != self._words:
            self._beat_all()

    def _beat(self, reader: Reader) -> Batch:
        pulse = self._pulse()
        self._words = pulse["node"]  # in English, whatever it is told in
        with reading(reader):
            told = {**pulse, "node": str(pulse["node"])}
        return Batch(message("pulse", orjson.dumps(told)))

    def _beat_all(self) -> None:
        beats: dict[str, Batch] = {}
        for audience in self._audiences.values():
            tag = audience.reader.language.tag
            if tag not in beats:
                beats[tag] = self._beat(audience.reader)
            audience.broadcast(beats[tag])


def _reader(request: web.Request) -> Reader:
    """Whom the page that asks was made for, whatever was chosen since."""
    who, query = reader_of(request), request.query
    return Reader(
        language.chosen(query.get("language")) or who.language, currency.chosen(query.get("currency")) or who.currency
    )


def _batch(html: Mapping[str, str]) -> Batch:
    return Batch(message("cards", orjson.dumps({name: str(text) for name, text in html.items()})))

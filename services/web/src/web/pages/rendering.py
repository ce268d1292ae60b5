"""Renders pages and their cards.

A card is rendered once for each change of what it shows, and each language and currency in which somebody reads it, for
the page and for all live clients alike.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from shared.domains import DOMAINS, SLOTS
from shared.logging import Trouble
from shared.networks import Network
from shared.price_views import RecentPrices
from shared.prices import DIRECT
from shared.views import View
from web.http.answers import HTML, PAGE_HEADERS, Answer
from web.http.document import MAX_AGE
from web.miners.figures import pool_path
from web.pages import pictures, qr
from web.pages.compiled import COMPILED
from web.pages.embedding import embedded
from web.pages.found import CARDS, LONG, PAGES
from web.pages.kept import Rows
from web.pages.page import COMMON, Card, Page
from web.pages.seen import Seen
from web.pages.worth import STALE, age, price_now, rate_of, worth
from web.ranks.past import Past
from web.state import conditions, outside
from web.state.backfill import backfill
from web.state.reading import State
from web.state.snapshot import Snapshot, is_down
from web.words import formats, moments
from web.words.currency import CURRENCIES, counted
from web.words.language import LANGUAGES, spoken
from web.words.reader import reader
from web.words.sentence import gettext, in_template, ngettext, pgettext

V = TypeVar("V", bound=View)

_HERE: Final = Path(__file__).parent
_TIMES: Final = re.compile(r"(<time [^>]*>)[^<]*")
_PULSE: Final = re.compile(r"data-truth=[^<]*<time [^<]*| data-(?:now|truth-[a-z]+)=\"[^\"]*\"")
_PULSED: Final = ("data-truth", "data-now")


def _still(html: str) -> str:
    """A card without what changes with the clock alone: how long ago something was, what time it is, what a pulse
    tells. Long cards have many times and no pulse.
    """
    still = _TIMES.sub(r"\1", html)
    return _PULSE.sub("", still) if any(name in still for name in _PULSED) else still


LONG_KEPT: Final = 48
"""Long cards (whole lists, for each reader) kept at most: the one that was asked for longest ago goes first."""


class Rendered:
    """One card as it was rendered last; `mark` changes only when something other than an age did.

    One that cannot be rendered says so in its place (`instead`), and why in `broken`.
    """

    __slots__ = ("_instead", "_render", "_trouble", "broken", "html", "mark", "rendered_at", "stale")

    def __init__(self, render: Callable[[], str], instead: str, trouble: Trouble) -> None:
        self._render = render
        self._instead = instead
        self._trouble = trouble
        self.broken = ""
        self.html = Markup("")
        self.mark = ""
        self.rendered_at = 0.0
        self.stale = True

    def current(self, now: float) -> Markup:
        """The card, rendered anew where that is due."""
        if self.stale or now - self.rendered_at >= MAX_AGE:
            self.html = Markup(self._made())  # noqa: S704 - what a template of ours made, escaped there
            self.mark = _still(self.html)
            self.rendered_at = now
            self.stale = False
        return self.html

    def forget(self) -> None:
        """Hold nothing until it is asked for again."""
        self.html, self.mark, self.stale = Markup(""), "", True

    def _made(self) -> str:
        try:
            made = self._render()
        except Exception as error:  # whatever a view holds: the rest of the page stands
            self.broken = f"{type(error).__name__}: {error}"[:200]
            self._trouble.failed(error)
            return self._instead
        self.broken = ""
        self._trouble.ended()
        return made


class Pages:
    """Renders pages and cards of one state."""

    def __init__(
        self,
        state: State,
        assets: Mapping[str, str],
        version: str,
        streams: tuple[str, ...],
        log: structlog.stdlib.BoundLogger,
        ranks_of: Callable[[str], Past | None] = lambda _: None,
    ) -> None:
        """`ranks_of` tells what was known last of the ranks of a list."""
        self._state = state
        self._log = log
        self.rows = Rows()
        self._environment = Environment(
            loader=FileSystemLoader([_HERE / "frame", _HERE]),
            extensions=["jinja2.ext.loopcontrols", "jinja2.ext.i18n"],
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=COMPILED,
        )
        self._environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
            gettext, ngettext, newstyle=True, pgettext=pgettext
        )
        self._environment.filters.update({**formats.FILTERS, **moments.FILTERS, "embedded": embedded})
        self._environment.globals.update(
            assets=assets,
            _=in_template,
            gettext=in_template,
            kept=self.rows.shown,
            version=version,
            streams=streams,
            pages=tuple(page for page in PAGES.values() if not page.under),
            sparkline=pictures.sparkline,
            price_age=age,
            price_stale=STALE,
            bar=pictures.bar,
            steps=pictures.steps,
            qr=qr.drawn,
            columns=pictures.columns,
            histogram=pictures.histogram,
            occupied=pictures.occupied,
            band_label=pictures.band_label,
            is_down=is_down,
            language=spoken,
            languages=tuple(LANGUAGES.values()),
            currency=counted,
            currencies=CURRENCIES,
            state_words=conditions.STATES,
            source_words=conditions.SOURCE_STATES,
            verdict_words=conditions.VERDICTS,
            direct=DIRECT,
            fx_day=_fx_day,
            pool_path=pool_path,
            ranks_of=ranks_of,
        )
        for name in self._environment.list_templates(["html"]):  # a broken one is found at the start
            self._environment.get_template(name)
        self._error = self._environment.get_template("error.html")
        self._cards: dict[str, dict[str, Rendered]] = {}  # by the reader's key, of those who read
        self._long: OrderedDict[Rendered, None] = OrderedDict()  # that hold something

    def _read(self) -> Mapping[str, Rendered]:
        """Every card for the reader of now."""
        key = reader().key
        if key not in self._cards:
            self._cards[key] = {name: self._rendered(card) for name, card in CARDS.items()}
        return self._cards[key]

    def _rendered(self, declared: Card) -> Rendered:
        card = self._made(declared)

        def changed() -> None:
            card.stale = True

        self._state.subscribe(declared.parts, changed)
        return card

    def _made(self, declared: Card, **instead: Any) -> Rendered:
        name, template = declared.name, self._environment.get_template(declared.template)
        domains = [slot for slot in SLOTS if slot in declared.parts]

        def render() -> str:
            told = {**declared.more(self._state.snapshot), **instead}
            return template.render(self._context(domains), card=name, domains=domains, **told)

        broken = self._environment.get_template("broken.html").render(name=name, title=name)
        return Rendered(render, broken, Trouble(self._log.bind(card=name), "card"))

    def card(self, declared: Card, **instead: Any) -> Markup:
        """One card, told something else than it usually is: made for whoever asks, and not kept."""
        return self._made(declared, **instead).current(time.monotonic())

    def _context(self, domains: Iterable[str] = ()) -> dict[str, Any]:
        snapshot = self._state.snapshot
        now = self._state.now
        moments = {domain: truth.true_ms for domain, truth in snapshot.truth.items()}
        as_of = {domain: None if ms is None else ms / 1000 for domain, ms in moments.items()}
        late = conditions.aged(snapshot, now)
        return {
            "s": Seen(snapshot),
            "worth": lambda satoshi: worth(snapshot, satoshi, now),
            "price": price_now(snapshot),
            "rate": rate_of(snapshot),
            "price_course": lambda: pictures.course(snapshot[RecentPrices], counted()),
            "now": now,
            "as_of": as_of,
            "aged": [as_of[domain] for domain in domains if domain in late],
            "notices": self._state.notices,
            **{f"{one.name}_absence": conditions.absence(snapshot, now, one) for one in DOMAINS},
            "backfill": backfill(snapshot),
            "sources": outside.sources(snapshot),
        }

    def cards(self, names: Iterable[str]) -> dict[str, Rendered]:
        """These cards, up to date."""
        now = time.monotonic()
        every = self._read()
        cards = {name: every[name] for name in names}
        for name, card in cards.items():
            card.current(now)
            if name in LONG:
                self._long[card] = None
                self._long.move_to_end(card)
        while len(self._long) > LONG_KEPT:
            self._long.popitem(last=False)[0].forget()
        return cards

    def outdate(self, declared: Card) -> None:
        """What a card shows beside the state is another."""
        for cards in self._cards.values():
            cards[declared.name].stale = True

    def age(self, domains: Iterable[str]) -> float | None:
        """As the state that is shown tells it."""
        return self._state.age(domains)

    @property
    def snapshot(self) -> Snapshot:
        """What is shown now."""
        return self._state.snapshot

    def view(self, kind: type[V]) -> V | None:
        """The view of this type, None while it is not known."""
        return self._state.snapshot[kind]

    @property
    def network(self) -> Network:
        """The network that is shown."""
        return self._state.snapshot.network

    def broken(self) -> list[str]:
        """What cannot be shown now, and why: one line for each such card. Long ones are as they were shown last."""
        now = time.monotonic()
        for name, card in self._read().items():
            if name not in LONG:
                card.current(now)
        broken = {name: card.broken for cards in self._cards.values() for name, card in cards.items() if card.broken}
        return [f"page: card {name} cannot be shown: {why}" for name, why in broken.items()]

    def page(self, page: Page) -> Answer:
        """The whole page."""
        return self.render([page.template, "cards.html"], page)

    def render(self, template: str | list[str | Template], page: Page, **more: Any) -> Answer:
        """A template (the first of several that there is) with the page's cards and whatever else it shows."""
        cards = {name: card.html for name, card in self.cards(page.cards).items()}
        context = self._context() | {"page": page, "cards": cards, "live": page.name} | more
        return _answer(self._template(template).render(context))

    def _template(self, names: str | list[str | Template]) -> Template:
        return self._environment.get_or_select_template(names)

    def error(self, status: int, title: str, text: str) -> Answer:
        """A page that says what went wrong."""
        now = time.monotonic()
        every = self._read()
        cards = {card.name: every[card.name].current(now) for card in COMMON}
        context = self._context() | {"page": None, "cards": cards, "status": status, "title": title, "text": text}
        return _answer(self._error.render(context), status)


def _fx_day(day: str) -> Markup:
    """A day as ISO 8601 writes it, as a reader reads it."""
    return moments.day(int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()))


def _answer(html: str, status: int = 200) -> Answer:
    return Answer(html.encode(), HTML, status, {"Content-Language": spoken().html, **PAGE_HEADERS})

"""The pages: which cards each one has, which parts of the state each card shows, and their rendering.

A card is rendered once for each change of what it shows, for the page and for all live clients alike.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from shared.logging import Trouble
from web.http.answers import HTML, PAGE_HEADERS, Answer
from web.http.document import MAX_AGE
from web.pages import pictures as figures
from web.state import conditions
from web.state.backfill import backfill
from web.state.reading import State
from web.state.snapshot import Part, is_down
from web.state.truth import DOMAINS, Domain
from web.words import formats

_HERE: Final = Path(__file__).parent.parent
_MOVES: Final = re.compile(r"data-truth=[^<]*<time [^<]*|(?<=>)[^<]*(?=</time>)| data-(?:now|truth-[a-z]+)=\"[^\"]*\"")
"""What in a card changes with the clock alone: how long ago something was, what time it is, and what a pulse tells."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its address, the words in its navigation and title, its cards in no particular order."""

    name: str
    path: str
    title: str
    cards: tuple[str, ...]

    @property
    def domains(self) -> tuple[Domain, ...]:
        """Whose figures it shows."""
        shown = {part for name in self.cards if name not in _COMMON for part in CARDS[name]}
        return tuple(domain for domain in DOMAINS if domain in shown)


_CHAIN: Final[tuple[Part, ...]] = ("chain", "notices")
_MEMPOOL: Final[tuple[Part, ...]] = ("mempool", "notices")
_BOTH: Final[tuple[Part, ...]] = ("chain", "mempool", "notices")
_TRUTH: Final[tuple[Part, ...]] = (*_BOTH, "truth")

CARDS: Final[dict[str, tuple[Part, ...]]] = {
    "notices": _TRUTH,
    "foot": _TRUTH,
    "price": (),
    "height": _CHAIN,
    "next_fee": _MEMPOOL,
    "backlog": _MEMPOOL,
    "strip": _BOTH,
    "halving": _CHAIN,
    "retarget": _CHAIN,
    "hashrate": _CHAIN,
    "difficulty": _CHAIN,
    "genesis": _CHAIN,
    "supply": _CHAIN,
    "fees": _MEMPOOL,
    "histogram": _MEMPOOL,
    "incoming": _MEMPOOL,
    "blocks_short": _CHAIN,
    "largest_short": _MEMPOOL,
    "halvings": _CHAIN,
    "mempool_totals": _MEMPOOL,
    "projected": _MEMPOOL,
    "bands": _MEMPOOL,
    "largest": _MEMPOOL,
    "blocks_summary": _CHAIN,
    "blocks": _CHAIN,
    "pulse": ("history", "mempool"),
    "history": ("history", "status", "notices"),
    "services": ("status", "notices"),
    "nodes": ("status", "notices"),
    "streams": ("status", "notices"),
    "redis": ("status", "notices"),
}
"""Every card, with the parts of the state whose change makes it another."""

_COMMON: Final = ("notices", "foot")

CHARTS: Final = Page("charts", "/charts", "Charts", (*_COMMON, "pulse"))
"""The index of the charts and the page of each; `web.pages.charts` answers for them."""

PAGES: Final = {
    page.name: page
    for page in (
        Page(
            "overview", "/", "Overview",
            (
                *_COMMON, "price", "height", "next_fee", "backlog", "strip", "halving", "retarget", "hashrate",
                "difficulty", "genesis", "supply", "fees", "histogram", "incoming", "blocks_short", "largest_short",
                "halvings",
            ),
        ),
        Page(
            "mempool", "/mempool", "Mempool",
            (*_COMMON, "mempool_totals", "incoming", "fees", "projected", "histogram", "bands", "largest"),
        ),
        Page("blocks", "/blocks", "Blocks", (*_COMMON, "blocks_summary", "blocks")),
        CHARTS,
        Page("status", "/status", "Status", (*_COMMON, "services", "history", "nodes", "streams", "redis")),
        Page("api", "/api", "API", _COMMON),
    )
}  # fmt: skip
"""Every page by its name, in the order of the navigation."""


class Card:
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
            self.mark = _MOVES.sub("", self.html)
            self.rendered_at = now
            self.stale = False
        return self.html

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
    ) -> None:
        self._state = state
        self._log = log
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            extensions=["jinja2.ext.loopcontrols"],
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(formats.FILTERS)
        self._environment.globals.update(
            assets=assets,
            version=version,
            streams=streams,
            pages=tuple(PAGES.values()),
            sparkline=figures.sparkline,
            bar=figures.bar,
            histogram=figures.histogram,
            occupied=figures.occupied,
            band_label=figures.band_label,
            price_absence=conditions.PRICE_UNSET,
            is_down=is_down,
        )
        for name in self._environment.list_templates():  # a broken one is found at the start, and no reader waits
            self._environment.get_template(name)
        self._error = self._environment.get_template("error.html")
        self._cards = {name: self._card(name, parts) for name, parts in CARDS.items()}

    def _card(self, name: str, parts: tuple[Part, ...]) -> Card:
        template = self._environment.get_template(f"cards/{name}.html")
        domains = [domain for domain in DOMAINS if domain in parts]
        instead = self._environment.get_template("broken.html").render(name=name, title=formats.label(name))
        card = Card(
            lambda: template.render(self._context(domains), domains=domains),
            instead,
            Trouble(self._log.bind(card=name), "card"),
        )

        def changed() -> None:
            card.stale = True

        self._state.subscribe(parts, changed)
        return card

    def _context(self, domains: Iterable[Domain] = ()) -> dict[str, Any]:
        snapshot = self._state.snapshot
        now = self._state.now
        moments = {domain: truth.true_ms for domain, truth in snapshot.truth.items()}
        as_of = {domain: None if ms is None else ms / 1000 for domain, ms in moments.items()}
        late = conditions.aged(snapshot, now)
        return {
            "s": snapshot,
            "now": now,
            "as_of": as_of,
            "aged": [as_of[domain] for domain in domains if domain in late],
            "notices": self._state.notices,
            "chain_absence": conditions.chain_absence(snapshot, now),
            "mempool_absence": conditions.mempool_absence(snapshot, now),
            "history_absence": conditions.history_absence(snapshot, now),
            "backfill": backfill(snapshot),
        }

    def cards(self, names: Iterable[str]) -> dict[str, Card]:
        """These cards, up to date."""
        now = time.monotonic()
        cards = {name: self._cards[name] for name in names}
        for card in cards.values():
            card.current(now)
        return cards

    def age(self, domains: Iterable[Domain]) -> float | None:
        """As the state that is shown tells it."""
        return self._state.age(domains)

    def broken(self) -> list[str]:
        """What cannot be shown now, and why: one line for each such card."""
        now = time.monotonic()
        for card in self._cards.values():
            card.current(now)
        broken = {name: card.broken for name, card in self._cards.items() if card.broken}
        return [f"page: card {name} cannot be shown: {why}" for name, why in broken.items()]

    def page(self, page: Page) -> Answer:
        """The whole page."""
        return self.render(f"{page.name}.html", page)

    def render(self, template: str, page: Page, **more: Any) -> Answer:
        """A template with the page's cards and whatever else it shows."""
        cards = {name: card.html for name, card in self.cards(page.cards).items()}
        context = self._context() | {"page": page, "cards": cards} | more
        return Answer(self._environment.get_template(template).render(context).encode(), HTML, headers=PAGE_HEADERS)

    def error(self, status: int, title: str, text: str) -> Answer:
        """A page that says what went wrong."""
        now = time.monotonic()
        cards = {name: self._cards[name].current(now) for name in _COMMON}
        context = self._context() | {"page": None, "cards": cards, "status": status, "title": title, "text": text}
        return Answer(self._error.render(context).encode(), HTML, status, PAGE_HEADERS)

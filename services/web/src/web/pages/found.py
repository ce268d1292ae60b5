"""Every page that there is, and every card: what the folders beside this module declare."""

from __future__ import annotations

from typing import Final

from web import pages
from web.finding import declared
from web.pages.page import COMMON, Card, Page


def _pages() -> dict[str, Page]:
    found = sorted(declared(pages.__name__, pages.__path__, "PAGE", Page, folders=True), key=lambda page: page.place)
    return {page.name: page for page in found}


def _cards() -> dict[str, Card]:
    """Raises ValueError where two cards have one name: an open page could not tell them apart."""
    known: dict[str, Card] = {}
    shown = [card for page in PAGES.values() for some in (page.shows, *page.views.values()) for card in some]
    for card in (*COMMON, *shown):
        if known.setdefault(card.name, card) != card:
            raise ValueError(f"two cards are called {card.name}: in {known[card.name].folder} and in {card.folder}")
    return known


PAGES: Final = _pages()
"""Every page by its name, in the order of the navigation."""

CARDS: Final = _cards()
"""Every card by its name."""

LIVE: Final = {page.name: page.cards for page in PAGES.values()} | {
    f"{page.name}.{name}": (*page.cards, *(card.name for card in some))
    for page in PAGES.values()
    for name, some in page.views.items()
}
"""The cards of everything that the live stream may be asked for, by its name."""

LONG: Final = frozenset(card.name for card in CARDS.values() if card.long)
"""The names of long cards."""

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
    for card in (*COMMON, *(card for page in PAGES.values() for card in page.shows)):
        if known.setdefault(card.name, card) != card:
            raise ValueError(f"two cards are called {card.name}: in {known[card.name].folder} and in {card.folder}")
    return known


PAGES: Final = _pages()
"""Every page by its name, in the order of the navigation."""

CARDS: Final = _cards()
"""Every card by its name."""

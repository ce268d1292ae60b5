"""What each exchange says a bitcoin costs, and what became of it."""

from __future__ import annotations

from typing import Final

from web.pages.page import MARKET, Page, cards
from web.words.sentence import say

_card = cards(__name__)

PAGE: Final = Page(
    "price_sources",
    "/charts/price/sources",
    say("Sources of the price"),
    place=41,
    under="charts",
    shows=(_card("price_rule", MARKET), _card("quotes", MARKET)),
)

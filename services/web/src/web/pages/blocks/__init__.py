"""The last blocks of the best chain."""

from __future__ import annotations

from typing import Final

from web.pages.page import CHAIN, Page, cards
from web.words.sentence import say

_card = cards(__name__)

PAGE: Final = Page(
    "blocks",
    "/blocks",
    say("Blocks"),
    place=30,
    shows=(_card("blocks_summary", CHAIN), _card("blocks", (*CHAIN, "worth"))),
)

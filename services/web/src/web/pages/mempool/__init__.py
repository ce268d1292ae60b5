"""What waits for a block."""

from __future__ import annotations

from typing import Final

from web.pages.page import MEMPOOL, Page, cards
from web.words.sentence import say

_card = cards(__name__)

FEES: Final = _card("fees", (*MEMPOOL, "worth"))
HISTOGRAM: Final = _card("histogram", MEMPOOL)
INCOMING: Final = _card("incoming", MEMPOOL)

PAGE: Final = Page(
    "mempool",
    "/mempool",
    say("Mempool"),
    place=20,
    shows=(
        _card("mempool_totals", (*MEMPOOL, "worth")),
        INCOMING,
        FEES,
        _card("projected", MEMPOOL),
        HISTOGRAM,
        _card("bands", MEMPOOL),
        _card("largest", (*MEMPOOL, "worth")),
    ),
)

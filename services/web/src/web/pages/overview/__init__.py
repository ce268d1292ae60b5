"""The overview: the newest of everything."""

from __future__ import annotations

from typing import Final

from web.pages.mempool import FEES, HISTOGRAM, INCOMING
from web.pages.page import BOTH, CHAIN, MEMPOOL, Page, cards
from web.words.sentence import say

_card = cards(__name__)

PAGE: Final = Page(
    "overview",
    "/",
    say("Overview"),
    place=10,
    shows=(
        _card("price", ()),
        _card("height", CHAIN),
        _card("next_fee", MEMPOOL),
        _card("backlog", MEMPOOL),
        _card("strip", BOTH),
        _card("halving", CHAIN),
        _card("retarget", CHAIN),
        _card("hashrate", CHAIN),
        _card("difficulty", CHAIN),
        _card("genesis", CHAIN),
        _card("supply", CHAIN),
        FEES,
        HISTOGRAM,
        INCOMING,
        _card("blocks_short", CHAIN),
        _card("largest_short", MEMPOOL),
        _card("halvings", CHAIN),
    ),
)

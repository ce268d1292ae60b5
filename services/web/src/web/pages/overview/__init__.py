"""The overview: the newest of everything."""

from __future__ import annotations

from typing import Final

from web.pages.mempool import FEES, HISTOGRAM, INCOMING
from web.pages.page import BOTH, CHAIN, MARKET, MEMPOOL, Page, cards
from web.words.sentence import say

_card = cards(__name__)

PAGE: Final = Page(
    "overview",
    "/",
    say("Overview"),
    place=10,
    shows=(
        _card("price", MARKET),
        _card("height", CHAIN),
        _card("next_fee", (*MEMPOOL, "worth")),
        _card("backlog", (*MEMPOOL, "worth")),
        _card("strip", (*BOTH, "worth")),
        _card("halving", (*CHAIN, "worth")),
        _card("retarget", CHAIN),
        _card("hashrate", CHAIN),
        _card("difficulty", CHAIN),
        _card("genesis", CHAIN),
        _card("supply", (*CHAIN, "worth")),
        FEES,
        HISTOGRAM,
        INCOMING,
        _card("blocks_short", (*CHAIN, "worth")),
        _card("largest_short", (*MEMPOOL, "worth")),
        _card("halvings", CHAIN),
    ),
)

"""How every service is, the streams between them, Redis and the node."""

from __future__ import annotations

from typing import Final

from web.pages.page import STATUS, Page, cards
from web.words.sentence import say

_card = cards(__name__)

PAGE: Final = Page(
    "status",
    "/status",
    say("Status"),
    place=50,
    shows=(
        _card("services", STATUS),
        _card("history", ("history", *STATUS)),
        _card("nodes", STATUS),
        _card("outside", ("market", "marketcap", *STATUS)),
        _card("streams", STATUS),
        _card("redis", STATUS),
    ),
)

"""`/block/{hash or height}`: a block and its transactions."""

from __future__ import annotations

import re
from typing import Any, Final, cast, get_args

from aiohttp import web

from shared.events.lookups import BlockWanted, Order
from shared.lookups import block
from shared.lookups.block import PAGE, Expected, Found
from web.http.answers import moved
from web.lookups.asking import Held
from web.pages.looked_up import LookupPages
from web.words.sentence import say

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_HEIGHT: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_PAGE: Final = re.compile(r"0|[1-9][0-9]{0,5}")
_HIGHEST: Final = 499_999_999

ORDERS: Final[tuple[str, ...]] = get_args(Order)

COLUMNS: Final = {
    "position": say("Number"), "value": say("Outputs"), "fee": say("Fee"), "rate": say("Feerate"),
    "weight": say("Weight"),
}  # fmt: skip
"""What a block's transactions can be sorted by, in the order of the columns."""

UNLIKE: Final = {
    "added": (say("added"), say("It waited, and was not expected in this block.")),
    "unseen": (say("unseen"), say("It never waited at your node.")),
}
"""How a transaction of the block was not expected, in a word and a sentence."""


class BlockPages(LookupPages):
    """Answers `/block/{hash or height}?page=N&sort=…`, pages counted from 0."""

    async def page(self, request: web.Request) -> web.StreamResponse:
        """What is neither a hash nor a height, no page and no order is told in words, with 400."""
        named = request.match_info["block"]
        if named != named.lower() and _HASH.fullmatch(named.lower()):
            return moved(f"/block/{named.lower()}").response(request)
        number, order = request.query.get("page", "0"), request.query.get("sort", "position")
        by_height = _HEIGHT.fullmatch(named) and int(named) <= _HIGHEST
        if not (by_height or _HASH.fullmatch(named)) or not _PAGE.fullmatch(number):
            text = say("A block is named by the 64 hexadecimal digits of its hash, or by its height.")
            return self._pages.error(400, say("No such address"), text).response(request)
        if order not in ORDERS:
            text = say("%(what)s=%(value)s is not known: expected one of %(known)s.",
                       what="sort", value=repr(order[:20]), known=", ".join(ORDERS))  # fmt: skip
            return self._pages.error(400, say("No such list"), text).response(request)
        wanted = BlockWanted(
            hash="" if by_height else named,
            height=int(named) if by_height else None,
            page=int(number),
            order=cast("Order", order),
        )
        question = f"block:{named}:{number}:{order}"
        return await self.answer(request, question, wanted, block.Answer, "block.html", _shown, named=named)


def _shown(held: Held[Any]) -> tuple[int, dict[str, Any]]:
    found = cast("Found", held.answer)
    last = max(0, -(-found.tx_count // PAGE) - 1)
    told = {"block": found, "last_page": last, "per_page": PAGE, "columns": COLUMNS, "unlike": UNLIKE}
    return 200, {**told, "matched": _matched(found.expected)}


def _matched(expected: Expected | None) -> float | None:
    """The share that matched, in percent, cut to the digits that are shown: 100 means that nothing is missing."""
    if expected is None or expected.share is None:
        return None
    return expected.matched * 10_000 // (expected.matched + expected.missing_count) / 100

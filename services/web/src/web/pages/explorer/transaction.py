"""`/tx/{txid}`: everything about a transaction."""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from shared.events.lookups import TxWanted
from shared.lookups import transaction
from shared.lookups.transaction import PAGE, Found, Gone
from web.http.answers import moved
from web.lookups.asking import Held
from web.pages.explorer.beside import Besides
from web.pages.explorer.flow import flow
from web.pages.explorer.readable import asm, coinbase_said, said, unlocking
from web.pages.explorer.replaced import tree
from web.pages.looked_up import LookupPages
from web.pages.page import Means, Page
from web.words import formats
from web.words.sentence import gettext, say

_TXID: Final = re.compile(r"[0-9a-f]{64}")
_PAGE: Final = re.compile(r"0|[1-9][0-9]{0,4}")

EVERY: Final = 10
"""Seconds after which a page of what waits asks again by itself: what lies ahead of it changes all the time."""

_SHOWN: Final = {
    "asm": asm, "unlocking": unlocking, "said": said, "coinbase_said": coinbase_said, "every": EVERY,
}  # fmt: skip


class TransactionPages(LookupPages):
    """Answers `/tx/{txid}?page=N`, pages of inputs and outputs counted from 0."""

    def __init__(self, page: Page, means: Means) -> None:
        super().__init__(page, means.pages, means.lookups)
        self._besides = Besides(means.series)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """What is no txid is told in words, with 400."""
        txid, number = request.match_info["txid"], request.query.get("page", "0")
        if txid != txid.lower() and _TXID.fullmatch(txid.lower()):
            return moved(f"/tx/{txid.lower()}").response(request)
        if not _TXID.fullmatch(txid) or not _PAGE.fullmatch(number):
            text = say("A transaction is named by the 64 hexadecimal digits of its id.")
            return self._pages.error(400, say("No such address"), text).response(request)
        return await self.answer(
            request,
            f"tx:{txid}:{number}",
            TxWanted(txid=txid, page=int(number)),
            transaction.Answer,
            "transaction.html",
            _shown,
            self._besides.of,
            txid=txid,
        )


def _shown(held: Held[Any]) -> tuple[int, dict[str, Any]]:
    answer = held.answer
    if isinstance(answer, Gone):
        return 200, {"tx": None, "gone": answer, "tops": tree(answer.replacements), "steps": answer.timeline}
    assert isinstance(answer, Found)  # noqa: S101 - there is no other answer
    seen = next((step for step in answer.timeline if step.what == "seen"), None)
    waits = answer.waiting
    pages = max(1, -(-max(answer.input_count, answer.output_count) // PAGE))
    return 200, {
        "tx": answer,
        "gone": None,
        "last_page": pages - 1,
        "per_page": PAGE,
        "steps": answer.timeline,
        "tops": tree(answer.replacements),
        "seen": seen,
        "accepted": seen.accepted if seen is not None else waits.time if waits is not None else None,
        "flow": flow(answer) if answer.page == 0 else None,
        "chances": _chances(answer),
        "told_by": _told_by(answer),
        **_SHOWN,
    }


def _chances(tx: Found) -> list[tuple[str, str]]:
    """(span, chance) in words."""
    if tx.chance is None:
        return []
    spans = (gettext("Next block"), gettext("Within an hour"), gettext("Within six hours"))
    chances = (tx.chance.next_block, tx.chance.hour, tx.chance.six_hours)
    return [(span, _chance(one)) for span, one in zip(spans, chances, strict=True)]


def _chance(chance: float) -> str:
    """A model's percents are not exact to a digit behind the point."""
    if chance < 0.01:
        return gettext("below %(share)s") % {"share": formats.percent(1, 0)}
    if chance > 0.99:
        return gettext("above %(share)s") % {"share": formats.percent(99, 0)}
    return str(formats.percent(chance * 100, 0))


def _told_by(tx: Found) -> list[tuple[str, str]]:
    """(part, source) in words."""
    sources = {
        "node": gettext("your own node"),
        "mempool": gettext("the mempool of your node"),
        "electrum": gettext("an Electrum server"),
        "scan": gettext("a scan of your node"),
        "records": gettext("what was recorded here"),
    }
    parts = {
        "transaction": gettext("Transaction"),
        "waiting": gettext("Place in the mempool"),
        "spenders": gettext("By what outputs were spent"),
        "timeline": gettext("What happened"),
    }
    return [(parts[part], sources[source]) for part, source in tx.sources.items() if part in parts]

"""`/tx/{txid}`: everything about a transaction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from shared.events.lookups import TxWanted
from shared.lookups import transaction
from shared.lookups.transaction import PAGE, Found
from web.http.answers import moved
from web.lookups.asking import Held
from web.pages.looked_up import LookupPages
from web.words.sentence import say

if TYPE_CHECKING:
    pass

_TXID: Final = re.compile(r"[0-9a-f]{64}")
_PAGE: Final = re.compile(r"0|[1-9][0-9]{0,4}")


class TransactionPages(LookupPages):
    """Answers `/tx/{txid}?page=N`, pages of inputs and outputs counted from 0."""

    async def page(self, request: web.Request) -> web.StreamResponse:
        """What is no txid is told in words, with 400."""
        txid, number = request.match_info["txid"], request.query.get("page", "0")
        if txid != txid.lower() and _TXID.fullmatch(txid.lower()):
            return moved(f"/tx/{txid.lower()}").response(request)
        if not _TXID.fullmatch(txid) or not _PAGE.fullmatch(number):
            text = say("A transaction is named by the 64 hexadecimal digits of its id.")
            return self._pages.error(400, say("No such address"), text).response(request)
        wanted = TxWanted(txid=txid, page=int(number))
        return await self.answer(
            request,
            f"tx:{txid}:{number}",
            wanted,
            transaction.Answer,
            "transaction.html",
            _shown,
            txid=txid,
        )


def _shown(held: Held[Any]) -> tuple[int, dict[str, Any]]:
    answer = held.answer
    if not isinstance(answer, Found):
        return 404, {"tx": None, "gone": answer}
    pages = max(1, -(-max(answer.input_count, answer.output_count) // PAGE))
    return 200, {"tx": answer, "gone": None, "last_page": pages - 1, "per_page": PAGE}

"""`/address/{address}`: what an output's script holds and held. Also by a public key or a script, in hex."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from aiohttp import web

from shared.errors import Unreadable
from shared.events.lookups import AddressWanted
from shared.lookups import address, transaction
from shared.lookups.address import HISTORY_MOST, PAGE, Found, Working
from shared.networks import COIN
from shared.scripts.address import Address, read
from web.charts.data.days import DayPrices
from web.http.answers import moved
from web.lookups.asking import Held, Lookups
from web.pages.explorer import statement
from web.pages.explorer.course import course_words
from web.pages.explorer.search import refused
from web.pages.looked_up import LookupPages
from web.words import formats
from web.words.currency import counted
from web.words.sentence import Sentence, say

if TYPE_CHECKING:
    from web.pages.page import Page
    from web.pages.rendering import Pages

_PAGE: Final = re.compile(r"0|[1-9][0-9]{0,6}")

SOURCES: Final[Mapping[str, Sentence]] = {
    "node": say("your node"),
    "mempool": say("your node's mempool"),
    "electrum": say("the Electrum server"),
    "scan": say("a scan by your node"),
    "records": say("this dashboard's own records"),
}
FIGURES: Final[Mapping[str, Sentence]] = {
    "balance": say("Balance"),
    "coins": say("Unspent outputs"),
    "history": say("History"),
    "times": say("Times"),
    "unconfirmed": say("Unconfirmed"),
}
"""What is told of which source, in the order of a page."""

WITHOUT: Final[Mapping[str, Sentence]] = {
    "electrum": say(
        "No Electrum server is configured, so your node looked through its coins: what was received and spent before, "
        "and what waits, is not known."
    ),
    "blockfilterindex": say(
        "With blockfilterindex=1 in bitcoin.conf your node would find the history, too; an Electrum server finds it at "
        "once."
    ),
    "electrum-limit": say(
        "The history is longer than the Electrum server tells. The balance and the outputs are whole."
    ),
}
"""What is missing and why, by what would tell it."""


class AddressPages(LookupPages):
    """Answers `/address/{address}?page=N&coins=M`, pages of the history and of unspent outputs counted from 0."""

    def __init__(self, page: Page, pages: Pages, lookups: Lookups, days: DayPrices) -> None:
        super().__init__(page, pages, lookups)
        self._days = days

    async def page(self, request: web.Request) -> web.StreamResponse:
        """What is no address, no key and no script is told in words, with 400, the wrong character marked."""
        found = self._named(request, "")
        if not isinstance(found, Address):
            return found
        number, coins = request.query.get("page", "0"), request.query.get("coins", "0")
        if not _PAGE.fullmatch(number) or not _PAGE.fullmatch(coins):
            text = say("Pages are counted from 0.")
            return self._pages.error(400, say("No such page"), text).response(request)
        await self._days.ready(counted())
        wanted = AddressWanted(script=found.script.hex(), page=int(number), coins=int(coins))
        return await self.answer(
            request,
            f"address:{found.scripthash}:{number}:{coins}",
            wanted,
            address.Answer,
            "address.html",
            _shown,
            named=found,
            path=f"/address/{quote(found.text)}",
            then=partial(_then, self._days),
        )

    async def csv(self, request: web.Request) -> web.StreamResponse:
        """`/address/{address}.csv`: the history, as far as it is known."""
        found = self._named(request, ".csv")
        if not isinstance(found, Address):
            return found
        await self._days.ready(counted())
        return await statement.write(request, self._lookups, self._days, found)

    def _named(self, request: web.Request, ending: str) -> Address | web.StreamResponse:
        """What the address of the page names; else the answer that says what is wrong with it, or where it is."""
        text = request.match_info["address"]
        try:
            found = read(text, self._pages.network, scripts=True)
        except Unreadable as error:
            return refused(self._pages, self._page, text, error).response(request)
        if found.text != text:
            query = f"?{request.query_string}" if request.query_string else ""
            return moved(f"/address/{quote(found.text)}{ending}{query}").response(request)
        return found


def _shown(held: Held[Any]) -> tuple[int, dict[str, Any]]:
    answer = held.answer
    if isinstance(answer, Working):
        return 202, {"it": None, "working": answer}
    assert isinstance(answer, Found)  # noqa: S101 - the others are answered before
    entries = None if answer.tx_count is None else answer.tx_count + (answer.waiting_count or 0)
    return 200, {
        "it": answer,
        "working": None,
        "last_page": 0 if entries is None else max(0, -(-entries // PAGE) - 1),
        "last_coins": max(0, -(-answer.coin_count // PAGE) - 1),
        "outputs_per_page": transaction.PAGE,
        "course": [(point.time, point.balance) for point in answer.points or ()],
        "told": course_words(answer.points, answer.tip.time),
        "missing_words": WITHOUT.get(answer.without),
        "origins": [(FIGURES.get(what, what), SOURCES[by]) for what, by in _sources(answer).items()],
        "history_most": HISTORY_MOST,
    }


def _sources(found: Found) -> dict[str, Any]:
    """In the order of FIGURES, whatever else there is behind."""
    order = [*(name for name in FIGURES if name in found.sources), *(n for n in found.sources if n not in FIGURES)]
    return {name: found.sources[name] for name in order}


def _then(days: DayPrices, satoshi: int | None, moment: int | None) -> tuple[str, bool] | None:
    """What an amount was worth on the day of a moment, and whether by a price that is made up; None: not known."""
    price = None if satoshi is None or moment is None else days.at(counted(), moment)
    if price is None or satoshi is None:
        return None
    return formats.money(price.price * abs(satoshi) / COIN), price.sample

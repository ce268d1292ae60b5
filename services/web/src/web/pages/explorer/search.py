"""`/search?q=…`: leads to what is meant, or says precisely what is wrong.

What was entered stands in no log. A key or a descriptor must not come by GET at all: the form's script sends it to
/wallet by POST; where it comes nevertheless, no answer repeats it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from aiohttp import web

from shared.errors import Unreadable
from shared.events.lookups import BlockWanted, TxWanted
from shared.lookups import block, transaction
from shared.lookups.parts import Away, Missing
from shared.scripts.search import understood
from shared.scripts.terms import (
    AddressTerm,
    Descriptor,
    ExtendedKey,
    Hash,
    Height,
    Outpoint,
    PoolName,
    Term,
)
from shared.tasks import end
from shared.views import TipView
from web.http.answers import TEXT, Answer, Unavailable
from web.lookups import refusals
from web.lookups.asking import TROUBLE, Failed, Full, Held, Lookups, Pending
from web.miners.figures import pool_path
from web.miners.store import Miners
from web.pages.looked_up import LookupPages
from web.words import formats
from web.words.sentence import Sentence, note, say, shown

if TYPE_CHECKING:
    from web.pages.page import Page
    from web.pages.rendering import Pages

PRIVATE: Final = {"Cache-Control": "no-store"}
"""No cache keeps what somebody looked for."""

LONGEST_NAME: Final = 100
"""Characters of what may be the name of a pool."""


_HISTORY: Final = note("It stands in the address of this page, and so in your browser's history.")


class SearchPages(LookupPages):
    """Answers `/search?q=…`."""

    def __init__(self, page: Page, pages: Pages, lookups: Lookups, miners: Miners) -> None:
        super().__init__(page, pages, lookups)
        self._miners = miners

    async def page(self, request: web.Request) -> web.StreamResponse:
        """303 to what is meant; 400 where it cannot be read, 404 where there is no such thing."""
        return (await self._answer(request)).response(request)

    async def _answer(self, request: web.Request) -> Answer:
        text = request.query.get("q", "")
        if not text.strip():
            return _private(self._pages.render("explorer/search.html", self._page))
        try:
            return await self._lead(request, text, await self._understood(text))
        except Unreadable as error:
            return self._unreadable(text, error)

    async def _understood(self, text: str) -> Term:
        """What is meant; pools are asked for only where nothing else is. Raises Unreadable."""
        network = self._pages.network
        try:
            return understood(text, network)
        except Unreadable as error:
            if len(text) > LONGEST_NAME or error.reason in refusals.SECRET:
                raise
        return understood(text, network, await self._pools())

    async def _pools(self) -> dict[str, str]:
        """Names by slug; none where none can be told."""
        try:
            return {one.slug: one.name for one in (await self._miners.over("all")).miners if one.name}
        except Unavailable:
            return {}

    async def _lead(  # noqa: PLR0911 - one a kind of term
        self, request: web.Request, text: str, term: Term
    ) -> Answer:
        match term:
            case Height():
                return self._height(text, term.height)
            case Hash(certain=True) | Hash(likely="transaction"):  # by its size, or since a link says so
                return _to(f"/tx/{term.hash}")
            case Hash():
                return await self._either(request, text, term.hash)
            case Outpoint():
                page = term.vout // transaction.PAGE
                return _to(f"/tx/{term.txid}{f'?page={page}' if page else ''}#output-{term.vout}")
            case AddressTerm():
                return _to(f"/address/{quote(term.address.text)}")
            case PoolName(pools=((slug, name),)):
                return _to(pool_path(name, slug))
            case PoolName():
                return _private(self._pages.render("explorer/pools.html", self._page, pools=term.pools))
            case ExtendedKey() | Descriptor():
                return self._wallet()

    def _height(self, text: str, height: int) -> Answer:
        tip = self._pages.view(TipView)
        if tip is None or height <= tip.height:
            return _to(f"/block/{height}")
        said = say(
            "There is no block %(height)s yet: the newest one is %(newest)s.",
            height=shown(formats.whole, height),
            newest=shown(formats.whole, tip.height),
        )
        return self._refusal(404, say("No such block yet"), said, entered=text)

    # --- what may be a transaction or a block --------------------------------------------------------

    async def _either(self, request: web.Request, text: str, named: str) -> Answer:
        """Both are asked for side by side, under the names that their pages ask with: the page finds its answer."""
        asks = {
            "/tx/": self._lookups.ask(f"tx:{named}:0", TxWanted(txid=named), transaction.Answer),
            "/block/": self._lookups.ask(f"block:{named}:0:position", BlockWanted(hash=named), block.Answer),
        }
        asked: dict[asyncio.Task[Held[Any]], str] = {asyncio.ensure_future(ask): to for to, ask in asks.items()}
        missing: list[Missing] = []
        troubles: list[Exception] = []
        left = set(asked)
        try:
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    found = _outcome(one)
                    if isinstance(found, Missing):
                        missing.append(found)
                    elif isinstance(found, Exception):
                        troubles.append(found)
                    else:
                        return _to(f"{asked[one]}{named}")
        finally:
            await end(*asked)
        if troubles:
            return _private(self._trouble(request, troubles[0]))
        more = [say("With txindex=1 in bitcoin.conf the node finds every transaction.")]
        return self._refusal(
            404,
            say("Not found"),
            say("Your node knows neither a transaction nor a block of this hash."),
            entered=text,
            more=more if any(one.why == "no-index" for one in missing) else (),
        )

    # --- what leads nowhere --------------------------------------------------------------------------

    def _wallet(self) -> Answer:
        return self._refusal(
            400,
            say("Not this way"),
            say("Extended keys and descriptors show all that a wallet holds. Enter yours on the page of wallets."),
            wallet=True,
            more=[say("It was not looked up."), say(_HISTORY)],
        )

    def _unreadable(self, text: str, error: Unreadable) -> Answer:
        more: list[Sentence] = []
        if error.reason != "too-long" and not refusals.may_be_shown(text, error.reason):
            more = [say(_HISTORY)]
        return refused(self._pages, self._page, text, error, more=more)

    def _refusal(
        self,
        status: int,
        title: Sentence,
        text: Sentence,
        *,
        entered: str = "",
        wallet: bool = False,
        more: Iterable[Sentence] = (),
    ) -> Answer:
        return refusal(self._pages, self._page, status, title, text, entered=entered, wallet=wallet, more=more)


def refused(pages: Pages, page: Page, text: str, error: Unreadable, *, more: Iterable[Sentence] = ()) -> Answer:
    """The page that says what is wrong with what was entered, the wrong character marked where that may be shown."""
    show = refusals.may_be_shown(text, error.reason)
    return refusal(
        pages,
        page,
        400,
        say("This cannot be looked up"),
        refusals.sentence(error),
        entered=text if show else "",
        parts=list(refusals.parts(text, error.places)) if show and error.places else [],
        wallet=error.reason in refusals.KEYS,
        more=more,
    )


def refusal(
    pages: Pages,
    page: Page,
    status: int,
    title: Sentence,
    text: Sentence,
    *,
    entered: str = "",
    parts: Iterable[tuple[str, bool]] = (),
    wallet: bool = False,
    more: Iterable[Sentence] = (),
) -> Answer:
    """A page with the search on it, whose answer no cache keeps."""
    made = pages.render(
        "explorer/refused.html",
        page,
        title=title,
        text=text,
        entered=refusals.visible(entered),
        parts=list(parts),
        wallet=wallet,
        more=list(more),
    )
    return Answer(made.body, made.content_type, status, {**made.headers, **PRIVATE})


def _outcome(asked: asyncio.Task[Held[Any]]) -> Any:
    """What was found, Missing, or why nobody can tell."""
    try:
        answer = asked.result().answer
    except (Pending, Full, Failed, *TROUBLE) as error:
        return error
    return Failed(answer.why) if isinstance(answer, Away) else answer


def _to(path: str) -> Answer:
    return Answer(b"", TEXT, 303, {"Location": path, **PRIVATE})


def _private(answer: Answer) -> Answer:
    return Answer(answer.body, answer.content_type, answer.status, {**answer.headers, **PRIVATE})

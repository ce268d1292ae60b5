"""`/wallet`: an extended key, descriptors or addresses are entered; `/wallet/{handle}`: what they hold together.

What is entered comes by POST and is in no address. Nothing of it is repeated, and no page of it is kept anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from aiohttp import web

from shared import redis
from shared.lookups import transaction
from shared.lookups.parts import Away
from shared.lookups.wallet import COINS_PAGE, LONGEST, PAGE, SENTENCES, Form, Found, Refused
from web.http.answers import Answer, retry
from web.http.hosts import HOSTS
from web.http.posting import Unreadable, fields
from web.lookups.asking import Failed, Full
from web.lookups.walks import ENTERED, Busy, again_after
from web.lookups.wallets import GAPS, LIFE_MS, USUAL_GAP, Looked, Over, Wallets
from web.pages.explorer.course import course_words
from web.state.disclosure import masked
from web.words import moments
from web.words.sentence import Sentence, joined, say

if TYPE_CHECKING:
    from web.pages.page import Page
    from web.pages.rendering import Pages

PATH: Final = "/wallet"

USED_PAGE: Final = 25
"""Used addresses on one page."""

PENDING_SECONDS: Final = 2
"""After which a page of a look-up that goes on asks again, without a script."""

CLOSED: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""Of every page about a wallet."""

ENTRY: Final = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
"""Of the form: with `no-referrer` a browser would not say that it is ours where it comes back."""

FORMS: Final[Mapping[str, Sentence]] = {
    "": say("as the key says, else all of them"),
    "wpkh": say("Native SegWit (BIP 84)"),
    "sh(wpkh)": say("Nested SegWit (BIP 49)"),
    "pkh": say("Legacy (BIP 44)"),
    "tr": say("Taproot (BIP 86)"),
}

ROLES: Final[Mapping[str, Sentence]] = {"receive": say("receive"), "change": say("change"), "other": say("other")}

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,5}")


class WalletPages:
    """Answers both addresses."""

    def __init__(self, page: Page, pages: Pages, wallets: Wallets) -> None:
        self._page = page
        self._pages = pages
        self._wallets = wallets

    # --- what is entered -----------------------------------------------------------------------------

    async def form(self, request: web.Request) -> web.StreamResponse:
        """The form; in the demonstration with the wallet that pays there beside it."""
        return self._form().response(request)

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Seal it and lead to its page; or say what is wrong, without repeating it."""
        if not self._wallets.configured:
            return self._form(503).response(request)
        try:
            entered = await fields(request)
        except Unreadable as error:
            text = (
                say(SENTENCES["too-long"], most=LONGEST)
                if error.status == 413
                else say("This cannot be read: the form of this page is expected.")
            )
            return self._form(error.status, text).response(request)
        form, gap = entered.get("form", ""), entered.get("gap", str(USUAL_GAP))
        if form not in get_args(Form) or not _is_gap(gap):
            return self._form(400, say("This cannot be read: the form of this page is expected.")).response(request)
        try:
            opened = await self._wallets.enter(
                entered.get("wallet", ""), cast("Form", form), client=request.app[HOSTS].client(request)
            )
        except (Busy, *redis.TROUBLE) as failure:
            return self._not_kept(failure).response(request)
        if isinstance(opened, Refused):
            return self._form(422, refusal(opened), opened.why).response(request)
        query = "" if int(gap) == USUAL_GAP else f"?gap={gap}"
        return Answer(
            b"", "text/plain; charset=utf-8", 303, {"Location": f"{PATH}/{opened.handle}{query}", **CLOSED}
        ).response(request)

    def _form(self, status: int = 200, said: str = "", why: str = "", again: int | None = None) -> Answer:
        made = self._pages.render(
            "explorer/wallet_form.html",
            self._page,
            here=PATH,
            configured=self._wallets.configured,
            said=said,
            secret=why in ("private-key", "seed-words"),
            forms=FORMS,
            gaps=GAPS,
            minutes=LIFE_MS // 60_000,
            example=self._wallets.example(),
        )
        return Answer(made.body, made.content_type, status, {**made.headers, **ENTRY, **retry(again)})

    def _not_kept(self, failure: Exception) -> Answer:
        if isinstance(failure, Busy):
            return self._form(429, busy_words(failure), again=again_after(failure))
        return self._form(503, say("Redis does not answer."))

    # --- what was found ------------------------------------------------------------------------------

    async def page(self, request: web.Request) -> web.StreamResponse:
        """`?gap=20&page=N&coins=M&used=K`, pages counted from 0."""
        if not self._wallets.configured:
            return self._form(503).response(request)
        asked = {name: request.query.get(name, "0") for name in ("page", "coins", "used")}
        gap = request.query.get("gap", str(USUAL_GAP))
        if not all(map(_NUMBER.fullmatch, asked.values())) or not _is_gap(gap):
            return self._refuse(400, say("No such page"), say("Pages are counted from 0, and the gap from 1 to 1,000."))
        page, coins, used = (int(number) for number in asked.values())
        try:
            handle, client = request.match_info["handle"], request.app[HOSTS].client(request)
            looked = await self._wallets.look(handle, gap=int(gap), page=page, coins=coins, client=client)
        except (Over, Busy, Full, Failed, *redis.TROUBLE) as error:
            return self._trouble(error)
        match looked.answer:
            case Away(why=why):
                return self._not_now(masked(why))
            case Refused() as refused:
                return self._form(422, refusal(refused), refused.why).response(request)
        return self._shown(looked, int(gap), used).response(request)

    def _trouble(self, error: Exception) -> web.StreamResponse:
        match error:
            case Over():
                text = say(
                    "What was entered is kept for %(minutes)s minutes, and is gone after that. Enter it again.",
                    minutes=LIFE_MS // 60_000,
                )
                return self._refuse(410, say("This wallet's time is over"), text)
            case Busy() as busy:
                return self._later(429, busy_words(busy), again_after(busy))
            case Full():
                return self._not_now(say("So much is being looked up that this has to wait."))
            case Failed():
                return self._not_now(masked(str(error)))
        return self._not_now(say("Redis does not answer."))

    def _shown(self, looked: Looked, gap: int, used: int) -> Answer:
        it = looked.answer
        found = it if isinstance(it, Found) else None
        told = {"it": found, "name": looked.name, "going_on": looked.going_on, "working": looked.working, "gap": gap}
        made = self._pages.render(
            "explorer/wallet.html",
            self._page,
            here=PATH,
            until=looked.until_ms / 1000,
            seconds=PENDING_SECONDS,
            gaps=GAPS,
            usual_gap=USUAL_GAP,
            roles=ROLES,
            **told,
            **({} if found is None else _lists(found, used)),
        )
        status = 202 if looked.going_on else 200
        more = retry(PENDING_SECONDS) if looked.going_on else {}
        return Answer(made.body, made.content_type, status, {**made.headers, **CLOSED, **more})

    def _refuse(self, status: int, title: str, text: str) -> web.StreamResponse:
        made = self._pages.render("explorer/wallet_over.html", self._page, here=PATH, title=title, text=text, link=PATH)
        return _closed(made, status)

    def _not_now(self, why: str) -> web.StreamResponse:
        text = say("What was asked for cannot be looked up now: %(why)s", why=why)
        return self._later(503, text, PENDING_SECONDS)

    def _later(self, status: int, text: str, seconds: int) -> web.StreamResponse:
        made = self._pages.render(
            "explorer/wallet_over.html",
            self._page,
            here=PATH,
            title=say("Not now"),
            text=text,
            link="",
            seconds=2 * seconds,
        )
        return _closed(made, status, retry(seconds))


def _closed(made: Answer, status: int, more: Mapping[str, str] | None = None) -> web.StreamResponse:
    headers = {**made.headers, **CLOSED, **(more or {}), "Content-Type": made.content_type}
    return web.Response(status=status, body=made.body, headers=headers)


def busy_words(busy: Busy) -> Sentence:
    """Why this wallet has to wait, and for what."""
    if busy.limit is ENTERED:
        if busy.own:
            return say(
                "You entered %(most)s wallets within an hour, and so many are kept at most. Try again in %(time)s.",
                most=busy.limit.each,
                time=moments.duration(busy.seconds),
            )
        return say("Within this hour so many wallets were entered that no more are kept. Try again later.")
    if busy.own:
        return say(
            "%(most)s of your wallets are being looked up, and so many are at once. "
            "This one follows as soon as one of them is done; this page asks again by itself.",
            most=busy.limit.each,
        )
    return say("So many wallets are being looked up that this one has to wait. This page asks again by itself.")


def refusal(refused: Refused) -> Sentence:
    """Why what was entered is no wallet, and where it is at fault; nothing of it is repeated."""
    said = [say(SENTENCES[refused.why], most=refused.most, word=refused.word)]
    if refused.line is not None:
        said.append(say("That is in line %(line)s.", line=refused.line))
    if refused.position is not None:
        said.append(say("It is character %(place)s, counted from the first.", place=refused.position))
    return joined(*said)


def _is_gap(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and 1 <= int(text) <= 1_000


def _lists(found: Found, used: int) -> dict[str, Any]:
    """What the lists of the page show, and how many pages each has."""
    return {
        "used": found.used[used * USED_PAGE : (used + 1) * USED_PAGE],
        "used_page": used,
        "last_used": _last(len(found.used), USED_PAGE),
        "last_page": _last(found.tx_count or 0, PAGE),
        "last_coins": _last(found.coin_count, COINS_PAGE),
        "course": [(point.time, point.balance) for point in found.points or ()],
        "told": course_words(found.points, found.tip.time),
        "outputs_per_page": transaction.PAGE,
    }


def _last(count: int, size: int) -> int:
    return max(0, -(-count // size) - 1)

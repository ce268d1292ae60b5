"""`/api/v1/wallet`: what a wallet holds, for programs. What is entered comes in a body, never in an address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from shared import redis
from shared.lookups.parts import Away
from shared.lookups.wallet import SENTENCES, Form, Refused
from web.http.answers import JSON, RETRY_AFTER, Answer, error, private
from web.http.hosts import HOSTS
from web.http.posting import brought
from web.lookups.asking import Failed, Full
from web.lookups.walks import ENTERED, Busy, again_after
from web.lookups.wallets import USUAL_GAP, Looked, Over, Wallets
from web.state.disclosure import masked

PATH: Final = "/api/v1/wallet"

AGAIN_SECONDS: Final = 2
"""After which whoever waits may ask again."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_Page = Annotated[int, Meta(ge=0, le=1_000_000)]


class _Entered(msgspec.Struct, forbid_unknown_fields=True):
    wallet: str
    form: Form = ""
    gap: Annotated[int, Meta(ge=1, le=1_000)] = USUAL_GAP


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    gap: Annotated[int, Meta(ge=1, le=1_000)] = USUAL_GAP
    page: _Page = 0
    coins: _Page = 0


class WalletApi:
    """Both endpoints. No answer is kept anywhere, and no other origin reads one."""

    def __init__(self, wallets: Wallets) -> None:
        self._wallets = wallets
        self._requests = 0

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""
        return self._requests, self._requests

    def routes(self) -> Iterator[tuple[str, Handler]]:
        """Every address that is read, and who answers it."""
        yield f"{PATH}/{{handle}}", self.look

    def posts(self) -> Iterator[tuple[str, Handler]]:
        """Every address that something is brought to."""
        yield PATH, self.enter

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """`{"wallet": TEXT, "form": "wpkh", "gap": 20}`: 202 with where to ask for it."""
        self._requests += 1
        if not self._wallets.configured:
            return _unset().response(request)
        try:
            entered = msgspec.json.decode(await brought(request, JSON), type=_Entered)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # whose message might repeat what was entered
            expected = 'expected {"wallet": TEXT, "form": "" | "pkh" | "sh(wpkh)" | "wpkh" | "tr", "gap": 1 to 1000}'
            return _closed(error(400, "bad_body", f"The body is not understood: {expected}.")).response(request)
        try:
            opened = await self._wallets.enter(entered.wallet, entered.form, client=request.app[HOSTS].client(request))
        except (Busy, *redis.TROUBLE) as failure:
            return _trouble(failure).response(request)
        if isinstance(opened, Refused):
            return _refused(opened).response(request)
        gap = "" if entered.gap == USUAL_GAP else f"?gap={entered.gap}"
        return _told(
            202, {"handle": opened.handle, "status_url": f"{PATH}/{opened.handle}{gap}", "until_ms": opened.until_ms}
        ).response(request)

    async def look(self, request: web.Request) -> web.StreamResponse:
        """`?gap=20&page=0&coins=0`: 200 with the whole, 202 with what is known meanwhile."""
        self._requests += 1
        if not self._wallets.configured:
            return _unset().response(request)
        try:
            asked = msgspec.convert(dict(request.query), _Asked, strict=False)
        except msgspec.MsgspecError:
            text = "expected gap (1 to 1000), page and coins (counted from 0)"
            return _closed(error(400, "bad_query", f"The query is not understood: {text}.")).response(request)
        try:
            handle, client = request.match_info["handle"], request.app[HOSTS].client(request)
            looked = await self._wallets.look(handle, gap=asked.gap, page=asked.page, coins=asked.coins, client=client)
        except (Over, Busy, Full, Failed, *redis.TROUBLE) as failure:
            return _trouble(failure).response(request)
        return _looked(looked).response(request)


def _trouble(failure: Exception) -> Answer:
    match failure:
        case Over():
            return _closed(error(410, "over", "The time of this wallet is over: enter it again."))
        case Busy() as busy:
            return _closed(error(429, "busy", _busy(busy), retry_after=again_after(busy)))
        case Full():
            return _away("so much is being looked up that this has to wait")
        case Failed():
            return _away(masked(str(failure)))
    return _away("Redis does not answer")


def _busy(busy: Busy) -> str:
    if busy.limit is ENTERED:
        if busy.own:
            return f"You entered {busy.limit.each} wallets within an hour, and so many are kept at most."
        return "Within this hour so many wallets were entered that no more are kept."
    if busy.own:
        return f"{busy.limit.each} of your wallets are being looked up, and so many are at once: wait for one of them."
    return "So many wallets are being looked up that this one has to wait."


def _looked(looked: Looked) -> Answer:
    answer = looked.answer
    if isinstance(answer, Away):
        return _away(masked(answer.why))
    if isinstance(answer, Refused):
        return _refused(answer)
    state = "partial" if looked.going_on else "complete"
    told = {"state": state, "until_ms": looked.until_ms, "progress": looked.working, "wallet": answer}
    return _told(202 if looked.going_on else 200, told)


def _refused(refused: Refused) -> Answer:
    text = SENTENCES[refused.why] % {"most": refused.most, "word": refused.word}
    told = {"code": refused.why, "message": text, "position": refused.position, "line": refused.line}
    return _told(422, {"error": told})


def _told(status: int, content: Any) -> Answer:
    again = {"Retry-After": str(AGAIN_SECONDS)} if status == 202 else {}
    return _closed(Answer(msgspec.json.encode(content), JSON, status, again))


def _away(why: str) -> Answer:
    return _closed(error(503, "not_available", f"It cannot be looked up now: {why}.", retry_after=RETRY_AFTER))


def _unset() -> Answer:
    return _closed(error(503, "not_configured", "There are no wallets: WALLET_SECRET is not set."))


def _closed(answer: Answer) -> Answer:
    """Kept nowhere, and told to nobody else."""
    kept = private(answer)
    return Answer(
        kept.body,
        kept.content_type,
        kept.status,
        {**kept.headers, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )

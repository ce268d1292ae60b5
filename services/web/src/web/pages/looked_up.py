"""What the pages of all look-ups have in common: ask, wait a little, show, and keep what was made."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from shared import redis
from shared.events.lookups import Asked
from shared.lookups.parts import Away, Missing
from web.http.answers import Answer, retry
from web.lookups.asking import Failed, Full, Held, Lookups, Pending
from web.pages.made import Made
from web.state.disclosure import masked
from web.words.reader import reader
from web.words.sentence import say

if TYPE_CHECKING:
    from web.pages.page import Page
    from web.pages.rendering import Pages

KEPT: Final = 256
"""Pages kept ready at most."""

PENDING_SECONDS: Final = 2
"""After which a page that waits for its answer asks again, without a script."""

Show = Callable[[Held[Any]], tuple[int, dict[str, Any]]]
"""The status, and what the template is told of an answer that is neither Away nor Missing."""


Beside = Callable[[Held[Any]], Awaitable[Any]]
"""What else the page shows with an answer: the same object for as long as that is the same. For the reader of now."""


class LookupPages:
    """Answers requests for pages of one kind of look-up."""

    def __init__(self, page: Page, pages: Pages, lookups: Lookups) -> None:
        self._page = page
        self._pages = pages
        self._lookups = lookups
        self._kept: OrderedDict[Hashable, Made[Any]] = OrderedDict()

    async def answer(
        self,
        request: web.Request,
        question: str,
        wanted: Asked,
        kind: Any,
        template: str,
        show: Show,
        beside: Beside | None = None,
        **more: Any,
    ) -> web.StreamResponse:
        """Whatever there is to say: the page, that it is being looked up, or why it cannot be.

        `more` is what the template is told in any case, `beside` what it is told as `beside` of an answer.
        """
        try:
            held = await self._lookups.ask(question, wanted, kind)
        except Pending as error:
            if error.working is None:
                return self._trouble(request, error).response(request)
            told = Held(error.working, error.working.since_ms)
            return self._render(request, template, told, show, **more).response(request)
        except (Full, Failed, *redis.TROUBLE) as error:
            return self._trouble(request, error).response(request)
        if isinstance(held.answer, Away):
            return self._failed(request, masked(held.answer.why)).response(request)
        if isinstance(held.answer, Missing):
            return self._render(request, template, held, _missing, **more).response(request)
        shown = (held, None if beside is None else await beside(held))
        render = partial(self._render, request, template, show=show, **more)
        return await self._made((request.path_qs, template, reader().key), render).show(*shown).handle(request)

    def _trouble(self, request: web.Request, error: Exception) -> Answer:
        match error:
            case Pending():
                return self._waiting(request, say("It is being looked up. This page asks again by itself."))
            case Full():
                text = say("So much is being looked up that this has to wait. This page asks again by itself.")
                return self._waiting(request, text)
            case Failed():
                return self._failed(request, masked(str(error)))
        return self._failed(request, say("Redis does not answer."))

    def _made(self, key: Hashable, render: Callable[..., Answer]) -> Made[Any]:
        made = self._kept.get(key)
        if made is None:
            made = self._kept[key] = Made(lambda parts: render(held=parts[0], beside=parts[1]), lambda: None)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made

    def _render(self, request: web.Request, template: str, held: Held[Any], show: Show, **more: Any) -> Answer:
        status, told = show(held)
        told = {"missing": None, "here": request.path_qs, "as_of_ms": held.time_ms, **more, **told}
        made = self._pages.render(f"{self._page.name}/{template}", self._page, **told)
        return Answer(made.body, made.content_type, status, made.headers)

    def _waiting(self, request: web.Request, text: str) -> Answer:
        return self._again(request, 202, say("Looking it up"), say("Not yet"), text)

    def _failed(self, request: web.Request, why: str) -> Answer:
        text = say("What was asked for cannot be looked up now: %(why)s", why=why)
        return self._again(request, 503, say("Not now"), say("This page asks again by itself."), text)

    def _again(self, request: web.Request, status: int, title: str, short: str, text: str) -> Answer:
        """A page that asks again by itself, and that a page which is open turns into meanwhile."""
        told = {"title": title, "short": short, "text": text, "seconds": PENDING_SECONDS, "here": request.path_qs}
        made = self._pages.render(f"{self._page.name}/waiting.html", self._page, **told)
        return Answer(made.body, made.content_type, status, {**made.headers, **retry(PENDING_SECONDS)})


def _missing(held: Held[Any]) -> tuple[int, dict[str, Any]]:
    return 404, {"missing": held.answer}

"""Pages of a list that a view holds: one address for each list, sorted as one likes, kept until the view is another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from shared.views import View
from web.http.answers import Answer
from web.pages.made import Made
from web.pages.page import Page
from web.words.sentence import gettext, say

if TYPE_CHECKING:
    from web.pages.rendering import Pages

Key = Callable[[Any], Any]


class Listing:
    """Answers `path?sort=…` with the view that is `shown`. What is no sort is told in words, with 400.

    `sorts` give each order's words and its key; the first is the usual one. `more` is told to the template, and what
    `past` gives: the same object for as long as it says the same.
    """

    def __init__(
        self,
        page: Page,
        pages: Pages,
        path: str,
        shown: type[View],
        sorts: Mapping[str, tuple[str, Key]],
        *,
        past: Callable[[], Awaitable[object]] | None = None,
        **more: Any,
    ) -> None:
        self._page = page
        self._pages = pages
        self._path = path
        self._shown = shown
        self._sorts = sorts
        self._past = past
        self._more = more
        self._kept: dict[str, Made[object]] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        usual = next(iter(self._sorts))
        sort = request.query.get("sort", usual)
        if sort not in self._sorts:
            text = say(
                "sort=%(value)s is not known: expected one of %(known)s.",
                value=repr(sort[:20]), known=", ".join(self._sorts),
            )  # fmt: skip
            return self._pages.error(400, gettext("No such list"), str(text)).response(request)
        made = self._kept.setdefault(sort, Made(partial(self._render, sort), partial(self._pages.age, ("marketcap",))))
        past = None if self._past is None else await self._past()
        return await made.show(self._pages.view(self._shown), past).handle(request)

    def _render(self, sort: str, parts: tuple[Any, Any]) -> Answer:
        view, past = parts
        rows: Sequence[Any] = () if view is None else getattr(view, "rows", ())
        usual = next(iter(self._sorts))
        return self._pages.render(
            self._page.template,
            self._page,
            view=view,
            past=past,
            rows=rows if sort == usual else sorted(rows, key=self._sorts[sort][1]),
            sorts={name: words for name, (words, _) in self._sorts.items()},
            sort=sort,
            address=lambda name: self._path if name == usual else f"{self._path}?sort={name}",
            here=self._path if sort == usual else f"{self._path}?sort={sort}",
            **self._more,
        )

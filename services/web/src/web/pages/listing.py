"""Pages of a list that a view holds: one address for each list, sorted as one likes, kept until the view is another."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from aiohttp import web

from shared.views import View
from web.http.answers import Answer
from web.pages.made import Made
from web.pages.order import Order, Sort, Table, asked, natural, wording
from web.pages.page import Card, Page
from web.state.snapshot import Part, Snapshot
from web.words.currency import chosen
from web.words.reader import reader
from web.words.sentence import gettext

if TYPE_CHECKING:
    from web.pages.rendering import Pages

KEPT: Final = 16
"""Pages of one list kept ready at most: one for each order and reader."""

PARTS: Final[tuple[Part, ...]] = ("marketcap", "worth", "notices")
"""What lists show: figures, the rates by which they are told, and why there are none."""


class List:
    """One list: its name, its address, the view that holds it and how it can be sorted.

    The first of `sorts` is the usual one. `more` is told to the template of its card, which all lists of a page share;
    `beside` are views that it shows as well, each with the part of the state that it belongs to.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        path: str,
        shown: type[View],
        sorts: Mapping[str, Sort],
        beside: Mapping[Part, type[View]] | None = None,
        **more: Any,
    ) -> None:
        self.name = name
        self.beside = dict(beside or {})
        self.path = path
        self.shown = shown
        self.sorts = sorts
        self.more = more
        parts = (*PARTS, *self.beside)
        self.card = Card(f"{folder}_{name}", parts, folder, drawn_by="list", more=self.told, long=True)

    def told(self, snapshot: Snapshot, order: Order | None = None, currency: str = "") -> dict[str, Any]:
        """What its card is told; links carry a currency that the address asked for."""
        view = snapshot[self.shown]
        order = order or natural(self.sorts)
        table = Table.of(getattr(view, "rows", ()), self.sorts, order, lambda to: self.address(to, currency))
        here = self.address(order, currency)
        return {"view": view, "table": table, "list": self.name, "here": here, "snapshot": snapshot, **self.more}

    def address(self, order: Order | None = None, currency: str = "") -> str:
        """Of the list in an order."""
        said = {} if order is None else wording(self.sorts, order)
        query = urlencode(({"currency": currency} if currency else {}) | said)
        return f"{self.path}?{query}" if query else self.path


class Listing:
    """Answers a list's address, `?sort=…&order=…`. What is no order is told in words, with 400."""

    def __init__(
        self, page: Page, pages: Pages, shown: List, past: Callable[[], Awaitable[object]] | None = None, **more: Any
    ) -> None:
        """`more` is told to the template of the page, and what `past` gives: the same while it says the same."""
        self._page = page
        self._pages = pages
        self._list = shown
        self._past = past
        self._before: object = None  # what it gave last
        self._more = more
        self._kept: OrderedDict[Hashable, Made[Any]] = OrderedDict()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        try:
            order = asked(self._list.sorts, request.query)
        except ValueError as error:
            return self._pages.error(400, gettext("No such list"), str(error)).response(request)
        currency = chosen(request.query.get("currency")) or ""
        made = self._made((order, currency, reader().key), partial(self._render, order, currency))
        beside = [self._pages.view(view) for view in self._list.beside.values()]
        return await made.show(self._pages.view(self._list.shown), await self._seen(), *beside).handle(request)

    async def _seen(self) -> object:
        """What is known of the past; the card shows some of it as well."""
        past = (await self._past() or None) if self._past is not None else None
        if past is not self._before:
            self._before = past
            self._pages.outdate(self._list.card)
        return past

    def _made(self, key: Hashable, render: Callable[[Any], Answer]) -> Made[Any]:
        made = self._kept.get(key)
        if made is None:
            made = self._kept[key] = Made(render, partial(self._pages.age, ("marketcap",)))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return made

    def _render(self, order: Order, currency: str, parts: tuple[Any, ...]) -> Answer:
        past = parts[1]  # the card takes the view from the state, as the live stream does
        shown = self._list
        if order == natural(shown.sorts) and not currency:
            card = self._pages.cards([shown.card.name])[shown.card.name].html
        else:
            card = self._pages.card(shown.card, **shown.told(self._pages.snapshot, order, currency))
        return self._pages.render(
            self._page.template,
            self._page,
            list=shown.name,
            listed=card,
            view=self._pages.view(shown.shown),
            past=past,
            live=f"{self._page.name}.{shown.name}",
            here=shown.address(order, currency),
            carried=currency,
            **self._more,
        )

"""`/live/{page}`: the cards of a page that changed, pushed to everyone who has it open.

Cards are rendered once for each change of state, and only those whose content is another than before are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from aiohttp import web

from web.audience import Audience, Batch, Client, message
from web.pages import Page, Pages
from web.state import State

_GONE: Final = Batch(message("reset", b"{}"))


class LivePage(Audience):
    """One page and everyone who has it open."""

    def __init__(self, page: Page, pages: Pages) -> None:
        super().__init__()
        self._page = page
        self._pages = pages
        self._marks: dict[str, str] = {}
        self._whole: tuple[list[str], Batch] | None = None
        self._closed = False

    def changed(self) -> None:
        """The state is another: send what is different on the page. Costs nothing while nobody looks."""
        if not self.clients:
            self._marks = {}
            return
        cards = self._pages.cards(self._page)
        html = {name: card.html for name, card in cards.items() if self._marks.get(name) != card.mark}
        self._marks = {name: card.mark for name, card in cards.items()}
        if html:
            self.broadcast(_batch(html))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Send everything once, then what changes, for as long as the client stays."""
        if self._closed:
            return web.Response(status=503, headers={"Retry-After": "2"})
        client = Client(request)
        try:
            await client.open({})
            client.push(self._beginning())
            self.clients.add(client)
            await client.run(lambda: _GONE)
        except (ConnectionError, TimeoutError):
            pass  # the client went, or stopped reading
        finally:
            self.part(client)
        return client.response

    def _beginning(self) -> Batch:
        """All cards as they are now: one encoding for all who come while they stay so."""
        cards = self._pages.cards(self._page)
        if not self.clients:
            self._marks = {name: card.mark for name, card in cards.items()}
        html = {name: card.html for name, card in cards.items()}
        shown: list[str] = list(html.values())
        if self._whole is None or any(one is not other for one, other in zip(self._whole[0], shown, strict=True)):
            self._whole = shown, _batch(html).keep()
        return self._whole[1]

    def dismiss(self) -> None:
        """End every connection and accept no more."""
        self._closed = True
        super().dismiss()


def _batch(html: Mapping[str, str]) -> Batch:
    return Batch(message("cards", orjson.dumps({name: str(text) for name, text in html.items()})))


def live_pages(pages: Pages, state: State, known: dict[str, Page]) -> dict[str, LivePage]:
    """A live page for each page, told of every change of the state."""
    live = {name: LivePage(page, pages) for name, page in known.items()}
    for page in live.values():
        state.after_change(page.changed)
    return live

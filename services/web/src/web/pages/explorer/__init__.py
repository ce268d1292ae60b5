"""Look-ups: transactions, blocks, addresses and wallets, and the search that leads to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aiohttp import web

from web.http.readers import by_reader
from web.pages.explorer.block import BlockPages
from web.pages.explorer.transaction import TransactionPages
from web.pages.explorer.wallet import PATH, WalletPages
from web.pages.page import Handler, Means, Page
from web.words.sentence import say


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    async def search(request: web.Request) -> web.StreamResponse:
        return means.pages.render("explorer/search.html", PAGE).response(request)

    yield PAGE.path, by_reader(search)
    transactions = TransactionPages(PAGE, means.pages, means.lookups)
    yield "/tx/{txid}", by_reader(transactions.page)
    blocks = BlockPages(PAGE, means.pages, means.lookups)
    yield "/block/{block}", by_reader(blocks.page)
    wallets = WalletPages(PAGE, means.pages, means.wallets)
    yield PATH, by_reader(wallets.form)
    yield f"{PATH}/{{handle}}", by_reader(wallets.page)


def _posts(means: Means) -> Iterator[tuple[str, Handler]]:
    yield PATH, by_reader(WalletPages(PAGE, means.pages, means.wallets).enter)


PAGE: Final = Page("explorer", "/search", say("Search"), place=35, under="blocks", routes=_routes, posts=_posts)
"""Its pages are of one folder since they share most of their templates."""

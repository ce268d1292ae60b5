"""Look-ups: transactions, blocks, addresses and wallets, and the search that leads to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from web.http.readers import by_reader
from web.pages.explorer.address import AddressPages
from web.pages.explorer.block import BlockPages
from web.pages.explorer.search import SearchPages
from web.pages.explorer.transaction import TransactionPages
from web.pages.explorer.wallet import PATH, WalletPages
from web.pages.page import Handler, Means, Page
from web.words.sentence import say


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    search = SearchPages(PAGE, means.pages, means.lookups, means.miners)
    yield PAGE.path, by_reader(search.page)
    transactions = TransactionPages(PAGE, means)
    yield "/tx/{txid}", by_reader(transactions.page)
    blocks = BlockPages(PAGE, means.pages, means.lookups)
    yield "/block/{block}", by_reader(blocks.page)
    addresses = AddressPages(PAGE, means.pages, means.lookups, means.days)
    yield "/address/{address}.csv", by_reader(addresses.csv)
    yield "/address/{address}", by_reader(addresses.page)
    wallets = WalletPages(PAGE, means.pages, means.wallets)
    yield PATH, by_reader(wallets.form)
    yield f"{PATH}/{{handle}}", by_reader(wallets.page)


def _posts(means: Means) -> Iterator[tuple[str, Handler]]:
    yield PATH, by_reader(WalletPages(PAGE, means.pages, means.wallets).enter)


PAGE: Final = Page("explorer", "/search", say("Search"), place=35, under="blocks", routes=_routes, posts=_posts)
"""Its pages are of one folder since they share most of their templates."""

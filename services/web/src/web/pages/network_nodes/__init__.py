"""The reachable nodes of the network, by country, network and client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.asset_views import NodesView
from web.http.readers import by_reader
from web.pages.listing import Listing
from web.pages.page import Handler, Means, Page
from web.words.sentence import say

NETWORKS: Final = {
    "ipv4": "IPv4", "ipv6": "IPv6", "onion": "Tor", "i2p": "I2P", "cjdns": "CJDNS",
}  # fmt: skip
"""What people call them."""


def _routes(means: Means) -> Iterator[tuple[str, Handler]]:
    sorts = {"nodes": (say("Nodes"), lambda row: -row.nodes)}
    yield PAGE.path, by_reader(Listing(PAGE, means.pages, PAGE.path, NodesView, sorts, networks=NETWORKS).handle)


PAGE: Final = Page("network_nodes", "/network/nodes", say("Reachable nodes"), place=32, under="blocks", routes=_routes)

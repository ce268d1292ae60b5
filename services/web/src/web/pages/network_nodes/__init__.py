"""The reachable nodes of the network, by country, network and client."""

from __future__ import annotations

from typing import Final

from web.pages.page import Card, Page
from web.words.sentence import say

NETWORKS: Final = {
    "ipv4": "IPv4", "ipv6": "IPv6", "onion": "Tor", "i2p": "I2P", "cjdns": "CJDNS",
}  # fmt: skip
"""What people call them."""

_CARD: Final = Card(
    "nodes_found", ("marketcap", "notices"), "network_nodes", more=lambda _: {"networks": NETWORKS}, long=True
)

PAGE: Final = Page("network_nodes", "/network/nodes", say("Reachable nodes"), place=32, shows=(_CARD,), under="blocks")

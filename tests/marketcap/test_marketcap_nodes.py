"""Reachable nodes: networks, clients, counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketcap import nodes
from marketcap.nodes import Client, Network, Node, NodeRow


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("1.2.3.4:8333", "ipv4"),
        ("[2001:db8::1]:8333", "ipv6"),
        ("2001:db8::1:8333", "ipv6"),
        ("[fc32:17ea:e415:c3bf:9808:149d:b5a2:c9aa]:8333", "cjdns"),
        ("abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion:8333", "onion"),
        ("ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p:0", "i2p"),
        ("1.2.3.4", None),
        ("1.2.3.4:65535", "ipv4"),
        ("1.2.3.4:65536", None),
        ("1.2.3.4:000001", None),
        ("1.2.3.4:-1", None),
        ("host.example:8333", None),
        (":8333", None),
        ("", None),
    ],
)
def test_networks(address: str, network: Network | None) -> None:
    assert nodes.network_of(address) == network


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("/Satoshi:29.0.0/", Client("Bitcoin Core", "29.0.0")),
        ("/Satoshi:26.0.0(FutureBit-Apollo-Node)/", Client("Bitcoin Core", "26.0.0")),
        ("/Satoshi:29.2.0/Knots:20251110/", Client("Bitcoin Knots", "20251110")),
        ("/Satoshi:25.1.0/Wrapper:1.0/", Client("Bitcoin Core", "25.1.0")),
        ("/btcwire:0.5.0/btcd:0.24.2/", Client("btcd", "0.24.2")),
        ("/bcoin:2.2.0/", Client("bcoin", "2.2.0")),
        ("/Satoshi/", Client("Bitcoin Core", None)),
        ("/Mine:1.0/Yours:2.0/", Client("Yours", "2.0")),
        ("", Client(None, None)),
        ("Satoshi:29.0.0", Client(None, None)),
        ("///", Client(None, None)),
        ("/ /", Client(None, None)),
        ("/:1.0/", Client(None, None)),
    ],
)
def test_clients(agent: str, client: Client) -> None:
    assert nodes.client_of(agent) == client


def node(place: int, agent: str = "/Satoshi:29.0.0/", country: str | None = "DE", network: Network = "ipv4") -> Node:
    return Node(address=f"1.2.3.{place}:8333", network=network, user_agent=agent, country=country)


def test_counts() -> None:
    found = [
        node(1),
        node(2, country="US"),
        node(3, country="US", network="ipv6"),
        node(4, agent="/Satoshi:28.1.0/", country="FR"),
        node(5, agent="/Satoshi:29.2.0/Knots:20251110/", country=None, network="onion"),
        node(6, agent="", country=None, network="onion"),
        node(7, agent="", country=None, network="onion"),
        node(8, country=None, network="i2p"),
    ]
    counts = nodes.counted(found)
    assert counts.total == 8
    assert counts.countries == (
        NodeRow(name="US", nodes=2, share=25.0),
        NodeRow(name="DE", nodes=1, share=12.5),
        NodeRow(name="FR", nodes=1, share=12.5),
        NodeRow(name=None, nodes=4, share=50.0),
    )
    assert [(row.name, row.nodes) for row in counts.networks] == [("ipv4", 3), ("onion", 3), ("i2p", 1), ("ipv6", 1)]
    assert [(row.name, row.nodes) for row in counts.implementations] == [
        ("Bitcoin Core", 5), ("Bitcoin Knots", 1), (None, 2),
    ]  # fmt: skip
    assert [(row.name, row.version, row.nodes) for row in counts.clients] == [
        ("Bitcoin Core", "29.0.0", 4),
        ("Bitcoin Core", "28.1.0", 1),
        ("Bitcoin Knots", "20251110", 1),
        (None, None, 2),
    ]


def test_no_nodes_are_no_rows() -> None:
    counts = nodes.counted([])
    assert (counts.total, counts.countries, counts.networks, counts.clients) == (0, (), (), ())


@given(agents=st.lists(st.text(max_size=60), max_size=20))
def test_each_node_is_in_one_row_whatever_it_says_of_itself(agents: list[str]) -> None:
    counts = nodes.counted([node(place, agent=agent) for place, agent in enumerate(agents)])
    for rows in (counts.countries, counts.networks, counts.implementations, counts.clients):
        assert sum(row.nodes for row in rows) == len(agents)

"""The reachable nodes of the network, counted by country, network and client."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Network, ip_address
from typing import Final, Literal

import msgspec

from shared.assets import NodeCounts, NodeRow

__all__ = ["Client", "Network", "Node", "NodeCounts", "NodeRow", "client_of", "counted", "network_of"]

Network = Literal["ipv4", "ipv6", "onion", "i2p", "cjdns"]

_CJDNS: Final = IPv6Network("fc00::/8")
_PARTS: Final = re.compile(r"/([^/:()]+)(?::([^/()]*))?(?:\([^/]*\))?(?=/)")
"""A part of a user agent as BIP 14 has it: a name, a version, comments in brackets."""

_KNOWN: Final = {
    "satoshi": "Bitcoin Core",
    "knots": "Bitcoin Knots",
    "btcd": "btcd",
    "bcoin": "bcoin",
    "libbitcoin": "libbitcoin",
    "gocoin": "Gocoin",
    "bitcoinunlimited": "Bitcoin Unlimited",
    "floresta": "Floresta",
    "bitcoinj": "bitcoinj",
}
"""Implementations by the name in their user agent, lower case."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One reachable node."""

    address: str  # with its port
    network: Network
    user_agent: str  # as BIP 14 has it; empty where it told none
    country: str | None  # ISO 3166; None where nobody knows: always so of onion and i2p


class Client(msgspec.Struct, frozen=True):
    """What a node runs; None where its user agent does not say."""

    implementation: str | None
    version: str | None


def network_of(address: str) -> Network | None:
    """The network of `host:port` or `[host]:port`; None where it is neither."""
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 2**16) or not host:
        return None
    if host.endswith(".onion"):
        return "onion"
    if host.endswith(".i2p"):
        return "i2p"
    try:
        ip = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    if ip.version == 4:
        return "ipv4"
    return "cjdns" if ip in _CJDNS else "ipv6"


def client_of(user_agent: str) -> Client:
    """Implementation and version of a user agent.

    The last part that is a known implementation says what runs: `/Satoshi:29.2.0/Knots:20251110/` is Knots, which is
    built on Core. Where none is known the last part is taken as it is.
    """
    parts = [(name.strip(), version.strip()) for name, version in _PARTS.findall(user_agent) if name.strip()]
    if not parts:
        return Client(None, None)
    known = [part for part in parts if part[0].lower() in _KNOWN]
    name, version = (known or parts)[-1]
    return Client(_KNOWN.get(name.lower(), name[:40]), version[:40] or None)


def counted(nodes: Sequence[Node]) -> NodeCounts:
    """The counts of a snapshot."""
    total = len(nodes)
    clients = [client_of(node.user_agent) for node in nodes]
    return NodeCounts(
        total=total,
        countries=_rows(((node.country, None) for node in nodes), total),
        networks=_rows(((node.network, None) for node in nodes), total),
        implementations=_rows(((client.implementation, None) for client in clients), total),
        clients=_rows(((client.implementation, client.version) for client in clients), total),
    )


def _rows(names: Iterable[tuple[str | None, str | None]], total: int) -> tuple[NodeRow, ...]:
    counts = sorted(
        Counter(names).items(), key=lambda one: (one[0][0] is None, -one[1], one[0][0] or "", one[0][1] or "")
    )
    return tuple(
        NodeRow(name=name, version=version, nodes=count, share=round(100 * count / total, 4))
        for (name, version), count in counts
    )

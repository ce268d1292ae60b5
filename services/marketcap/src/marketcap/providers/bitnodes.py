"""Bitnodes: every reachable node of the network with its client and country. No key; 50 requests a day."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from marketcap.answers import DAY, Answer, Unfit, country, decoder, gathered, malformed, read, seconds
from marketcap.nodes import Node, network_of

NAME: Final = "bitnodes"
TITLE: Final = "Bitnodes"
HOST: Final = "bitnodes.io"
LINK: Final = "https://bitnodes.io/"
LIMITS: Final = ((50, DAY),)
EXPECTED: Final = "a snapshot of nodes by address"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All nodes that answered Bitnodes at one time."""

    as_of: int  # Unix seconds
    height: int | None  # highest that a node told of
    nodes: Answer[Node]


class _Row(msgspec.Struct, array_like=True):
    """The first places of a row; city, position, time zone and owner follow."""

    protocol: int
    user_agent: Annotated[str, Meta(max_length=1_000)] | None
    since: int
    services: int
    height: int | None
    hostname: str | None
    city: str | None
    country: str | None


class _Body(msgspec.Struct):
    timestamp: int
    nodes: dict[str, msgspec.Raw]
    latest_height: Annotated[int, Meta(ge=0, lt=5 * 10**8)] | None = None


_body = decoder(_Body)
_row = decoder(_Row)


def path() -> str:
    """The newest snapshot; it is made every ten minutes or so."""
    return "/api/v1/snapshots/latest/"


def decode(body: bytes, now: int) -> Snapshot:
    """The nodes. Raises OutsideMalformed."""
    answer = read(TITLE, EXPECTED, _body, body)
    try:
        as_of = seconds(answer.timestamp, "timestamp", now)
    except Unfit as error:
        raise malformed(TITLE, EXPECTED, error, body) from error

    def make(found: tuple[str, msgspec.Raw]) -> Node:
        address, raw = found
        row = _row.decode(raw)
        network = network_of(address)
        if network is None:
            raise Unfit("expected an address and a port")
        return Node(
            address=address, network=network, user_agent=(row.user_agent or "").strip(), country=country(row.country)
        )

    found = ((address, (address, raw)) for address, raw in answer.nodes.items())
    nodes = gathered(TITLE, EXPECTED, body, found, make, lambda one: one.address)
    return Snapshot(as_of=as_of, height=answer.latest_height, nodes=nodes)

"""Who published which addresses, as marketcap has materialised it; where nobody has, there is nothing to follow."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from explorer.electrum.script import Script
from shared import redis
from shared.asset_views import TREASURIES
from shared.domains import MARKETCAP
from shared.errors import Unreadable
from shared.explorer_views import Unseen
from shared.keys import Keys
from shared.networks import NETWORKS, Network
from shared.scripts.address import read

MOST: Final = 2_000
"""Addresses that are followed; further ones are told of as asked later. The table has some ten."""


class _Address(msgspec.Struct):
    address: str


class _Row(msgspec.Struct):
    """What is needed of shared.asset_views.Treasury."""

    name: str = ""
    key: str = ""
    addresses: list[_Address] = []


class _List(msgspec.Struct):
    rows: list[_Row] = []


class Place(NamedTuple):
    """A published address, and its script; without one `why` says why nobody can be asked about it."""

    address: str
    script: Script | None
    why: Unseen = ""


class Holder(NamedTuple):
    """One that published addresses."""

    key: str
    name: str
    places: tuple[Place, ...]


class Published:
    """Reads the list, and reads its addresses once."""

    def __init__(self, client: redis.Client, keys: Keys) -> None:
        self._redis = client
        self._views = keys.views(MARKETCAP)
        self._network = NETWORKS[keys.network]
        self._raw: list[bytes | None] = []
        self._places: dict[str, Place] = {}

    async def look(self) -> tuple[Holder, ...] | None:
        """All holders with an address; None where the list is the one of the last look, or there is none (any more).

        Raises TROUBLE.
        """
        raw: list[bytes | None] = await self._redis.hmget(self._views, [f"treasuries_{name}" for name in TREASURIES])
        if raw == self._raw or not any(raw):
            return None
        self._raw = raw
        found: dict[str, Holder] = {}
        scripts: set[str] = set()
        for row in (row for text in raw if text for row in _rows(text) if row.key and row.addresses):
            places = {}
            for text in (one.address for one in row.addresses):
                place = self._place(text)
                name = place.script.hash if place.script is not None else ""
                if name and name not in scripts:
                    if len(scripts) < MOST:
                        scripts.add(name)
                    else:
                        place = Place(text, None, "busy")
                places[name or text] = place
            found[row.key] = Holder(row.key, row.name, tuple(places.values()))
        return tuple(found.values())

    def forget(self) -> None:
        """The next look tells the list, whatever it is."""
        self._raw = []

    def _place(self, text: str) -> Place:
        place = self._places.get(text)
        if place is None:
            place = self._places[text] = _placed(text, self._network)
        return place


def _rows(raw: bytes) -> list[_Row]:
    try:
        return msgspec.json.decode(raw, type=_List).rows
    except (msgspec.DecodeError, UnicodeDecodeError):  # of another version, or damaged: web tells of it
        return []


def _placed(text: str, network: Network) -> Place:
    try:
        return Place(text, Script.of(read(text, network).script))
    except Unreadable as error:
        return Place(text, None, "network" if error.reason == "network" else "unreadable")

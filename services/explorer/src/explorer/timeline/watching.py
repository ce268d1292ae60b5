"""Transactions that somebody looks at, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from explorer.timeline.records import identity
from shared import redis
from shared.events.base import Event
from shared.events.lookups import TxChanged
from shared.keys import Keys

Status = Literal["added", "mined", "replaced", "conflict", "evicted", "expired", "disconnected", "near", "unknown"]

MOST: Final = 10_000
"""Watched keys that are read: those that are watched longest."""

_LOOK: Final = """
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '(' .. now, 'LIMIT', 0, ARGV[1])
"""


class Watching:
    """The transactions, as of the last look, and the events that are to be told."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.watched
        self._txids: frozenset[bytes] = frozenset()
        self._events: list[Event] = []

    def __bool__(self) -> bool:
        return bool(self._txids)

    async def look(self, client: redis.Client) -> None:
        """Read who is watched now: one round trip."""
        found: list[bytes] = await client.execute_command("EVAL", _LOOK, 1, self._key, MOST)
        self.watch(found)

    def watch(self, names: Iterable[bytes]) -> None:
        """These are watched, as the set names them; a script's hash looks the same, and is none of ours."""
        found = set()
        for name in names:
            try:
                found.add(bytes.fromhex(name.decode()))
            except ValueError:
                continue
        self._txids = frozenset(found)

    def changed(self, txid: bytes, status: Status) -> None:
        """Something happened to a transaction."""
        if txid in self._txids:
            self._events.append(TxChanged(key=txid.hex(), status=status))

    def near(self, relatives: Iterable[bytes]) -> None:
        """Something happened to a relative of these."""
        for txid in sorted(self._txids.intersection(relatives)):
            self._events.append(TxChanged(key=txid.hex(), status="near"))

    def of_block(self, identities: set[bytes], status: Status, *, but: Iterable[bytes] = ()) -> None:
        """Something happened to a block with these transactions."""
        if identities:
            for txid in sorted(self._txids.difference(but)):
                if identity(txid) in identities:
                    self._events.append(TxChanged(key=txid.hex(), status=status))

    def take(self) -> list[Event]:
        """What is to be told, once."""
        events, self._events = self._events, []
        return events

    def discard(self) -> None:
        """What was to be told is not."""
        self._events = []

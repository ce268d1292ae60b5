"""What waits in the mempool, who spends from whom, and what of it is to be written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from explorer.timeline.records import Waiting, pack_waiting, unpack_waiting
from shared import redis
from shared.commit import Argument, Commands

MOST: Final = 500
"""Relatives that are looked at of one transaction: the node allows some dozens each way."""

_SCAN: Final = 5_000


class Graph:
    """Transactions that wait, by txid (32 bytes)."""

    def __init__(self) -> None:
        self._there: dict[bytes, Waiting] = {}
        self._orphans: dict[bytes, list[bytes]] = {}  # a parent that is not there -> who spends from it
        self._changed: set[bytes] = set()
        self._removed: set[bytes] = set()
        self.anew = False  # whether what is stored goes first

    def __len__(self) -> int:
        return len(self._there)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._there)

    def items(self) -> Iterator[tuple[bytes, Waiting]]:
        """All of them."""
        return iter(self._there.items())

    def get(self, txid: bytes) -> Waiting | None:
        """What waits under this txid."""
        return self._there.get(txid)

    def add(self, txid: bytes, waiting: Waiting) -> None:
        """One more; its parents may come later."""
        self._changed.add(txid)
        self._link(txid, waiting)

    def _link(self, txid: bytes, waiting: Waiting) -> None:
        waiting.children = self._orphans.pop(txid, [])
        self._there[txid] = waiting
        for parent in waiting.parents:
            there = self._there.get(parent)
            (self._orphans.setdefault(parent, []) if there is None else there.children).append(txid)

    def touch(self, txid: bytes, generation: int) -> None:
        """It was told of again."""
        self._there[txid].generation = generation
        self._changed.add(txid)

    def adopt(self, txid: bytes, child: bytes) -> None:
        """A child that was there before its parent, and may not know of it."""
        spender = self._there.get(child)
        if spender is not None and txid not in spender.parents:
            spender.parents = (*spender.parents, txid)
            self._there[txid].children.append(child)
            self._changed.add(child)

    def remove(self, txid: bytes) -> Waiting | None:
        """One that is not there any more; its children know it again should it return."""
        waiting = self._there.pop(txid, None)
        if waiting is None:
            return None
        self._changed.discard(txid)
        self._removed.add(txid)
        for parent in waiting.parents:
            there = self._there.get(parent)
            siblings = self._orphans.get(parent) if there is None else there.children
            if siblings is not None and txid in siblings:
                siblings.remove(txid)
                if there is None and not siblings:
                    del self._orphans[parent]
        if waiting.children:
            self._orphans[txid] = waiting.children
        return waiting

    def ancestors(self, txid: bytes) -> list[tuple[bytes, Waiting]]:
        """What it spends from, near or far, that waits."""
        return [(one, self._there[one]) for one in self._reached(txid, up=True)]

    def descendants(self, txid: bytes) -> list[tuple[bytes, Waiting]]:
        """What spends from it, near or far, and waits."""
        return [(one, self._there[one]) for one in self._reached(txid, up=False)]

    def changed(self, txid: bytes) -> None:
        """What is kept of it is another."""
        self._changed.add(txid)

    def relatives(self, txid: bytes) -> set[bytes]:
        """Its ancestors and its descendants that wait, without itself."""
        return self._reached(txid, up=True) | self._reached(txid, up=False)

    def _reached(self, txid: bytes, *, up: bool) -> set[bytes]:
        found: set[bytes] = set()
        ahead = [txid]
        while ahead and len(found) < MOST:
            waiting = self._there.get(ahead.pop())
            if waiting is None:
                continue
            fresh = {one for one in (waiting.parents if up else waiting.children) if one in self._there} - found
            found |= fresh
            ahead += fresh
        return found - {txid}

    # --- state -----------------------------------------------------------------------------------------

    async def load(self, client: redis.Client, key: str) -> None:
        """Read what was committed last, into one that is empty; raises ValueError or struct.error."""
        async for txid, raw in client.hscan_iter(key, count=_SCAN):
            if txid not in self._there:  # a scan may return a field twice
                self._link(txid, unpack_waiting(raw))

    def rewrite(self) -> None:
        """What is stored is in doubt."""
        self._changed, self._removed, self.anew = set(self._there), set(), True

    def flush(self, commands: Commands, key: str) -> None:
        """Commands for what changed."""
        if self.anew:
            commands.add("DEL", key)
        commands.spread("HDEL", key, list[Argument](sorted(self._removed)))
        written: list[Argument] = []
        for txid in sorted(self._changed):
            written += (txid, pack_waiting(self._there[txid]))
        commands.spread("HSET", key, written)
        self._changed, self._removed, self.anew = set(), set(), False

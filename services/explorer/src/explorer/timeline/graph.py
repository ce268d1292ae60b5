"""What waits in the mempool, and who spends from whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from explorer.timeline.records import Waiting

MOST: Final = 500
"""Relatives that are looked at of one transaction: the node allows some dozens each way."""


class Graph:
    """Transactions that wait, by txid (32 bytes)."""

    def __init__(self) -> None:
        self._there: dict[bytes, Waiting] = {}
        self._orphans: dict[bytes, list[bytes]] = {}  # a parent that is not there -> who spends from it

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
        waiting.children = self._orphans.pop(txid, [])
        self._there[txid] = waiting
        for parent in waiting.parents:
            there = self._there.get(parent)
            (self._orphans.setdefault(parent, []) if there is None else there.children).append(txid)

    def adopt(self, txid: bytes, child: bytes) -> bool:
        """A child that was there before its parent; returns whether it did not know."""
        spender = self._there.get(child)
        if spender is None or txid in spender.parents:
            return False
        spender.parents = (*spender.parents, txid)
        self._there[txid].children.append(child)
        return True

    def remove(self, txid: bytes) -> Waiting | None:
        """One that is not there any more; its children know it again should it return."""
        waiting = self._there.pop(txid, None)
        if waiting is None:
            return None
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

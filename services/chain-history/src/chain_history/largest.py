"""The largest transactions: of each block, of each day (cut in two where a halving falls), and of spans of time.

An entry is 48 bytes that sort by themselves: value falling, then txid rising, so that every build gives the same list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final

from shared.events.blocks import LargestTx
from shared.views import ConfirmedTx

COUNT: Final = 50
"""Transactions in a list at most."""

_entry = Struct(">Q32sII")
_TOP: Final = (1 << 64) - 1

Day = tuple[int, int]
"""Number of the day (Unix time / 86,400) and number of halvings before it."""


def pack(transactions: Sequence[LargestTx], height: int, time: int) -> bytes:
    """A block's largest transactions as one piece of bytes."""
    return b"".join(
        sorted(_entry.pack(_TOP - tx.value, bytes.fromhex(tx.txid), height, time) for tx in transactions)[:COUNT]
    )


def packed_txs(packed: bytes) -> list[bytes]:
    """The entries of a list, largest first."""
    return [packed[at : at + _entry.size] for at in range(0, len(packed), _entry.size)]


def merge(lists: Iterable[bytes]) -> bytes:
    """The largest of all these lists together."""
    everything = {entry for packed in lists for entry in packed_txs(packed)}  # one that was lost may come twice
    return b"".join(sorted(everything)[:COUNT])


def transactions(packed: bytes) -> list[ConfirmedTx]:
    """A list as it is shown."""
    return [
        ConfirmedTx(txid=txid.hex(), value=_TOP - inverted, height=height, time=time)
        for inverted, txid, height, time in _entry.iter_unpack(packed)
    ]


class LargestByDay:
    """The lists of all days, and of all halvings."""

    def __init__(self, days: dict[Day, bytes] | None = None) -> None:
        self._days = days or {}
        self._eras: dict[int, bytes] = {}
        self.changed: set[Day] = set()
        for era in {halvings for _, halvings in self._days}:
            self._rebuild_era(era)

    def _rebuild_era(self, era: int) -> None:
        self._eras[era] = merge(packed for (_, halvings), packed in self._days.items() if halvings == era)

    def get(self, day: Day) -> bytes:
        """A day's list."""
        return self._days.get(day, b"")

    def shares(self, day: Day, packed: bytes) -> bool:
        """Whether the day's list has any of these entries."""
        held = set(packed_txs(self.get(day)))
        return any(entry in held for entry in packed_txs(packed))

    def add(self, day: Day, packed: bytes) -> None:
        """Count a block in."""
        held = self._days.get(day, b"")
        merged = merge((held, packed))
        if merged == held:
            return
        self._days[day] = merged
        self.changed.add(day)
        self._eras[day[1]] = merge((self._eras.get(day[1], b""), packed))

    def __len__(self) -> int:
        return len(self._days)

    def rewrite(self) -> None:
        """What is stored is in doubt: all of it is written anew."""
        self.changed.update(self._days)

    def replace(self, day: Day, packed: bytes) -> None:
        """Set a day's list after a block of it is gone."""
        if packed:
            self._days[day] = packed
        else:
            self._days.pop(day, None)
        self.changed.add(day)
        self._rebuild_era(day[1])

    def since(self, day: int) -> bytes:
        """The largest from the beginning of this day on."""
        return merge(packed for (number, _), packed in self._days.items() if number >= day)

    def of_era(self, era: int) -> bytes:
        """The largest since the halving of this number."""
        return self._eras.get(era, b"")

    def of_all(self) -> bytes:
        """The largest of all."""
        return merge(self._eras.values())

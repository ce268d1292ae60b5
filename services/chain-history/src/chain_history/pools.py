"""Who mined how many blocks on which day."""

from __future__ import annotations

from struct import Struct
from typing import Final

_share = Struct("<III")

SHARE_BYTES: Final = _share.size
"""Of a pool's share of a day: shared.records.pool_id, blocks, blocks without transactions but the coinbase."""


class PoolsByDay:
    """Each day's pools as packed bytes, by pool id rising."""

    def __init__(self, days: dict[int, bytes] | None = None) -> None:
        self._days = days or {}
        self.changed: set[int] = set()

    def __len__(self) -> int:
        return len(self._days)

    def rewrite(self) -> None:
        """What is stored is in doubt: all of it is written anew."""
        self.changed.update(self._days)

    def get(self, day: int) -> bytes:
        """A day's shares; empty where no block is known."""
        return self._days.get(day, b"")

    def count(self, day: int, pool: int, *, empty: bool, sign: int) -> None:
        """One block more (`sign` 1) or less (-1)."""
        shares = {found: (blocks, empties) for found, blocks, empties in _share.iter_unpack(self.get(day))}
        blocks, empties = shares.get(pool, (0, 0))
        shares[pool] = (blocks + sign, empties + sign * empty)
        if not shares[pool][0]:
            del shares[pool]
        if shares:
            self._days[day] = b"".join(_share.pack(found, *shares[found]) for found in sorted(shares))
        else:
            self._days.pop(day, None)
        self.changed.add(day)

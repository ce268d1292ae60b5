"""Who mined how many blocks on which day, and what these blocks hold."""

from __future__ import annotations

from shared.pools import Share, pack, together, unpack


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

    def count(self, day: int, more: Share, sign: int) -> None:
        """These blocks of one pool more (`sign` 1) or less (-1)."""
        shares = {share.pool: share for share in unpack(self.get(day))}
        held = shares.get(more.pool, Share(more.pool, 0, 0, 0, 0, 0))
        shares[more.pool] = together(held, more, sign)
        if not shares[more.pool].blocks:
            del shares[more.pool]
        if shares:
            self._days[day] = pack(shares.values())
        else:
            self._days.pop(day, None)
        self.changed.add(day)

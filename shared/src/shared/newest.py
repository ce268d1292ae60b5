"""Who knows the newest where Redis has lost everything: this replica, another one, or nobody.

A replica that was the active one a moment ago has in memory what nobody can tell again, and writes it anew. One that
stood by leaves it the lease for some seconds; what was lost while all were killed is lost.
"""

from __future__ import annotations

import time
from typing import Final, Literal

from shared.leased import Leased

RECENT_SECONDS: Final = 60.0
"""So long after its last commit a replica's memory is the newest."""

WAY_SECONDS: Final = 5.0
"""How long the lease is left to another: it sees within two that it has lost it."""

Whose = Literal["redis", "ours", "theirs"]


class Newest:
    """Asked before work begins; told of every commit."""

    def __init__(self, leased: Leased) -> None:
        self._leased = leased
        self._committed_at = -RECENT_SECONDS  # steady, as all below
        self._empty_since: float | None = None

    def committed(self) -> None:
        """What is in memory is what Redis has."""
        self._committed_at = time.monotonic()

    def whose(self, *, empty: bool) -> Whose:
        """From where to go on; `empty`: Redis has nothing of it. With "theirs" the lease is to be given back."""
        now = time.monotonic()
        if not empty or now - self._committed_at < RECENT_SECONDS:
            self._empty_since = None
            return "ours" if empty else "redis"
        if now - self._leased.stood_by_at >= RECENT_SECONDS:
            return "redis"
        self._empty_since = now if self._empty_since is None else self._empty_since
        return "theirs" if now - self._empty_since < WAY_SECONDS else "redis"

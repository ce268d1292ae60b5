"""How much of the mempool pays which feerate: count, vsize and fee by band of effective feerate."""

from __future__ import annotations

from bisect import bisect_right

from mempool.graph import Tx
from shared.bands import FEERATE_BOUNDS
from shared.views import FeeBand


class Histogram:
    """Bands that are kept up to date transaction by transaction."""

    def __init__(self) -> None:
        self._count = [0] * len(FEERATE_BOUNDS)
        self._vsize = [0] * len(FEERATE_BOUNDS)
        self._fee = [0] * len(FEERATE_BOUNDS)

    def place(self, tx: Tx) -> None:
        """Count a transaction in the band of its effective feerate, and no longer in the one that it was in."""
        band = bisect_right(FEERATE_BOUNDS, tx.rate) - 1
        if band == tx.band:
            return
        self.remove(tx)
        tx.band = band
        self._count[band] += 1
        self._vsize[band] += tx.vsize
        self._fee[band] += tx.fee

    def remove(self, tx: Tx) -> None:
        """No longer count a transaction."""
        band = tx.band
        if band >= 0:
            self._count[band] -= 1
            self._vsize[band] -= tx.vsize
            self._fee[band] -= tx.fee
            tx.band = -1

    def lowest_of(self, vsize: int) -> int:
        """The band from which upwards so much waits; the lowest of all where less does."""
        for band in range(len(FEERATE_BOUNDS) - 1, 0, -1):
            vsize -= self._vsize[band]
            if vsize <= 0:
                return band
        return 0

    def bands(self) -> list[FeeBand]:
        """Every band, lowest first."""
        ends = (*FEERATE_BOUNDS[1:], None)
        return [
            FeeBand(from_rate=start, to_rate=end, count=count, vsize=vsize, fee=fee)
            for start, end, count, vsize, fee in zip(
                FEERATE_BOUNDS, ends, self._count, self._vsize, self._fee, strict=True
            )
        ]

"""How much of the mempool pays which feerate: count, vsize and fee by band of effective feerate."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from mempool.graph import Tx
from shared.views import FeeBand

BOUNDS: Final = (
    0.0, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
    70.0, 80.0, 90.0, 100.0, 125.0, 150.0, 175.0, 200.0, 250.0, 300.0, 350.0, 400.0, 500.0, 600.0, 700.0, 800.0,
    900.0, 1000.0, 1200.0, 1400.0, 1700.0, 2000.0,
)  # fmt: skip
"""Lower ends of the bands, sat/vB."""


class Histogram:
    """Bands that are kept up to date transaction by transaction."""

    def __init__(self) -> None:
        self._count = [0] * len(BOUNDS)
        self._vsize = [0] * len(BOUNDS)
        self._fee = [0] * len(BOUNDS)

    def place(self, tx: Tx) -> None:
        """Count a transaction in the band of its effective feerate, and no longer in the one that it was in."""
        band = bisect_right(BOUNDS, tx.rate) - 1
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

    def bands(self) -> list[FeeBand]:
        """Every band, lowest first."""
        ends = (*BOUNDS[1:], None)
        return [
            FeeBand(from_rate=start, to_rate=end, count=count, vsize=vsize, fee=fee)
            for start, end, count, vsize, fee in zip(BOUNDS, ends, self._count, self._vsize, self._fee, strict=True)
        ]

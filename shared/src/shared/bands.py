"""Bands that several services count in: outputs by value, and the mempool by feerate."""

from __future__ import annotations

from typing import Final

from shared.networks import COIN

VALUE_BOUNDS: Final = (
    0, 1, 1_000, 10_000, 100_000, COIN // 100, COIN // 10, COIN, 10 * COIN, 100 * COIN, 1_000 * COIN, 10_000 * COIN,
)  # fmt: skip
"""Lower ends of the bands of output values, satoshi; the first one holds nothing but zeros (data outputs)."""

FEERATE_BOUNDS: Final = (
    0.0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0,
    25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 125.0, 150.0, 175.0, 200.0, 250.0, 300.0, 350.0, 400.0,
    500.0, 600.0, 700.0, 800.0, 900.0, 1000.0, 1200.0, 1400.0, 1600.0, 1800.0, 2000.0,
)  # fmt: skip
"""Lower ends of the bands of effective feerates, sat/vB. They hold every level of mempool.space's statistics, and finer
steps from 0.1 on, below which nodes relay nothing unless they are told to.

Records are laid out by them: whoever changes them gives shared.records.CONGESTION a new version, and the old one as the
layout before it."""

COARSER: Final = {0.1: (0.1, 0.15), 0.2: (0.2, 0.3, 0.4), 0.5: (0.5, 0.6, 0.8), 1.0: (1.0, 1.2)}
"""Bands of the first layout that are several by now. What was counted in one stands in the lowest of them, since
nobody knows any more how it was spread: sums over all of them are right at any time, single ones since the change."""

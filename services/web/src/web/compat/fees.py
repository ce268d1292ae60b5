"""Fees as mempool.space has them (its backend: `mempool-blocks.ts`)."""

from __future__ import annotations

from typing import Final

import msgspec

from shared.views import FeesView
from web.compat.answers import unavailable
from web.endpoints import Endpoints
from web.http.answers import Answer, document
from web.state import conditions
from web.state.snapshot import Snapshot

ENDPOINTS: Final = Endpoints()


@ENDPOINTS.get("/api/v1/fees/recommended", shows=("mempool", "truth"), domains=("mempool",))
def recommended(s: Snapshot, now: float) -> Answer:
    """`/api/v1/fees/recommended` of mempool.space: whole sat/vB."""
    fees = s[FeesView]
    if fees is None or conditions.forsaken(s, now):
        return unavailable()
    return document(msgspec.to_builtins(fees.recommended))


@ENDPOINTS.get("/api/v1/fees/precise", shows=("mempool", "truth"), domains=("mempool",))
def precise(s: Snapshot, now: float) -> Answer:
    """`/api/v1/fees/precise` of mempool.space: the same with decimals, down to what the node accepts."""
    fees = s[FeesView]
    if fees is None or fees.precise is None or conditions.forsaken(s, now):
        return unavailable()
    return document(msgspec.to_builtins(fees.precise))


@ENDPOINTS.get("/api/v1/fees/mempool-blocks", shows=("mempool", "truth"), domains=("mempool",))
def mempool_blocks(s: Snapshot, now: float) -> Answer:
    """`/api/v1/fees/mempool-blocks` of mempool.space."""
    fees = s[FeesView]
    if fees is None or conditions.forsaken(s, now):
        return unavailable()
    return document(
        [
            {
                "blockSize": block.size,
                "blockVSize": block.vsize,
                "nTx": block.tx_count,
                "totalFees": block.total_fees,
                "medianFee": block.median_fee_rate,
                "feeRange": block.fee_range,
            }
            for block in fees.projected_blocks
        ]
    )

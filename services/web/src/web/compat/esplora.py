"""What Esplora has (Blockstream/esplora, `API.md`)."""

from __future__ import annotations

from typing import Final

from shared.views import FeesView, MempoolView, TipView
from web.compat.answers import plain, unavailable
from web.endpoints import Endpoints
from web.http.answers import Answer, document
from web.state import conditions
from web.state.snapshot import Snapshot

ENDPOINTS: Final = Endpoints()


@ENDPOINTS.get("/api/mempool", shows=("mempool", "truth"), domains=("mempool",))
def mempool(s: Snapshot, now: float) -> Answer:
    """`/api/mempool` of Esplora: `fee_histogram` is pairs of sat/vB and vB, highest feerate first."""
    pool, fees = s[MempoolView], s[FeesView]
    if pool is None or fees is None or conditions.forsaken(s, now):
        return unavailable()
    return document(
        {
            "count": pool.count,
            "vsize": pool.vsize,
            "total_fee": pool.total_fee,
            "fee_histogram": fees.fee_histogram,
        }
    )


@ENDPOINTS.get("/api/blocks/tip/height", shows=("chain",), domains=("chain",))
def tip_height(s: Snapshot, now: float) -> Answer:
    """`/api/blocks/tip/height` of Esplora: plain text."""
    del now
    tip = s[TipView]
    return plain(str(tip.height)) if tip else unavailable()


@ENDPOINTS.get("/api/blocks/tip/hash", shows=("chain",), domains=("chain",))
def tip_hash(s: Snapshot, now: float) -> Answer:
    """`/api/blocks/tip/hash` of Esplora: plain text."""
    del now
    tip = s[TipView]
    return plain(tip.hash) if tip else unavailable()

"""What Esplora has (Blockstream/esplora, `API.md`)."""

from __future__ import annotations

from typing import Final

from web.compat.answers import plain, unavailable
from web.endpoints import Endpoints
from web.http.answers import Answer, document
from web.state import conditions
from web.state.snapshot import Snapshot

ENDPOINTS: Final = Endpoints()


@ENDPOINTS.get("/api/mempool", shows=("mempool", "truth"), domains=("mempool",))
def mempool(s: Snapshot, now: float) -> Answer:
    """`/api/mempool` of Esplora: `fee_histogram` is pairs of sat/vB and vB, highest feerate first."""
    if s.mempool is None or s.fees is None or conditions.forsaken(s, now):
        return unavailable()
    return document(
        {
            "count": s.mempool.count,
            "vsize": s.mempool.vsize,
            "total_fee": s.mempool.total_fee,
            "fee_histogram": s.fees.fee_histogram,
        }
    )


@ENDPOINTS.get("/api/blocks/tip/height", shows=("chain",), domains=("chain",))
def tip_height(s: Snapshot, now: float) -> Answer:
    """`/api/blocks/tip/height` of Esplora: plain text."""
    del now
    return plain(str(s.tip.height)) if s.tip else unavailable()


@ENDPOINTS.get("/api/blocks/tip/hash", shows=("chain",), domains=("chain",))
def tip_hash(s: Snapshot, now: float) -> Answer:
    """`/api/blocks/tip/hash` of Esplora: plain text."""
    del now
    return plain(s.tip.hash) if s.tip else unavailable()

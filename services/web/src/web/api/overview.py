"""The newest of everything in one document."""

from __future__ import annotations

from typing import Final

import msgspec

from web.endpoints import Endpoints
from web.http.answers import RETRY_AFTER, Answer, document, error
from web.state import conditions
from web.state.snapshot import Snapshot
from web.state.truth import DOMAINS

ENDPOINTS: Final = Endpoints()


@ENDPOINTS.get("/api/v1/overview", shows=("chain", "mempool", "truth", "notices"), domains=DOMAINS)
def overview(s: Snapshot, now: float) -> Answer:
    """`/api/v1/overview`: what there is, null for what there is not yet, 503 only when there is nothing at all.

    `as_of` is when all of it was last known to be true, null where nobody has confirmed it.
    """
    if s.empty:
        return error(503, "not_available", _why(s), retry_after=RETRY_AFTER)
    nearest = s.halving.upcoming[0] if s.halving and s.halving.upcoming else None
    moments = [s.truth[domain].true_ms for domain in s.shown]
    known = [moment for moment in moments if moment is not None]
    return document(
        {
            "network": s.network.name,
            "chain": s.tip
            and {
                "height": s.tip.height,
                "hash": s.tip.hash,
                "time": s.tip.time,
                "difficulty": s.tip.difficulty,
                "hashrate": s.tip.hashrate,
                "supply": s.tip.supply,
            },
            "halving": nearest
            and {
                "height": nearest.height,
                "blocks_remaining": nearest.blocks_remaining,
                "estimated_time": nearest.estimated_time,
                "subsidy": nearest.subsidy,
            },
            "retarget": s.retarget
            and {
                "height": s.retarget.height,
                "blocks_remaining": s.retarget.blocks_remaining,
                "progress_percent": s.retarget.progress_percent,
                "difficulty_change_percent": s.retarget.difficulty_change_percent,
                "estimated_time": s.retarget.estimated_time,
            },
            "mempool": s.mempool
            and {
                "count": s.mempool.count,
                "vsize": s.mempool.vsize,
                "total_fee": s.mempool.total_fee,
                "min_fee_rate": s.mempool.min_fee_rate,
            },
            "fees": None if s.fees is None or conditions.forsaken(s, now) else msgspec.to_builtins(s.fees.recommended),
            "prices": None,
            "as_of": min(known) // 1000 if len(known) == len(moments) else None,
        }
    )


def _why(s: Snapshot) -> str:
    if s.redis_error:
        return s.redis_error
    return "No state yet: the services have not published anything"

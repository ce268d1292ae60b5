"""The newest of everything in one document."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shared.domains import CHAIN, MEMPOOL
from shared.price_views import PricesView
from shared.prices import DIRECT
from shared.views import FeesView, HalvingView, MempoolView, RetargetView, TipView
from web.endpoints import Endpoints
from web.http.answers import RETRY_AFTER, Answer, document, error
from web.state import conditions
from web.state.snapshot import Snapshot

ENDPOINTS: Final = Endpoints()


@ENDPOINTS.get(
    "/api/v1/overview", shows=("chain", "mempool", "worth", "truth", "notices"), domains=(CHAIN.name, MEMPOOL.name)
)
def overview(s: Snapshot, now: float) -> Answer:
    """`/api/v1/overview`: what there is, null for what there is not yet, 503 only when there is nothing at all.

    `as_of` is when all of it was last known to be true, null where nobody has confirmed it.
    """
    if s.empty:
        return error(503, "not_available", _why(s), retry_after=RETRY_AFTER)
    tip, halving, retarget, pool, fees = s[TipView], s[HalvingView], s[RetargetView], s[MempoolView], s[FeesView]
    nearest = halving.upcoming[0] if halving and halving.upcoming else None
    moments = [s.truth[domain].true_ms for domain in s.shown]
    known = [moment for moment in moments if moment is not None]
    return document(
        {
            "network": s.network.name,
            "chain": tip
            and {
                "height": tip.height,
                "hash": tip.hash,
                "time": tip.time,
                "difficulty": tip.difficulty,
                "hashrate": tip.hashrate,
                "supply": tip.supply,
            },
            "halving": nearest
            and {
                "height": nearest.height,
                "blocks_remaining": nearest.blocks_remaining,
                "estimated_time": nearest.estimated_time,
                "subsidy": nearest.subsidy,
            },
            "retarget": retarget
            and {
                "height": retarget.height,
                "blocks_remaining": retarget.blocks_remaining,
                "progress_percent": retarget.progress_percent,
                "difficulty_change_percent": retarget.difficulty_change_percent,
                "estimated_time": retarget.estimated_time,
            },
            "mempool": pool
            and {
                "count": pool.count,
                "vsize": pool.vsize,
                "total_fee": pool.total_fee,
                "min_fee_rate": pool.min_fee_rate,
            },
            "fees": None if fees is None or conditions.forsaken(s, now) else msgspec.to_builtins(fees.recommended),
            "prices": _prices(s),
            "as_of": min(known) // 1000 if len(known) == len(moments) else None,
        }
    )


def _prices(s: Snapshot) -> dict[str, Any] | None:
    """Of the currencies that exchanges quote, with when each was last heard of; None where no price is known."""
    view = s[PricesView]
    if view is None or not view.prices:
        return None
    told: dict[str, Any] = {code: float(view.prices[code].price) for code in DIRECT if code in view.prices}
    moments = [view.prices[code].time_ms for code in DIRECT if code in view.prices]
    return told | {"time": max(moments, default=0) // 1000 or None, "sample": view.sample}


def _why(s: Snapshot) -> str:
    if s.redis_error:
        return s.redis_error
    return "No state yet: the services have not published anything"

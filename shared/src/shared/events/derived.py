"""Events that the folds derive: `{net:chain}:metrics` and `{net:mempool}:fees`."""

from __future__ import annotations

from typing import ClassVar

from shared.events.base import Event, Family
from shared.views import FeeBand, ProjectedBlock, RecommendedFees


class MetricsUpdated(Event, frozen=True, kw_only=True, gc=False):
    """Views of the chain changed."""

    TYPE: ClassVar[str] = "metrics.updated"

    views: list[str]  # names in shared.views.CHAIN_VIEWS
    height: int  # of the tip now
    hash: str


class MempoolUpdated(Event, frozen=True, kw_only=True, gc=False):
    """The mempool's figures now; at most one a second."""

    TYPE: ClassVar[str] = "mempool.updated"

    count: int
    vsize: int  # virtual bytes
    total_fee: int  # satoshi
    min_fee_rate: float  # sat/vB
    recommended: RecommendedFees
    projected_blocks: list[ProjectedBlock]
    histogram: list[FeeBand]


METRICS = Family(MetricsUpdated)
FEES = Family(MempoolUpdated)

"""Events that the folds derive: `{net:chain}:metrics`, `{net:chain}:series-updates` and `{net:mempool}:fees`."""

from __future__ import annotations

from typing import ClassVar

from shared.events.base import Count, Event, Family, Feerate, Hash, Height, Long, Satoshi, UnixSeconds
from shared.views import FeeBand, ProjectedBlock, RecommendedFees


class MetricsUpdated(Event, frozen=True, kw_only=True, gc=False):
    """Views of the chain changed."""

    TYPE: ClassVar[str] = "metrics.updated"

    views: list[str]  # names in shared.views.CHAIN_VIEWS
    height: Height  # of the tip now
    hash: Hash


class SeriesUpdated(Event, frozen=True, kw_only=True, gc=False):
    """Series of the chain changed; at most one a second while they fill up."""

    TYPE: ClassVar[str] = "series.updated"

    series: list[str]  # names in shared.series
    height: Height  # of the tip now
    hash: Hash
    measured: Count  # blocks whose statistics are known
    since: UnixSeconds  # Unix seconds: points older than this did not change


class MempoolUpdated(Event, frozen=True, kw_only=True, gc=False):
    """The mempool's figures now; at most one a second."""

    TYPE: ClassVar[str] = "mempool.updated"

    count: Count
    vsize: Long  # virtual bytes
    total_fee: Satoshi  # satoshi
    min_fee_rate: Feerate  # sat/vB
    recommended: RecommendedFees
    projected_blocks: list[ProjectedBlock]
    histogram: list[FeeBand]


METRICS = Family(MetricsUpdated)
SERIES = Family(SeriesUpdated)
FEES = Family(MempoolUpdated)

"""What is kept in Redis, held against memory, which has all of it."""

from __future__ import annotations

from collections.abc import Sequence

from chain_metrics.fold import ChainFold
from shared import domains, watch
from shared.service import Service
from shared.watch import Losses, Segment


class Stored(watch.Stored):
    """State, views and checkpoint."""

    def __init__(self, service: Service, fold: ChainFold) -> None:
        super().__init__("the newest part of the chain", {})
        self._redis = service.redis
        self._keys = service.keys
        self._fold = fold

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        """As the base says."""
        if not self._fold.size:
            return Losses()
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hlen(self._keys.state(domains.CHAIN))
        pipeline.exists(self._keys.views(domains.CHAIN))
        pipeline.exists(self._keys.checkpoint(domains.CHAIN))
        size, views, checkpoint = await pipeline.execute()
        missing = {"state": size != self._fold.size, "views": not views, "checkpoint": not checkpoint}
        return Losses({part for part, gone in missing.items() if gone})

    def mend(self, losses: Losses) -> None:
        """As the base says."""
        self._fold.write_all()

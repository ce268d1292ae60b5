"""What the fold has committed, looked at while it runs: what Redis lost is written again from memory."""

from __future__ import annotations

from collections.abc import Sequence

from marketcap.fold import RankingFold
from shared import watch
from shared.domains import MARKETCAP
from shared.service import Service
from shared.watch import Losses, Segment


class Stored(watch.Stored):
    """State and views; ranks of the past are only in Redis, and what is lost of them is lost."""

    def __init__(self, service: Service, fold: RankingFold) -> None:
        super().__init__("the ranking of assets", {})
        self._redis = service.redis
        self._keys = service.keys
        self._fold = fold

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        """As the base says."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hkeys(self._keys.state(MARKETCAP))
        pipeline.hkeys(self._keys.views(MARKETCAP))
        parts, shown = await pipeline.execute()
        missing = {
            "the state": not {name.encode() for name in self._fold.written} <= set(parts),
            "the views": not {name.encode() for name in self._fold.shown} <= set(shown),
        }
        return Losses({name for name, gone in missing.items() if gone})

    def mend(self, losses: Losses) -> None:
        """As the base says."""
        self._fold.write_all()

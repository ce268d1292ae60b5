"""What the fold has committed, looked at while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.timeline.fold import TimelineFold
from explorer.timeline.waits import SINCE
from shared import watch
from shared.domains import TIMELINE
from shared.service import Service
from shared.watch import Losses, Segment


class Stored(watch.Stored):
    """What waits, and the list of chapters, are written again from memory; of what is over only Redis has a copy."""

    def __init__(self, service: Service, fold: TimelineFold) -> None:
        super().__init__("what happened to transactions", {})
        self._redis = service.redis
        self._keys = service.keys
        self._fold = fold

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        """As the base says."""
        if self._fold.count is None:
            return Losses()
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hlen(self._keys.timeline_waiting)
        pipeline.hlen(self._keys.timeline_chapters)
        pipeline.hexists(self._keys.state(TIMELINE), "meta")
        pipeline.exists(self._keys.views(TIMELINE))
        pipeline.hexists(self._keys.timeline_waits, SINCE)
        waiting, chapters, meta, views, waits = await pipeline.execute()
        missing = {
            "what waits": waiting != self._fold.count,
            "the list of chapters": chapters < self._fold.chapters,
            "the state": not meta,
            "the views": not views,
            "how long transactions waited": self._fold.waits and not waits,
        }
        return Losses({name for name, gone in missing.items() if gone})

    def mend(self, losses: Losses) -> None:
        """As the base says."""
        self._fold.write_all()

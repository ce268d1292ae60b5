"""The past in Redis, which no node can tell again, held against memory, which has every record of it."""

from __future__ import annotations

from collections.abc import Sequence

from mempool.fold import MempoolFold
from mempool.history import DOMAIN
from shared import watch
from shared.service import Service
from shared.watch import Losses, Segment


class Past(watch.Stored):
    """The series, and the lists of their segments and layouts."""

    def __init__(self, service: Service, fold: MempoolFold) -> None:
        super().__init__("the mempool's past", fold.writers)
        self._redis = service.redis
        self._keys = service.keys
        self._fold = fold

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        """As the base says."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.smembers(self._keys.series_index(DOMAIN))
        pipeline.hkeys(self._keys.series_layouts(DOMAIN))
        for name, segment in segments:
            pipeline.strlen(self._keys.series(DOMAIN, name, segment))
        members, layouts, *lengths = await pipeline.execute()
        stored = {name: writer.known for name, writer in self.writers.items() if writer.known}  # by now
        listed = {f"{name}:{segment}".encode() for name, known in stored.items() for segment in known}
        missing = {"index": listed - set(members), "layouts": {name.encode() for name in stored} - set(layouts)}
        return Losses(
            {part for part, names in missing.items() if names},
            [
                (name, segment)
                for (name, segment), length in zip(segments, lengths, strict=True)
                if length != self.writers[name].series.size and segment in stored.get(name, ())
            ],
        )

    def mend(self, losses: Losses) -> None:
        """As the base says."""
        self._fold.doubt_past()

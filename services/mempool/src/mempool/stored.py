"""What is kept in Redis, held against memory, which has all of it."""

from __future__ import annotations

from collections.abc import Sequence

from mempool.fold import MempoolFold
from mempool.recorders import DOMAIN
from shared import domains, watch
from shared.service import Service
from shared.watch import Losses, Segment

_OF_STATE = {"state", "views", "checkpoint"}
_EXPECTED = "what was expected in blocks"


class Stored(watch.Stored):
    """State, views and checkpoint; and the past, which no node can tell again, with the lists of its segments."""

    def __init__(self, service: Service, fold: MempoolFold) -> None:
        super().__init__("the mempool and its past", fold.writers)
        self._redis = service.redis
        self._keys = service.keys
        self._fold = fold

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        """As the base says."""
        keys, fold = self._keys, self._fold
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hlen(keys.state(domains.MEMPOOL))
        pipeline.exists(keys.views(domains.MEMPOOL))
        pipeline.exists(keys.checkpoint(domains.MEMPOOL))
        pipeline.smembers(keys.series_index(DOMAIN))
        pipeline.hkeys(keys.series_layouts(DOMAIN))
        pipeline.hlen(keys.mempool_expected)
        for name, segment in segments:
            pipeline.strlen(keys.series(DOMAIN, name, segment))
        count, views, checkpoint, members, layouts, expected, *lengths = await pipeline.execute()
        stored = {name: writer.known for name, writer in self.writers.items() if writer.known}
        listed = {f"{name}:{segment}".encode() for name, known in stored.items() for segment in known}
        missing = {
            "state": fold.count is not None and count != fold.count,
            "views": fold.shown and not views,
            "checkpoint": fold.count is not None and not checkpoint,
            _EXPECTED: expected != fold.expected_fields,
            "index": not listed <= set(members),
            "layouts": not {name.encode() for name in stored} <= set(layouts),
        }
        return Losses(
            {part for part, gone in missing.items() if gone},
            [
                (name, segment)
                for (name, segment), length in zip(segments, lengths, strict=True)
                if length != self.writers[name].series.size and segment in stored.get(name, ())
            ],
        )

    def mend(self, losses: Losses) -> None:
        """As the base says."""
        if losses.parts & _OF_STATE:
            self._fold.write_all()
        if _EXPECTED in losses.parts:
            self._fold.doubt_expected()
        if losses.segments or losses.parts - _OF_STATE - {_EXPECTED}:
            self._fold.doubt_past()

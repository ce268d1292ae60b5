"""What is kept in Redis, held against what was recorded with it."""

from __future__ import annotations

from collections.abc import Sequence

from chain_history.fold import HistoryFold
from chain_history.losses import look
from shared import watch
from shared.service import Service
from shared.watch import Losses, Segment


class Stored(watch.Stored):
    """State, series and views."""

    def __init__(self, service: Service, fold: HistoryFold) -> None:
        super().__init__("the chain's history", fold.store.writers)
        self._redis = service.redis
        self._keys = service.keys
        self._fold = fold

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        """As the base says."""
        if not len(self._fold.store.spine):
            return Losses()
        return await look(self._redis, self._keys, segments)

    def mend(self, losses: Losses) -> None:
        """As the base says."""
        self._fold.mend(losses)

    def found(self) -> Losses:
        """As the base says."""
        found, self._fold.losses = self._fold.losses, Losses()
        return found

    @property
    def whole(self) -> bool:
        """Whether the backfill has brought what only blocks tell."""
        return not len(self._fold.store.lost)

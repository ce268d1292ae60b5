"""What market has committed, looked at while it runs: segments that Redis lost are written again from memory."""

from __future__ import annotations

from collections.abc import Sequence

from market.history import History
from market.state import Market
from shared import redis
from shared.domains import MARKET
from shared.keys import Keys
from shared.watch import Losses, Segment, Stored


class Kept(Stored):
    """The bars and rates; quotes of before are only in Redis, and what is lost of them is lost."""

    def __init__(self, client: redis.Client, keys: Keys, market: Market, history: History) -> None:
        super().__init__("the history of the price", market.past.writers)
        self._client = client
        self._keys = keys
        self._market = market
        self._history = history

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        """As the base says."""
        pipeline = self._client.pipeline(transaction=False)
        for name, segment in segments:
            pipeline.exists(self._keys.series(MARKET.slot, name, segment))
        pipeline.scard(self._keys.series_index(MARKET.slot))
        pipeline.hexists(self._keys.views(MARKET), "prices")
        pipeline.hexists(self._keys.state(MARKET), "asked")
        *there, listed, shown, asked = await pipeline.execute()
        gone = [segment for segment, exists in zip(segments, there, strict=True) if not exists]
        known = sum(len(writer.known) for writer in self.writers.values())
        parts = set()
        if known and not listed:
            parts.add("the index of its series")
        if self._market.now and not shown:
            parts.add("the prices shown")
        if (self._history.asked or self._history.told_at) and not asked and not self._history.changed:
            parts.add("the record of who was asked")
        return Losses(parts, gone)

    def mend(self, losses: Losses) -> None:
        """As the base says."""
        if losses.parts:
            self._market.past.rewrite()
            self._market.show_again()
            self._history.changed = True
        for name, segment in losses.segments:
            self.writers[name].forget([segment])

"""Looks, now and then, whether state and views are still there: a key may be evicted, or deleted by a hand."""

from __future__ import annotations

import asyncio
from typing import Final

from chain_metrics.fold import ChainFold
from shared import redis
from shared.events.ops import GapDetected, GapRepaired
from shared.logging import Trouble
from shared.service import Service

EVERY_SECONDS: Final = 1.0


class Watch:
    """Looks while this replica is the active one; memory holds everything, so what is lost is written again."""

    def __init__(self, service: Service, fold: ChainFold) -> None:
        self._service = service
        self._fold = fold
        self._trouble = Trouble(service.log, "watch")
        self._seen = ""  # what the last look missed: the first commit may still be on its way
        self._told = False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            if self._service.health.state != "ok" or not self._fold.size:
                continue  # another replica's, or nobody's
            try:
                await self.look()
            except redis.TROUBLE as error:
                self._trouble.failed(error)
            else:
                self._trouble.ended()

    async def look(self) -> None:
        """Once."""
        lost = await self._lost()
        if lost and lost == self._seen:
            self._fold.write_all()
            if not self._told:
                self._told = True
                await self._service.say(GapDetected, f"Redis has lost {lost} of the chain; it is written again")
        elif not lost and self._told:
            self._told = False
            await self._service.say(GapRepaired, "state and views of the chain are whole again")
        self._seen = lost

    async def _lost(self) -> str:
        keys = self._service.keys
        pipeline = self._service.redis.pipeline(transaction=False)
        pipeline.hlen(keys.chain_state)
        pipeline.exists(keys.chain_views)
        pipeline.exists(keys.chain_checkpoint)
        size, views, checkpoint = await pipeline.execute()
        missing = {"state": size != self._fold.size, "views": not views, "checkpoint": not checkpoint}
        return ", ".join(name for name, gone in missing.items() if gone)

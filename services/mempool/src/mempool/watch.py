"""Looks now and then whether the past is still there: what no node can tell again must not hang on one key.

Memory holds every record of the series. Whatever of them Redis lost - to a hand, to an eviction - is written anew with
the next commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from mempool.fold import MempoolFold
from shared import redis
from shared.service import Service

EVERY_SECONDS: Final = 30.0
AGAIN_SECONDS: Final = 1.0
"""What is missing is looked for a second time after this: its commit may have been on its way."""


class Watch:
    """The task that looks."""

    def __init__(self, service: Service, fold: MempoolFold) -> None:
        self._service = service
        self._fold = fold
        self._index = service.keys.series_index("mempool")
        self._layouts = service.keys.series_layouts("mempool")

    async def run(self) -> None:
        """Until the service is told to stop."""
        while not await self._stopped(EVERY_SECONDS):
            if self._service.health.state != "ok":
                continue  # memory may be of another time
            with contextlib.suppress(*redis.TROUBLE):  # the fold's loop says so
                lost = await self._lost(self._fold.past())
                if lost and not await self._stopped(AGAIN_SECONDS):
                    lost &= await self._lost(self._fold.past())
                if lost:
                    self._service.log.error("series_lost", keys=sorted(lost)[:10], count=len(lost), written="anew")
                    self._fold.doubt_past()

    async def _stopped(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._service.stopping.wait(), seconds)
        return self._service.stopping.is_set()

    async def _lost(self, past: Mapping[str, int]) -> set[str]:
        """Of these keys and their lengths, those that are not there as they should be, or not as such in the lists."""
        pipeline = self._service.redis.pipeline(transaction=False)
        pipeline.smembers(self._index)
        pipeline.hkeys(self._layouts)
        for key in past:
            pipeline.strlen(key)
        members, series, *lengths = await pipeline.execute()
        named, layouts = ({name.decode() for name in names} for names in (members, series))
        lost = set()
        for (key, wanted), length in zip(past.items(), lengths, strict=True):
            name = key.partition(":series:")[2]
            if length != wanted or name not in named or name.rpartition(":")[0] not in layouts:
                lost.add(key)
        return lost

"""Looks, now and then, whether what was committed is still there; has made again what is not, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Final

from chain_history.fold import HistoryFold
from chain_history.losses import Losses, Segment, look
from shared import redis
from shared.events.ops import GapDetected, GapRepaired
from shared.logging import Trouble
from shared.service import Service

EVERY_SECONDS: Final = 1.0

AT_ONCE: Final = 32
"""Segments of one look: those of mainnet are all seen within a minute."""


class Watch:
    """Looks while this replica is the active one."""

    def __init__(self, service: Service, fold: HistoryFold) -> None:
        self._service = service
        self._fold = fold
        self._trouble = Trouble(service.log, "watch")
        self._turn = 0
        self._doubted = False  # whether the last look found no state
        self._told = False  # that something is lost, and not yet that it is there again
        self._clean = 0  # segments seen to be whole since then

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            if self._service.health.state != "ok" or not len(self._fold.store.spine):
                continue  # another replica's, or nobody's
            try:
                await self.look()
            except redis.TROUBLE as error:
                self._trouble.failed(error)
            else:
                self._trouble.ended()

    async def look(self) -> None:
        """Once."""
        found, self._fold.losses = self._fold.losses, Losses()  # by the restore, which made them again
        if found:
            await self._tell(found)
        segments = self._next()
        losses = await look(self._service.redis, self._service.keys, segments)
        if "state" in losses.parts and not self._doubted:
            self._doubted = True  # or the first commit is still on its way
            return
        self._doubted = False
        if losses:
            self._fold.mend(losses)
            await self._tell(losses)
        elif self._told:
            self._clean += len(segments)
            store = self._fold.store
            if self._clean > sum(len(writer.known) for writer in store.writers.values()) and not len(store.lost):
                self._told = False
                self._service.health.note(lost=None)
                await self._service.say(GapRepaired, "the chain's history is whole again")

    def _next(self) -> list[Segment]:
        """The segments whose turn it is."""
        known = [(name, one) for name, writer in self._fold.store.writers.items() for one in sorted(writer.known)]
        if not known:
            return []
        start = self._turn % len(known)
        self._turn = start + AT_ONCE
        turn: Iterator[Segment] = islice(cycle(known), start, start + min(AT_ONCE, len(known)))
        return list(turn)

    async def _tell(self, losses: Losses) -> None:
        self._clean = 0
        self._service.log.warning("history_lost", lost=str(losses))
        self._service.health.note(lost=str(losses))
        if not self._told:
            self._told = True
            await self._service.say(GapDetected, f"{losses}; it is made again")

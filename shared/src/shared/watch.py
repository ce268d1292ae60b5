"""Looks, every second, whether what was committed is still there; has it made again where it is not, and says so.

The consumer looks in its turn, between two commits: then memory is what was committed, and nothing is on its way.

A key may be evicted, or deleted by a hand, and nobody says so. What no node can tell again must not hang on one key, so
each part is looked at within seconds: what memory still holds is lost for good with a restart.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shared import redis
from shared.events.ops import GapDetected, GapRepaired
from shared.logging import Trouble
from shared.series_writer import SeriesWriter

if TYPE_CHECKING:
    from shared.service import Service  # which the folds, who tell what they lost, have nothing to do with

EVERY_SECONDS: Final = 1.0

AT_ONCE: Final = 32
"""Segments of one look: those of mainnet's chain are all seen within a minute, those of the mempool within seconds."""

Segment = tuple[str, int]
"""Name of a series, and number of its segment."""


@dataclass
class Losses:
    """What is gone, or not whole."""

    parts: set[str] = field(default_factory=set)  # keys that are not series, by names of the service's own
    segments: list[Segment] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.parts or self.segments)

    def __str__(self) -> str:
        named = [f"{name}:{segment}" for name, segment in self.segments[:5]]
        more = [f"{len(self.segments) - 5} segments more"] if len(self.segments) > 5 else []
        return "Redis has lost " + ", ".join([*sorted(self.parts), *named, *more])


class Stored(ABC):
    """What a fold has committed, and holds in memory."""

    def __init__(self, words: str, writers: Mapping[str, SeriesWriter[Any]]) -> None:
        self.words = words  # what it is, for a person
        self.writers = writers  # of its series, by their names

    @abstractmethod
    async def lost(self, segments: Sequence[Segment]) -> Losses:
        """What is not there as it was committed; of the series these segments only. None while there is no state."""

    @abstractmethod
    def mend(self, losses: Losses) -> None:
        """Have made again what is lost."""

    def found(self) -> Losses:
        """What was lost when the state was read, and is being made again; told once."""
        return Losses()

    @property
    def whole(self) -> bool:
        """Whether nothing is still being made again."""
        return True


class Watch:
    """One fold's looks."""

    def __init__(self, service: Service, stored: Stored) -> None:
        self._service = service
        self._stored = stored
        self._trouble = Trouble(service.log, "watch")
        self._turn = 0
        self._next_at = 0.0  # by the steady clock
        self._told = False  # that something is lost, and not yet that it is there again
        self._clean = 0  # segments seen to be whole since then

    async def look(self) -> None:
        """Look, where it is time to; memory must be what was committed last. What is lost goes with the next flush."""
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + EVERY_SECONDS
        try:
            await self._look()
        except redis.TROUBLE as error:  # whoever folds will meet it too where it matters
            self._trouble.failed(error)
        else:
            self._trouble.ended()

    async def _look(self) -> None:
        if found := self._stored.found():
            await self._tell(found)
        segments = self._next()
        losses = await self._stored.lost(segments)
        if losses:
            self._stored.mend(losses)
            await self._tell(losses)
        elif self._told:
            await self._seen_whole(len(segments))

    def _next(self) -> list[Segment]:
        """The segments whose turn it is."""
        known = [(name, one) for name, writer in self._stored.writers.items() for one in sorted(writer.known)]
        if not known:
            return []
        start = self._turn % len(known)
        self._turn = start + AT_ONCE
        return (known[start:] + known[:start])[:AT_ONCE]

    async def _tell(self, losses: Losses) -> None:
        self._clean = 0
        said = f"{losses} of {self._stored.words}"
        self._service.log.warning("stored_lost", lost=said)
        self._service.health.note(lost=said)
        if not self._told:
            self._told = True
            await self._service.say(GapDetected, f"{said}; it is made again")

    async def _seen_whole(self, segments: int) -> None:
        """So many segments more, and everything that is no series."""
        self._clean += segments
        every = sum(len(writer.known) for writer in self._stored.writers.values())
        if self._clean >= every and self._stored.whole:
            self._told = False
            self._service.health.note(lost=None)
            await self._service.say(GapRepaired, f"{self._stored.words} is whole again")

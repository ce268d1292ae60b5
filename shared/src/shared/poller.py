"""The producer that no stream feeds: one replica asks sources at an interval, publishes what follows, and shows it.

For what lies outside and does not tell of its own accord: prices. Events, views and state go with one guarded commit,
so that whoever takes over goes on where the last one stopped, and nothing is published twice. Each answer that was
committed is a confirmation (shared.bus) as of when it was asked for.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

from shared import clock, redis
from shared.backoff import Backoff
from shared.domains import Domain
from shared.errors import DashboardError
from shared.fold import Changes
from shared.leased import Leased
from shared.logging import Trouble, chain
from shared.outlet import Outlet
from shared.service import Service
from shared.tasks import pause

LONGEST_SECONDS: Final = 300.0
"""Longest pause after sources that fail, where the interval is not longer itself."""


@dataclass(slots=True)
class Polled:
    """What the sources said."""

    changes: Changes = field(default_factory=Changes)
    source: str = ""  # whose answers these are, for a person
    amiss: str = ""  # what is wrong although there is an answer: a source that failed; empty where nothing is


class Sources(Protocol):
    """What a service supplies."""

    async def restore(self, client: redis.Client) -> None:
        """Replace what is in memory by the state in Redis: nothing of what was asked since then counts."""

    async def poll(self) -> Polled:
        """Ask, and say what is to be written. Raises DashboardError, OSError or TimeoutError where none answers."""


class Poller:
    """Runs the sources for one service, every so many seconds. `keep`: entries that the stream keeps for readers.

    One poll may take `limit` seconds. Sources that fail are asked ever more rarely.
    """

    def __init__(
        self,
        service: Service,
        domain: str,
        stream: str,
        cursor: str,
        sources: Sources,
        *,
        every: float,
        limit: float,
        keep: int,
    ) -> None:
        self._service = service
        self._sources = sources
        self._outlet = Outlet(service, domain, stream, cursor, keep=keep)
        self._leased = Leased(service, self._outlet.lease, name="producer")
        self._every = every
        self._limit = limit
        self._failing = Trouble(service.log, "sources")
        self._failures = Backoff(every, max(every, LONGEST_SECONDS))

    @classmethod
    def of(cls, service: Service, domain: Domain, sources: Sources, *, every: float, limit: float) -> Self:
        """As the domain is declared: its stream is the one that announces it."""
        stream, keys = domain.announces, service.keys
        return cls(
            service,
            domain.slot,
            keys.stream(stream),
            keys.producer(stream),
            sources,
            every=every,
            limit=limit,
            keep=stream.keep,
        )

    async def run(self) -> None:
        """Ask and publish until the service is told to stop."""
        await self._leased.run(self._work)

    async def _work(self) -> None:
        await self._outlet.producer.load()
        await self._sources.restore(self._service.redis)
        due = time.monotonic()
        while not self._service.stopping.is_set():
            rest = await self._turn()
            await self._outlet.trim()
            due = max(due + self._every, time.monotonic() + rest)  # what was missed is not made up for
            await pause(self._service.stopping, due - time.monotonic())

    async def _turn(self) -> float:
        """Ask once; returns how long the sources are left alone at the least."""
        asked_ms = clock.now().steady_ms
        try:
            async with asyncio.timeout(self._limit):
                polled = await self._sources.poll()
        except (DashboardError, OSError, TimeoutError) as error:
            said = f"no answer within {self._limit:g} s" if isinstance(error, TimeoutError) else chain(error)
            self._failing.failed(said)
            self._service.health.degraded(said)
            self._failures.tried()
            return self._failures.pause
        await self._outlet.publish(polled.changes)
        producer = self._outlet.producer
        await producer.confirm(polled.source, ago_ms=clock.now().steady_ms - asked_ms)
        self._leased.well()
        self._failing.ended()
        self._failures.reset()
        if polled.amiss:
            self._service.health.degraded(polled.amiss, seq=producer.seq)
        else:
            self._service.health.ok(seq=producer.seq)
        return 0.0

"""Work that one replica does and others stand by for: lease, fence, retry, back-off, and the lease given back.

Every fold and every producer runs in it. States of a replica: standby (another holds the lease) -> working. Whatever
fails leads back to the start: the lease is taken anew, and the work begins by reading where it stands. Work of which
any number of replicas may do a part has no lease, and the rest of this all the same.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import prometheus_client

from shared import redis, trouble
from shared.backoff import Backoff
from shared.errors import Fenced, TooNew, UnknownLayout
from shared.keys import LEASE_MS
from shared.lease import Lease
from shared.logging import Trouble
from shared.service import Service
from shared.tasks import pause

HELD: Final = prometheus_client.Gauge(
    "dashboard_lease_held", "1 while this replica is the active one, 0 while it stands by", ["service", "work"]
)

Work = Callable[[], Coroutine[Any, Any, None]]
"""Begins anew each time; may return in order to be begun anew, with the lease taken anew."""


def _nothing() -> None:
    """Memory is read anew anyway."""


class Leased:
    """Runs one kind of work for one service, called `name` in the log.

    With several leases (of streams in several slots) all are held; everyone takes them in the same order. `lost` is
    called when the work was refused, or the lease is another's: from then on memory may not be what Redis holds.
    """

    def __init__(self, service: Service, *leases: Lease, name: str, lost: Callable[[], None] = _nothing) -> None:
        self._service = service
        self._leases = leases
        self._name = name
        self._lost = lost
        self.stood_by_at = -math.inf  # steady seconds: when the lease was last seen to be another's
        self._trouble = trouble.RedisTrouble(service)
        self._failing = Trouble(service.log, name)
        self._backoff = Backoff(trouble.FIRST_SECONDS, trouble.LONGEST_SECONDS)
        self._active: prometheus_client.Gauge | None = None  # of work that is to be done at all

    async def run(self, work: Work) -> None:
        """Work until the service is told to stop, which the work itself has to heed.

        What Redis refuses or fails to answer is waited out. What a newer version wrote is left to its replicas.
        """
        if self._leases:
            self._active = HELD.labels(self._service.name, self._name)
        try:
            while not self._service.stopping.is_set():
                try:
                    if await self._take():
                        await self._held(work)
                except Fenced as error:
                    self._lost()
                    self._service.log.warning(f"{self._name}_fenced", error=str(error))
                except (TooNew, UnknownLayout) as error:
                    await self._release()
                    await self.wait(str(error))
                except redis.TROUBLE as error:
                    await self._trouble.wait_out(error)
        finally:
            await self._release()

    async def wait(self, reason: str) -> None:
        """Something fails that another attempt at once would not mend: say so, and pause before the next."""
        self._failing.failed(reason)
        self._service.health.degraded(reason)
        await self._backoff.rest(self._service.stopping)

    def well(self) -> None:
        """The work goes on: whatever failed before is over."""
        self._trouble.ended()
        self._failing.ended()
        self._backoff.reset()

    async def _take(self) -> bool:
        for lease in self._leases:
            if not await lease.try_acquire():
                self._service.health.standby()
                self.stood_by_at = time.monotonic()
                await pause(self._service.stopping, LEASE_MS / 12_000)
                return False
        return True

    async def _held(self, work: Work) -> None:
        doing = work()
        for lease in reversed(self._leases):
            doing = lease.hold(doing)
        self._tell(1)
        try:
            await doing
        finally:
            self._tell(0)

    def _tell(self, active: int) -> None:
        if self._active is not None:
            self._active.set(active)

    async def _release(self) -> None:
        with contextlib.suppress(*redis.TROUBLE):  # then they end by themselves
            for lease in self._leases:
                await lease.release()

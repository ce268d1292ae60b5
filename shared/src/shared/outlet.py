"""What a service publishes that no stream feeds: events, views and state of one domain, in one guarded commit each."""

from __future__ import annotations

import time
from typing import Final

from shared.backoff import Backoff
from shared.bus import Producer
from shared.events.ops import GapDetected
from shared.fold import Changes
from shared.keys import FOLDED_SEQ, STREAM_CAP
from shared.lease import Lease
from shared.service import Service
from shared.tasks import pause

TRIM_SECONDS: Final = 15.0
"""Between two times that the stream is cut."""

PAUSE_SECONDS: Final = 1.0
"""Longer than a standby takes to look for the lease, and shorter than it takes to renew one."""

QUIET_SECONDS: Final = 300.0
"""Unread entries that were cut are announced once, and again where none were for so long."""


class Outlet:
    """The stream of one domain, as its one producer. `keep`: entries that it keeps for readers.

    `holder` is whose the lease is, where the service has a fold with one of its own in the slot.
    """

    def __init__(self, service: Service, slot: str, stream: str, cursor: str, *, keep: int, holder: str = "") -> None:
        keys, client, name = service.keys, service.redis, holder or service.name
        self.lease = Lease(client, keys.lease(slot, name), keys.fence(slot, name))
        self.producer = Producer(client, self.lease, stream, cursor, keys.confirmed(slot))
        self._service = service
        self._keep = keep
        self._cuts = Backoff(TRIM_SECONDS, QUIET_SECONDS, quiet=QUIET_SECONDS)  # of entries that nobody had read
        self._trim_at = 0.0

    async def publish(self, changes: Changes) -> None:
        """Write all of it, once, where there is anything. Raises Fenced when another replica took over."""
        if not changes.events and not changes.commands:
            return
        if changes.views:
            changes.commands.add("HSET", changes.views, FOLDED_SEQ, self.producer.seq + len(changes.events))
        await self.producer.publish(changes.events, changes.commands)

    async def give_way(self) -> None:
        """Leave the lease to another replica for a moment (shared.newest). Whoever calls this then ends its work."""
        await self.lease.release()
        await pause(self._service.stopping, PAUSE_SECONDS)

    async def trim(self) -> None:
        """Cut what is old, where it is time to."""
        if time.monotonic() < self._trim_at:
            return
        self._trim_at = time.monotonic() + TRIM_SECONDS
        lost = await self.producer.trim(self._keep, STREAM_CAP)
        if lost and self._cuts.tried():
            detail = f"{self.producer.stream}: {lost} entries cut that a group had not read"
            await self._service.say(GapDetected, detail)

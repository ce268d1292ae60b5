"""explorer: answers look-ups of transactions, blocks, addresses and wallets on one's own node."""

from __future__ import annotations

import asyncio
from typing import Final

from explorer.core.node import Nodes
from explorer.desk import Desk, keep_ms, told
from explorer.electrum.client import Electrum
from shared.domains import CHANGES
from shared.events.lookups import REQUESTS
from shared.service import Service
from shared.tasks import accompanied
from shared.work import Worker

AT_ONCE: Final = 16
"""Look-ups at once of one replica; a node answers 8 calls at once, and most look-ups wait for it."""

REPORT_SECONDS: Final = 1.0


async def run(service: Service) -> None:
    """Answer until the service is told to stop; the worker alone ends by itself."""
    electrum = Electrum.of(service)
    async with Nodes.of(service.settings.configured_nodes) as nodes:
        worker = Worker(
            service,
            CHANGES.slot,
            REQUESTS,
            Desk(service, nodes, electrum).answer,
            at_once=AT_ONCE,
            changes=service.keys.stream(CHANGES),
            tell=told,
            keep_ms=keep_ms,
        )
        await accompanied(worker.run(), electrum.run(asyncio.Event()), _report(service, electrum))


async def _report(service: Service, electrum: Electrum) -> None:
    """Keep what the heartbeat says of Electrum servers current."""
    while True:
        service.health.note(**electrum.details(service.clock.now_ms))
        await asyncio.sleep(REPORT_SECONDS)

"""explorer: answers look-ups of transactions, blocks, addresses and wallets on one's own node."""

from __future__ import annotations

from typing import Final

from explorer.core.node import Nodes
from explorer.desk import Desk, keep_ms, told
from shared.domains import CHANGES
from shared.events.lookups import REQUESTS
from shared.networks import NETWORKS
from shared.service import Service
from shared.work import Worker

AT_ONCE: Final = 16
"""Look-ups at once of one replica; a node answers 8 calls at once, and most look-ups wait for it."""


async def run(service: Service) -> None:
    """Answer until the service is told to stop."""
    settings = service.settings
    async with Nodes.of(settings.configured_nodes) as nodes:
        desk = Desk(nodes, NETWORKS[settings.network], lambda: service.clock.now_ms)
        worker = Worker(
            service,
            CHANGES.slot,
            REQUESTS,
            desk.answer,
            at_once=AT_ONCE,
            changes=service.keys.stream(CHANGES),
            tell=told,
            keep_ms=keep_ms,
        )
        await worker.run()

"""explorer: answers look-ups on one's own node, and keeps what happened to transactions.

Look-ups are done by every replica; the timeline is folded by one of them, one watches what somebody looks at, and one
what lies at the addresses that holders of bitcoin published.
"""

from __future__ import annotations

import asyncio
from typing import Final

from explorer.address.live import Live
from explorer.address.seen import Seen
from explorer.aside import give_way
from explorer.core.node import Nodes
from explorer.desk import Desk, keep_ms, told
from explorer.electrum.client import Electrum
from explorer.timeline.fold import TimelineFold
from explorer.timeline.stored import Stored
from explorer.treasury.watch import Watch
from explorer.wallet import curve
from shared.consumer import Consumer
from shared.domains import CHANGES, TIMELINE
from shared.events.lookups import REQUESTS
from shared.fold import Wiring
from shared.health import parts
from shared.service import Service
from shared.tasks import accompanied, together
from shared.work import Worker

AT_ONCE: Final = 16
"""Look-ups at once of one replica; a node answers 8 calls at once, and most look-ups wait for it."""

REPORT_SECONDS: Final = 1.0


async def run(service: Service) -> None:
    """Answer and fold until the service is told to stop."""
    if not curve.NATIVE:
        service.log.warning("wallets_are_slow", why="embit has no library of the curve for this machine")
    give_way()
    answering, folding, watching, following = parts(service, 4)
    settings, keys = service.settings, service.keys
    fold = TimelineFold(keys, settings.timeline_days, settings.timeline_memory)
    electrum = Electrum.of(service)
    seen = Seen(service.redis, keys)
    async with Nodes.of(settings.configured_nodes) as nodes:
        desk = Desk(service, nodes, electrum, seen)
        worker = Worker(
            answering,
            CHANGES.slot,
            REQUESTS,
            desk.answer,
            at_once=AT_ONCE,
            changes=keys.stream(CHANGES),
            tell=told,
            keep_ms=keep_ms,
        )
        consumer = Consumer(folding, Wiring.of(TIMELINE, keys), fold, Stored(folding, fold))
        live = Live(watching, electrum, seen)
        treasuries = Watch(following, electrum, nodes, desk.scans)
        beside = electrum.run(asyncio.Event()), desk.wallets.run(), _report(answering, electrum)
        await accompanied(_all(worker, consumer, live, treasuries), *beside)


async def _all(worker: Worker, consumer: Consumer, live: Live, treasuries: Watch) -> None:
    await together(worker.run(), consumer.run(), live.run(), treasuries.run())


async def _report(service: Service, electrum: Electrum) -> None:
    """Keep what the heartbeat says of Electrum servers current."""
    while True:
        service.health.note(**electrum.details(service.clock.now_ms))
        await asyncio.sleep(REPORT_SECONDS)

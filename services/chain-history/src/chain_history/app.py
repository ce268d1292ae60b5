"""chain-history: folds blocks and the backfill's findings into the series of the whole chain."""

from __future__ import annotations

import asyncio
import contextlib

from chain_history.fold import HistoryFold
from chain_history.progress import Progress
from chain_history.watch import Watch
from shared import redis
from shared.consumer import Consumer
from shared.events.backfill import BACKFILL
from shared.events.blocks import BLOCKS, HeadersLoaded
from shared.fold import Source
from shared.keys import SERIES_KEEP, Keys
from shared.service import Service
from shared.tasks import end


def source(keys: Keys) -> Source:
    """Where the fold reads, and what it writes beside its state."""
    return Source(
        domain="chain",
        stream=keys.blocks,
        family=BLOCKS,
        checkpoint=keys.history_checkpoint,
        derived=keys.series_updates,
        derived_keep=SERIES_KEEP,
        resync=keys.chain_resync,
        beginning=HeadersLoaded.TYPE.encode(),
        inbox=keys.backfill,
        inbox_family=BACKFILL,
    )


async def run(service: Service) -> None:
    """Fold until the service is told to stop."""
    fold = HistoryFold(service.keys)
    with contextlib.suppress(*redis.TROUBLE):  # the fold's loop waits for Redis, and says so
        await fold.store.adopt(service.redis)
    folding = asyncio.create_task(Consumer(service, source(service.keys), fold).run(), name="fold")
    telling = asyncio.create_task(Progress(service, fold.store).tell(), name="progress")
    watching = asyncio.create_task(Watch(service, fold).run(), name="watch")
    try:  # the fold ends by itself, once what it is at is committed; the rest only by failing
        await asyncio.wait((folding, telling, watching), return_when=asyncio.FIRST_COMPLETED)
    finally:
        results = await end(folding, telling, watching)
    for result in results:
        if isinstance(result, Exception):
            raise result

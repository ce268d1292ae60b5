"""chain-history: folds blocks and the backfill's findings into the series of the whole chain."""

from __future__ import annotations

import asyncio
import contextlib

from chain_history.fold import HistoryFold
from chain_history.progress import Progress
from shared import redis
from shared.consumer import Consumer
from shared.events.backfill import BACKFILL
from shared.events.blocks import BLOCKS, HeadersLoaded
from shared.fold import Source
from shared.keys import SERIES_KEEP
from shared.service import Service
from shared.tasks import end


async def run(service: Service) -> None:
    """Fold until the service is told to stop."""
    keys = service.keys
    source = Source(
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
    fold = HistoryFold(keys)
    with contextlib.suppress(*redis.TROUBLE):  # the fold's loop waits for Redis, and says so
        await fold.store.adopt(service.redis)
    folding = asyncio.create_task(Consumer(service, source, fold).run(), name="fold")
    telling = asyncio.create_task(Progress(service, fold.store).tell(), name="progress")
    try:
        await asyncio.wait((folding, telling), return_when=asyncio.FIRST_COMPLETED)
    finally:
        results = await end(folding, telling)
    for result in results:
        if isinstance(result, Exception):
            raise result

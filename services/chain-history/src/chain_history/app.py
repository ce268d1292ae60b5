"""chain-history: folds blocks and the backfill's findings into the series of the whole chain."""

from __future__ import annotations

import contextlib

from chain_history.fold import HistoryFold
from chain_history.progress import Progress
from chain_history.stored import Stored
from shared import redis
from shared.consumer import Consumer
from shared.events.backfill import BACKFILL
from shared.events.blocks import BLOCKS, HeadersLoaded
from shared.fold import Source
from shared.keys import SERIES_KEEP, Keys
from shared.service import Service
from shared.tasks import accompanied


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
    await accompanied(
        Consumer(service, source(service.keys), fold, Stored(service, fold)).run(),
        Progress(service, fold.store).tell(),
    )

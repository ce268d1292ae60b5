"""chain-history: folds blocks and the backfill's findings into the series of the whole chain."""

from __future__ import annotations

import contextlib

from chain_history.fold import HistoryFold
from chain_history.progress import Progress
from chain_history.stored import Stored
from shared import redis
from shared.consumer import Consumer
from shared.domains import HISTORY
from shared.fold import Wiring
from shared.service import Service
from shared.tasks import accompanied


async def run(service: Service) -> None:
    """Fold until the service is told to stop."""
    fold = HistoryFold(service.keys)
    with contextlib.suppress(*redis.TROUBLE):  # the fold's loop waits for Redis, and says so
        await fold.store.adopt(service.redis)
    await accompanied(
        Consumer(service, Wiring.of(HISTORY, service.keys), fold, Stored(service, fold)).run(),
        Progress(service, fold.store).tell(),
    )

"""mempool: folds mempool events into totals, fees, projected blocks and the largest transactions."""

from __future__ import annotations

from mempool.fold import MempoolFold
from mempool.stored import Stored
from shared.consumer import Consumer
from shared.domains import MEMPOOL
from shared.fold import Wiring
from shared.service import Service


async def run(service: Service) -> None:
    """Fold until the service is told to stop."""
    fold = MempoolFold(service.keys)
    await Consumer(service, Wiring.of(MEMPOOL, service.keys), fold, Stored(service, fold)).run()

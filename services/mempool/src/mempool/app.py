"""mempool: folds mempool events into totals, fees, projected blocks and the largest transactions."""

from __future__ import annotations

from mempool.fold import MempoolFold
from mempool.stored import Stored
from shared.consumer import Consumer
from shared.events.mempool import MEMPOOL, MempoolReset
from shared.fold import Source
from shared.keys import BLOCKS_KEEP
from shared.service import Service


async def run(service: Service) -> None:
    """Fold until the service is told to stop."""
    keys = service.keys
    source = Source(
        domain="mempool",
        stream=keys.txs,
        family=MEMPOOL,
        checkpoint=keys.mempool_checkpoint,
        derived=keys.fees,
        derived_keep=BLOCKS_KEEP,
        resync=keys.mempool_resync,
        beginning=MempoolReset.TYPE.encode(),
    )
    fold = MempoolFold(keys)
    await Consumer(service, source, fold, Stored(service, fold)).run()

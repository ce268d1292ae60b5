"""mempool: folds mempool events into totals, fees, projected blocks and the largest transactions."""

from __future__ import annotations

import asyncio

from mempool.fold import MempoolFold
from mempool.watch import Watch
from shared.consumer import Consumer
from shared.events.mempool import MEMPOOL, MempoolReset
from shared.fold import Source
from shared.keys import BLOCKS_KEEP
from shared.service import Service
from shared.tasks import end


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
    folding = asyncio.create_task(Consumer(service, source, fold).run(), name="fold")
    watching = asyncio.create_task(Watch(service, fold).run(), name="watch")
    try:  # the fold ends by itself, once what it is at is committed; the rest only by failing
        await asyncio.wait((folding, watching), return_when=asyncio.FIRST_COMPLETED)
        if not watching.done() or service.stopping.is_set():
            await folding
    finally:
        results = await end(folding, watching)
    for result in results:
        if isinstance(result, Exception):
            raise result

"""chain-metrics: folds block events into the views of the chain."""

from __future__ import annotations

import asyncio

from chain_metrics.fold import ChainFold
from chain_metrics.watch import Watch
from shared.consumer import Consumer
from shared.events.blocks import BLOCKS, HeadersLoaded
from shared.fold import Source
from shared.keys import BLOCKS_KEEP
from shared.service import Service
from shared.tasks import end


async def run(service: Service) -> None:
    """Fold until the service is told to stop."""
    keys = service.keys
    source = Source(
        domain="chain",
        stream=keys.blocks,
        family=BLOCKS,
        checkpoint=keys.chain_checkpoint,
        derived=keys.metrics,
        derived_keep=BLOCKS_KEEP,
        resync=keys.chain_resync,
        beginning=HeadersLoaded.TYPE.encode(),
    )
    fold = ChainFold(keys)
    folding = asyncio.create_task(Consumer(service, source, fold).run(), name="fold")
    watching = asyncio.create_task(Watch(service, fold).run(), name="watch")
    try:  # the fold ends by itself, once what it is at is committed; the watch only by failing
        await asyncio.wait((folding, watching), return_when=asyncio.FIRST_COMPLETED)
    finally:
        results = await end(folding, watching)
    for result in results:
        if isinstance(result, Exception):
            raise result

"""chain-metrics: folds block events into the views of the chain."""

from __future__ import annotations

from chain_metrics.fold import ChainFold
from chain_metrics.stored import Stored
from shared.consumer import Consumer
from shared.events.blocks import BLOCKS, HeadersLoaded
from shared.fold import Source
from shared.keys import BLOCKS_KEEP
from shared.service import Service


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
    await Consumer(service, source, fold, Stored(service, fold)).run()

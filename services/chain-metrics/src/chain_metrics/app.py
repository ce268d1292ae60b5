"""chain-metrics: folds block events into the views of the chain."""

from __future__ import annotations

from chain_metrics.fold import ChainFold
from chain_metrics.stored import Stored
from shared.consumer import Consumer
from shared.domains import CHAIN
from shared.fold import Wiring
from shared.service import Service


async def run(service: Service) -> None:
    """Fold until the service is told to stop."""
    fold = ChainFold(service.keys)
    await Consumer(service, Wiring.of(CHAIN, service.keys), fold, Stored(service, fold)).run()

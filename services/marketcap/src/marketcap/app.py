"""marketcap: asks what assets are worth and who holds bitcoin, and ranks Bitcoin among them."""

from __future__ import annotations

from marketcap import published
from marketcap.desk import Desk
from marketcap.fold import PUBLISHED, RankingFold
from marketcap.stored import Stored
from shared.consumer import Consumer
from shared.domains import MARKETCAP
from shared.fold import Wiring
from shared.health import parts
from shared.outside.client import Outside
from shared.service import Service
from shared.tasks import together


async def run(service: Service) -> None:
    """Ask, fold and publish until the service is told to stop."""
    asking, folding = parts(service, 2)
    fold = RankingFold(service.keys, {**PUBLISHED, **published.demonstrated()})
    async with Outside(service) as outside:
        consumer = Consumer(folding, Wiring.of(MARKETCAP, service.keys), fold, Stored(folding, fold))
        await together(Desk(asking, outside).run(), consumer.run())

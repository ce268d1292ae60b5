"""explorer: keeps what happened to transactions."""

from __future__ import annotations

from explorer.timeline.fold import TimelineFold
from explorer.timeline.stored import Stored
from shared.consumer import Consumer
from shared.domains import TIMELINE
from shared.fold import Wiring
from shared.service import Service


async def run(service: Service) -> None:
    """Fold until the service is told to stop."""
    settings = service.settings
    fold = TimelineFold(service.keys, settings.timeline_days, settings.timeline_memory)
    await Consumer(service, Wiring.of(TIMELINE, service.keys), fold, Stored(service, fold)).run()

"""Services that report and a node that confirms for as long as a test wants, as in a dashboard at work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from shared.domains import SLOTS
from shared.tasks import end
from shared.views import Health
from support.web_samples import Writer


class WellBeing:
    """`confirmed` are the domains that the node confirms: take one out, and its figures age."""

    def __init__(self, writer: Writer) -> None:
        self.confirmed: set[str] = set(SLOTS)
        self.trouble: Health | None = None  # the heartbeat of one that is not well
        self._writer = writer

    async def tell(self) -> None:
        """Every service's heartbeat, and what the node confirms."""
        await self._writer.all_well()
        if self.trouble is not None:
            await self._writer.health(self.trouble)
        for domain in SLOTS:
            if domain in self.confirmed:
                await self._writer.confirm(domain)

    async def keep_telling(self) -> None:
        while True:
            await self.tell()
            await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def well(writer: Writer) -> AsyncIterator[WellBeing]:
    """All is well until the end, or until something is taken out."""
    being = WellBeing(writer)
    await being.tell()
    task = asyncio.create_task(being.keep_telling())
    try:
        yield being
    finally:
        await end(task)

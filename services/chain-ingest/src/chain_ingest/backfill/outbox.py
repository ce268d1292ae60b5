"""The stream to chain-history, bounded: a worker waits while the fold has enough to do."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from shared import domains
from shared.events.base import Event, entry_fields
from shared.keys import BACKFILL_CAP
from shared.redis import TROUBLE
from shared.service import Service
from shared.trouble import RedisTrouble

WAIT_SECONDS: Final = 0.1
"""Between two looks whether there is room."""

RETRY_SECONDS: Final = 30.0
"""How long what was fetched is kept while Redis refuses it; then it is fetched again."""

_ADD: Final = """
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
return 1
"""


class Outbox:
    """Publishes to the backfill's stream. An entry may be there twice, after a lost reply; the fold takes it once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stream = service.keys.stream(domains.BACKFILL)
        self._trouble = RedisTrouble(service)
        self._add = service.redis.register_script(_ADD)

    async def put(self, event: Event) -> None:
        """Publish as soon as there is room; raises one of TROUBLE where Redis refuses for RETRY_SECONDS."""
        arguments = [BACKFILL_CAP, *entry_fields(event, 0)]  # seq 0: there is no order that could show a hole
        deadline = time.monotonic() + RETRY_SECONDS
        waited = False
        while True:
            try:
                if await self._add(keys=[self._stream], args=arguments):
                    break
            except TROUBLE as error:
                if time.monotonic() > deadline:
                    raise
                waited = True
                await self._trouble.wait_out(error)
            else:
                deadline = time.monotonic() + RETRY_SECONDS
                waited = True
                self._service.health.ok(paused=f"chain-history has {BACKFILL_CAP} entries to fold")
                await asyncio.sleep(WAIT_SECONDS)
        self._trouble.ended()
        if waited:
            self._service.health.ok(paused=None)

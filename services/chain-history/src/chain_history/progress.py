"""How far the backfill is: done, total, rate and time left, in the heartbeat, the log and Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

import prometheus_client

from chain_history.store import Store
from shared.service import Service

EVERY_SECONDS: Final = 2.0
LOG_SECONDS: Final = 30.0
WINDOW_SECONDS: Final = 60.0
"""The rate is taken over this time."""

BLOCKS = prometheus_client.Gauge("dashboard_history_blocks", "Blocks of the chain by what is known of them", ["known"])
RATE = prometheus_client.Gauge("dashboard_history_blocks_per_second", "Blocks measured a second, over a minute")
LEFT = prometheus_client.Gauge("dashboard_history_seconds_left", "Estimated time until every block is measured")


class Progress:
    """Looks at the store every EVERY_SECONDS."""

    def __init__(self, service: Service, store: Store) -> None:
        self._service = service
        self._store = store
        self._seen: deque[tuple[float, int]] = deque()
        self._logged = 0.0

    async def tell(self) -> None:
        """Tell until cancelled: as long as there is a fold to tell of."""
        while True:
            self.look(time.monotonic())
            await asyncio.sleep(EVERY_SECONDS)

    def look(self, now: float) -> None:
        """Say how far it is."""
        store = self._store
        total = store.spine.tip + 1
        if not total:
            return
        headers, done, gone = len(store.spine), len(store.measured) - len(store.lost), len(store.given_up)
        rate = self._rate(now, done)
        left = total - done - gone
        seconds_left = round(left / rate) if rate and left else None
        BLOCKS.labels("header").set(headers)
        BLOCKS.labels("measured").set(done)
        BLOCKS.labels("unavailable").set(gone)
        BLOCKS.labels("missing").set(left)
        RATE.set(rate)
        LEFT.set(seconds_left or 0)
        self._service.health.note(
            headers=headers,
            done=done,
            total=total - gone,
            blocks_per_second=round(rate, 1),
            seconds_left=0 if not left else seconds_left,
        )
        if left and now - self._logged >= LOG_SECONDS:
            self._logged = now
            self._service.log.info(
                "backfill_progress",
                headers=headers,
                done=done,
                total=total - gone,
                blocks_per_second=round(rate, 1),
                seconds_left=seconds_left,
            )

    def _rate(self, now: float, done: int) -> float:
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # begun anew
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return (done - before) / (now - since) if now > since else 0.0

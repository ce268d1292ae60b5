"""What chain-history says it has, and how far the backfill is: in the heartbeat, the log and for Prometheus."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import msgspec
import prometheus_client

from shared import domains
from shared.logging import Trouble
from shared.service import Service
from shared.views import HistoryView

LOG_SECONDS: Final = 30.0
"""Between two lines of the log that say how far it is."""

RATE_SECONDS: Final = 15.0
"""What the rate is averaged over."""

_BLOCKS = prometheus_client.Counter("dashboard_backfill_blocks_total", "Past blocks measured by this worker")
_HEADERS = prometheus_client.Counter("dashboard_backfill_headers_total", "Past headers collected by this worker")


class Progress:
    """Reads the view; counts what this worker adds to it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._decoder = msgspec.json.Decoder(HistoryView)
        self._trouble = Trouble(service.log, "history_view")
        self._recent: deque[tuple[float, int]] = deque(maxlen=1_024)  # when, blocks
        self._blocks = self._headers = 0  # by this worker, since the last line
        self._began = self._logged = time.monotonic()
        self._measured: int | None = None  # as the last line said

    async def look(self) -> HistoryView | None:
        """The view as it stands now; None where chain-history has not written one, or not one that can be read."""
        raw: bytes | None = await self._service.redis.hget(self._service.keys.views(domains.HISTORY), "history")
        if raw is None:
            return None
        try:
            view = self._decoder.decode(raw)
        except msgspec.MsgspecError as error:  # of another version, or overwritten by a hand
            self._trouble.failed(f"the view of chain-history cannot be read: {error}")
            return None
        self._trouble.ended()
        self._report(view)
        return view

    def add_blocks(self, count: int) -> None:
        """This worker measured so many more."""
        _BLOCKS.inc(count)
        self._blocks += count
        self._recent.append((time.monotonic(), count))

    def add_headers(self, count: int) -> None:
        """This worker collected so many more."""
        _HEADERS.inc(count)
        self._headers += count

    def _rate(self, now: float) -> float:
        while self._recent and now - self._recent[0][0] > RATE_SECONDS:
            self._recent.popleft()
        return round(sum(count for _, count in self._recent) / max(min(now - self._began, RATE_SECONDS), 1.0), 1)

    def _report(self, view: HistoryView) -> None:
        now = time.monotonic()
        rate = self._rate(now)
        done, total = view.measured, view.height + 1
        self._service.health.note(
            done=done, total=total, first_header=view.first_header, blocks_per_second=rate, unavailable=view.unavailable
        )
        if self._measured is None:
            self._measured = view.measured
        if now - self._logged < LOG_SECONDS:
            return
        if self._blocks or self._headers:
            together = (view.measured - self._measured) / (now - self._logged)  # of all workers
            self._service.log.info(
                "backfill_progress",
                done=done,
                total=total,
                first_header=view.first_header,
                blocks=self._blocks,
                headers=self._headers,
                blocks_per_second=rate,
                seconds_left=round((total - done - view.unavailable) / together) if together > 0 else None,
            )
        self._logged, self._measured = now, view.measured
        self._blocks = self._headers = 0

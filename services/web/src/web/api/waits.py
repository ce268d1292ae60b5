"""`/api/v1/fees/waits`: how long each feerate took lately until a transaction was mined."""

from __future__ import annotations

from typing import Final

import msgspec

from shared.domains import TIMELINE
from shared.explorer_views import WaitsView
from web.endpoints import Endpoints
from web.http.answers import RETRY_AFTER, Answer, document, error
from web.state import conditions
from web.state.snapshot import Snapshot

ENDPOINTS: Final = Endpoints()


@ENDPOINTS.get("/api/v1/fees/waits", shows=(TIMELINE.name, "truth"), domains=(TIMELINE.name,))
def waits(s: Snapshot, now: float) -> Answer:
    """Every band of feerates; times in seconds, null where too few were mined to tell."""
    view = s[WaitsView]
    if view is None:
        return error(503, "not_available", conditions.absence(s, now, TIMELINE).why, retry_after=RETRY_AFTER)
    return document(
        {
            "since": view.since_ms // 1000,
            "recorded_since": view.recorded_ms // 1000,
            "as_of": view.as_of_ms // 1000,
            "bands": msgspec.to_builtins(view.bands),
        }
    )

"""How every service is, and whether web is ready."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from shared.views import HistoryView
from web.endpoints import Endpoints
from web.http.answers import RETRY_AFTER, Answer, document, error, private
from web.state import conditions, outside
from web.state.backfill import backfill
from web.state.reading import State
from web.state.snapshot import PARTS, Snapshot, is_down

ENDPOINTS: Final = Endpoints()


@ENDPOINTS.for_both("/api/v1/status", shows=PARTS)
def status(state: State) -> Answer:
    """`/api/v1/status`: heartbeats, streams, Redis, and what is wrong. No other origin may read it."""
    s, notices, now = state.snapshot, state.notices, state.now
    told = document(
        {
            "network": s.network.name,
            "ready": not conditions.unready(s, now),
            "notices": [{"kind": n.kind, "title": n.title, "text": n.text, "since": n.since} for n in notices],
            "services": [_service(health, now, public=s.public) for health in s.services],
            "streams": [
                {
                    "name": stream.name,
                    **({} if s.public else {"key": stream.key}),
                    "length": stream.length,
                    "entries_added": stream.added,
                    "last_id": stream.last_id or None,
                    "error": stream.error or None,
                    "groups": [
                        {"name": g.name, "lag": g.lag, "pending": g.pending, "consumers": g.consumers}
                        for g in stream.groups
                    ],
                }
                for stream in s.streams
            ],
            "dead_letters": s.dead,
            "history": _history(s),
            "sources": _sources(s),
            "redis": {
                "ok": not s.redis_error and bool(s.read_at),
                "error": s.redis_error or None,
                "software": s.redis.software if s.redis else None,
                "version": s.redis.version if s.redis else None,
                "memory": s.redis.memory if s.redis else None,
                "eviction": (s.redis.eviction or None) if s.redis else None,
            },
            "truth": {
                domain: {
                    "as_of": None if truth.true_ms is None else truth.true_ms // 1000,
                    "node": truth.node or None,
                    "incomplete": truth.incomplete or None,
                }
                for domain, truth in s.truth.items()
            },
            "as_of": int(s.read_at),
        }
    )
    return private(told)


def _sources(s: Snapshot) -> list[dict[str, Any]]:
    """Who is asked outside, and how each has answered. Moments in Unix milliseconds."""
    return [msgspec.to_builtins(one) for one in outside.sources(s)]


def _history(s: Snapshot) -> dict[str, Any] | None:
    """How far the chain's history reaches, and what is left to fetch; null while nothing is known."""
    history, progress = s[HistoryView], backfill(s)
    if history is None or progress is None:
        return None
    return {
        "height": history.height,
        "first_header": history.first_header,
        "measured": progress.measured,
        "missing": progress.missing,
        "unavailable": progress.unavailable,
        "total": progress.total,
        "progress_percent": progress.percent,
        "measured_from": history.measured_from,
        "measured_from_time": history.measured_from_time,
        "complete": history.complete,
        "blocks_per_second": progress.rate,
        "seconds_left": progress.seconds_left,
    }


def _service(health: Any, now: float, *, public: bool) -> dict[str, Any]:
    down = is_down(health, now)
    told = {**msgspec.to_builtins(health), "state": "down" if down else health.state}
    return {name: value for name, value in told.items() if not (public and name in ("pid", "version"))}


def readiness(s: Snapshot, now: float, broken: Iterable[str]) -> Answer:
    """`/readyz`: 200 when the state is present, true now and can be shown, else 503 with the reasons."""
    reasons = [*conditions.unready(s, now), *broken]
    if reasons:
        return error(503, "not_ready", "; ".join(reasons), retry_after=RETRY_AFTER)
    return document({"status": "ready"})

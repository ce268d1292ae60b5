"""The JSON documents: pure functions of a snapshot. Shapes and units of mempool.space and Esplora where they have one.

Compatible paths: mempool/mempool backend (`backend/src/api/difficulty-adjustment.ts`, `mempool-blocks.ts`) and
Blockstream/esplora `API.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from shared.networks import RETARGET_INTERVAL, TARGET_SPACING
from web.http.answers import Answer, compatible_error, document, error, plain
from web.state import conditions
from web.state.backfill import backfill
from web.state.snapshot import Notice, Snapshot, is_down

RETRY_AFTER: Final = 5
"""Seconds that a client is asked to wait for a part that is not available yet."""

TESTNET_MAX_SPACING: Final = 1_200
"""Seconds after which testnet allows a block of minimum difficulty (bitcoin/src/pow.cpp)."""


def overview(s: Snapshot, now: float) -> Answer:
    """`/api/v1/overview`: what there is, null for what there is not yet, 503 only when there is nothing at all.

    `as_of` is when all of it was last known to be true, null where nobody has confirmed it.
    """
    if s.empty:
        return error(503, "not_available", _why(s), retry_after=RETRY_AFTER)
    nearest = s.halving.upcoming[0] if s.halving and s.halving.upcoming else None
    moments = [s.truth[domain].true_ms for domain in s.shown]
    known = [moment for moment in moments if moment is not None]
    return document(
        {
            "network": s.network.name,
            "chain": s.tip
            and {
                "height": s.tip.height,
                "hash": s.tip.hash,
                "time": s.tip.time,
                "difficulty": s.tip.difficulty,
                "hashrate": s.tip.hashrate,
                "supply": s.tip.supply,
            },
            "halving": nearest
            and {
                "height": nearest.height,
                "blocks_remaining": nearest.blocks_remaining,
                "estimated_time": nearest.estimated_time,
                "subsidy": nearest.subsidy,
            },
            "retarget": s.retarget
            and {
                "height": s.retarget.height,
                "blocks_remaining": s.retarget.blocks_remaining,
                "progress_percent": s.retarget.progress_percent,
                "difficulty_change_percent": s.retarget.difficulty_change_percent,
                "estimated_time": s.retarget.estimated_time,
            },
            "mempool": s.mempool
            and {
                "count": s.mempool.count,
                "vsize": s.mempool.vsize,
                "total_fee": s.mempool.total_fee,
                "min_fee_rate": s.mempool.min_fee_rate,
            },
            "fees": None if s.fees is None or conditions.forsaken(s, now) else msgspec.to_builtins(s.fees.recommended),
            "prices": None,
            "as_of": min(known) // 1000 if len(known) == len(moments) else None,
        }
    )


def fees_recommended(s: Snapshot, now: float) -> Answer:
    """`/api/v1/fees/recommended` of mempool.space: whole sat/vB."""
    if s.fees is None or conditions.forsaken(s, now):
        return _unavailable()
    return document(msgspec.to_builtins(s.fees.recommended))


def fees_precise(s: Snapshot, now: float) -> Answer:
    """`/api/v1/fees/precise` of mempool.space: the same with decimals, down to what the node accepts."""
    if s.fees is None or s.fees.precise is None or conditions.forsaken(s, now):
        return _unavailable()
    return document(msgspec.to_builtins(s.fees.precise))


def fees_mempool_blocks(s: Snapshot, now: float) -> Answer:
    """`/api/v1/fees/mempool-blocks` of mempool.space."""
    if s.fees is None or conditions.forsaken(s, now):
        return _unavailable()
    return document(
        [
            {
                "blockSize": block.size,
                "blockVSize": block.vsize,
                "nTx": block.tx_count,
                "totalFees": block.total_fees,
                "medianFee": block.median_fee_rate,
                "feeRange": block.fee_range,
            }
            for block in s.fees.projected_blocks
        ]
    )


def difficulty_adjustment(s: Snapshot, now: float) -> Answer:
    """`/api/v1/difficulty-adjustment` of mempool.space: milliseconds, but `previousTime` in seconds."""
    if s.retarget is None or s.tip is None:
        return _unavailable()
    view = s.retarget
    seconds = int(now)
    remaining = view.height - s.tip.height
    average = view.average_block_time_ms
    offset = 0
    if s.network.name in ("test", "testnet4"):
        average = min(average, TESTNET_MAX_SPACING * 1000)
        waited = seconds - s.tip.time
        if waited + average / 1000 > TESTNET_MAX_SPACING:
            offset = -min(waited, TESTNET_MAX_SPACING) * 1000
    return document(
        {
            "progressPercent": (RETARGET_INTERVAL - remaining) / RETARGET_INTERVAL * 100,
            "difficultyChange": view.difficulty_change_percent,
            "estimatedRetargetDate": remaining * average + seconds * 1000,
            "remainingBlocks": remaining,
            "remainingTime": remaining * average,
            "previousRetarget": view.previous_change_percent or 0,
            "previousTime": view.start_time,
            "nextRetargetHeight": view.height,
            "timeAvg": average,
            "adjustedTimeAvg": average,
            "timeOffset": offset,
            "expectedBlocks": max(0, seconds - view.start_time) / TARGET_SPACING,
        }
    )


def mempool(s: Snapshot, now: float) -> Answer:
    """`/api/mempool` of Esplora: `fee_histogram` is pairs of sat/vB and vB, highest feerate first."""
    if s.mempool is None or s.fees is None or conditions.forsaken(s, now):
        return _unavailable()
    return document(
        {
            "count": s.mempool.count,
            "vsize": s.mempool.vsize,
            "total_fee": s.mempool.total_fee,
            "fee_histogram": s.fees.fee_histogram,
        }
    )


def tip_height(s: Snapshot, now: float) -> Answer:
    """`/api/blocks/tip/height` of Esplora: plain text."""
    del now
    return plain(str(s.tip.height)) if s.tip else _unavailable()


def tip_hash(s: Snapshot, now: float) -> Answer:
    """`/api/blocks/tip/hash` of Esplora: plain text."""
    del now
    return plain(s.tip.hash) if s.tip else _unavailable()


def status(s: Snapshot, notices: tuple[Notice, ...], now: float) -> Answer:
    """`/api/v1/status`: heartbeats, streams, Redis, and what is wrong."""
    return document(
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


def _history(s: Snapshot) -> dict[str, Any] | None:
    """How far the chain's history reaches, and what is left to fetch; null while nothing is known."""
    progress = backfill(s)
    if s.history is None or progress is None:
        return None
    return {
        "height": s.history.height,
        "first_header": s.history.first_header,
        "measured": progress.measured,
        "missing": progress.missing,
        "unavailable": progress.unavailable,
        "total": progress.total,
        "progress_percent": progress.percent,
        "measured_from": s.history.measured_from,
        "measured_from_time": s.history.measured_from_time,
        "complete": s.history.complete,
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


def _why(s: Snapshot) -> str:
    if s.redis_error:
        return s.redis_error
    return "No state yet: the services have not published anything"


def _unavailable() -> Answer:
    return compatible_error(503, "Service Unavailable", retry_after=RETRY_AFTER)

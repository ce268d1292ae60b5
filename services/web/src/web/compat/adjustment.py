"""The next difficulty adjustment as mempool.space has it (its backend: `difficulty-adjustment.ts`)."""

from __future__ import annotations

from typing import Final

from shared.networks import RETARGET_INTERVAL, TARGET_SPACING
from shared.views import RetargetView, TipView
from web.compat.answers import unavailable
from web.endpoints import Endpoints
from web.http.answers import Answer, document
from web.state.snapshot import Snapshot

ENDPOINTS: Final = Endpoints()

TESTNET_MAX_SPACING: Final = 1_200
"""Seconds after which testnet allows a block of minimum difficulty (bitcoin/src/pow.cpp)."""


@ENDPOINTS.get("/api/v1/difficulty-adjustment", shows=("chain",), domains=("chain",), max_age=1.0)
def difficulty_adjustment(s: Snapshot, now: float) -> Answer:
    """`/api/v1/difficulty-adjustment` of mempool.space: milliseconds, but `previousTime` in seconds."""
    view, tip = s[RetargetView], s[TipView]
    if view is None or tip is None:
        return unavailable()
    seconds = int(now)
    remaining = view.height - tip.height
    average = view.average_block_time_ms
    offset = 0
    if s.network.name in ("test", "testnet4"):
        average = min(average, TESTNET_MAX_SPACING * 1000)
        waited = seconds - tip.time
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

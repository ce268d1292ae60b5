"""Headers down to genesis, in bulk: difficulty and hashrate of all times within seconds."""

from __future__ import annotations

import time
from typing import Final

from chain_ingest.backfill.claims import Claim, Claims
from chain_ingest.backfill.outbox import Outbox
from chain_ingest.backfill.progress import Progress
from chain_ingest.block import HEADER, header_hash
from chain_ingest.source import Source
from shared.errors import RpcRefused
from shared.events.backfill import HeadersCollected
from shared.views import HistoryView

CHUNK: Final = 2_000
"""Headers in one entry: what the node's REST gives at once."""

RETRY_SECONDS: Final = 2.0
"""Pause after headers that do not link: a reorganisation is not folded yet."""

_TAIL: Final = 16
"""Hex digits of a hash that the event carries."""


class HeaderCollector:
    """Goes down from the lowest known header, one worker at a time, without waiting for the fold."""

    def __init__(self, claims: Claims, outbox: Outbox, progress: Progress) -> None:
        self._claims = claims
        self._outbox = outbox
        self._progress = progress
        self._not_before = 0.0

    async def collect(self, source: Source, view: HistoryView) -> bool:
        """Publish what is missing below `view`; False where nothing is, or somebody else is at it."""
        if view.first_header <= 0 or time.monotonic() < self._not_before:
            return False
        claim = await self._claims.take("headers")
        if claim is None:
            return False
        async with claim:
            if await self._descend(source, view, claim):
                claim.leave()
        return True

    async def _descend(self, source: Source, view: HistoryView, claim: Claim) -> bool:
        """Whether genesis was reached."""
        top, expected, known = view.first_header - 1, view.floor_hash, view.first_header
        while top >= 0:
            latest = await self._progress.look()
            if claim.lost or latest is None or latest.first_header > known:
                return False  # somebody else is at it, or chain-history has begun anew
            known = latest.first_header
            first = max(0, top - CHUNK + 1)
            try:
                raw = await source.headers(first, top - first + 1)
            except RpcRefused:
                raw = b""  # the node's chain is shorter now
            event = linked(first, raw, expected)
            if event is None:
                self._not_before = time.monotonic() + RETRY_SECONDS
                return False
            await self._outbox.put(event)
            self._progress.add_headers(len(event.headers))
            top, expected = first - 1, event.prev_hash
        return True


def linked(first: int, raw: bytes, tip_hash: str) -> HeadersCollected | None:
    """Serialised headers from height `first` up as an event; None where they are no chain that ends in `tip_hash`."""
    headers: list[tuple[int, int, str]] = []
    prev_hash = expected = ""
    for at in range(0, len(raw), HEADER):
        header = raw[at : at + HEADER]
        prev = header[4:36][::-1].hex()
        if at == 0:
            prev_hash = prev if first else ""  # genesis has none
        elif prev != expected:
            return None
        expected = header_hash(header)
        headers.append(
            (int.from_bytes(header[68:72], "little"), int.from_bytes(header[72:76], "little"), expected[-_TAIL:])
        )
    if not headers or expected != tip_hash:
        return None
    return HeadersCollected(height=first, prev_hash=prev_hash, tip_hash=tip_hash, headers=headers)

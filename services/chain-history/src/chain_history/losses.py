"""Whether what was committed is still there: a key may be evicted, or deleted by a hand, and nobody says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from chain_history import state
from shared import domains, redis
from shared.keys import Keys
from shared.series import CHAIN_SERIES
from shared.watch import Losses, Segment

_SCRIPT: Final = """
local found = {
  redis.call('HGET', KEYS[1], 'state'), redis.call('HLEN', KEYS[1]), redis.call('HLEN', KEYS[2]),
  redis.call('HLEN', KEYS[3]), redis.call('HLEN', KEYS[4]), redis.call('EXISTS', KEYS[5]),
  redis.call('SCARD', KEYS[6]), redis.call('HLEN', KEYS[7]), redis.call('EXISTS', KEYS[8])
}
for at = 9, #KEYS do
  local listed = redis.call('SISMEMBER', KEYS[6], ARGV[at - 8]) == 1
  found[#found + 1] = listed and redis.call('STRLEN', KEYS[at]) or -1
end
return found
"""
"""All in one moment, between two commits."""

LENGTHS: Final = {series.name: series.size for series in CHAIN_SERIES}
"""Bytes of a segment: each is written whole."""


async def look(client: redis.Client, keys: Keys, segments: Sequence[Segment]) -> Losses:
    """Hold what is recorded against what is there; of the series these segments only."""
    hashes = (
        keys.state(domains.HISTORY), keys.history_recent, keys.history_largest, keys.history_pools,
        keys.views(domains.HISTORY), keys.series_index("chain"), keys.series_layouts("chain"),
        keys.checkpoint(domains.HISTORY),
    )  # fmt: skip
    members = [f"{name}:{segment}" for name, segment in segments]
    strings = [keys.series("chain", name, segment) for name, segment in segments]
    found: list[Any] = await client.eval(_SCRIPT, len(hashes) + len(strings), *hashes, *strings, *members)
    raw, lengths = found[0], found[len(hashes) + 1 :]
    if raw is None:
        return Losses({"state"})
    try:
        counts = state.decode(raw).counts
    except msgspec.MsgspecError:  # overwritten by a hand: as good as gone
        return Losses({"state"})
    losses = Losses(set() if counts is None else parts(counts, *found[1 : len(hashes) + 1]))
    for (name, segment), length in zip(segments, lengths, strict=True):
        if length not in {-1, LENGTHS[name]}:  # -1: not committed yet, or not any more
            losses.segments.append((name, segment))
    return losses


def parts(
    counts: state.Counts,
    names: int,
    recent: int,
    largest: int,
    pools: int,
    views: int,
    segments: int,
    layouts: int,
    checkpoint: int,
) -> set[str]:
    """Which parts are not what the record says; the numbers are of what is there."""
    missing = {
        "state": names != counts.names + 1,
        "recent": recent != counts.recent,
        "largest": largest != counts.largest,
        "pools": pools != counts.pools,
        "views": counts.views and not views,
        "index": segments != counts.segments,
        "layouts": layouts < counts.layouts,
        "checkpoint": not checkpoint,  # the next commit is refused, and all begins anew
    }
    return {part for part, gone in missing.items() if gone}

"""Events of `{net:chain}:backfill`, from the backfill's workers to chain-history.

They come in no particular order and perhaps twice; each says which block it is about, so the fold takes what fits the
best chain and what it has not had yet. Entries are deleted once they are folded.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shared.events.base import Event, Family
from shared.events.blocks import LargestTx


class HeadersCollected(Event, frozen=True, kw_only=True, gc=False):
    """Consecutive headers of the best chain that end right below those that are known."""

    TYPE: ClassVar[str] = "headers.collected"

    height: int  # of the first
    prev_hash: str  # of the first; empty for the genesis block
    tip_hash: str  # of the last
    headers: list[tuple[int, int, str]]  # (time, compact bits, last 16 hex digits of the hash)


class MeasuredBlock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One block's statistics, as in `block.connected`."""

    height: int
    hash: str
    time: int  # Unix seconds
    tx_count: int
    size: int  # bytes
    weight: int  # weight units
    inputs: int  # coinbase excluded
    outputs: int  # coinbase included, as `getblockstats` counts them
    output_value: int  # satoshi, coinbase excluded
    fees: int  # satoshi
    fee_rate_percentiles: list[int]  # sat/vB at 10, 25, 50, 75, 90 % of the block's weight
    fee_rate_avg: int  # sat/vB
    output_bands: list[int]  # outputs by value (shared.bands.VALUE_BOUNDS), coinbase excluded
    pool: str | None
    largest: list[LargestTx]  # up to 50, largest first, coinbase excluded


class BlocksMeasured(Event, frozen=True, kw_only=True, gc=False):
    """Statistics of blocks, in any order."""

    TYPE: ClassVar[str] = "blocks.measured"

    blocks: list[MeasuredBlock]


class BlocksUnavailable(Event, frozen=True, kw_only=True, gc=False):
    """No node can give these blocks: they were pruned, or cannot be read."""

    TYPE: ClassVar[str] = "blocks.unavailable"

    first: int  # height
    last: int  # height
    reason: str


class HistoryReset(Event, frozen=True, kw_only=True, gc=False):
    """Forget every series and begin anew, asked for by a person."""

    TYPE: ClassVar[str] = "history.reset"

    cause: str


BACKFILL = Family(HeadersCollected, BlocksMeasured, BlocksUnavailable, HistoryReset)

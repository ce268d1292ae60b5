"""Events of `{net:chain}:backfill`, from the backfill's workers to chain-history.

They come in no particular order and perhaps twice; each says which block it is about, so the fold takes what fits the
best chain and what it has not had yet. Entries are deleted once they are folded.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shared.events.base import (
    Bits,
    Count,
    Event,
    Family,
    Hash,
    HashOrNone,
    HashTail,
    Height,
    Percentiles,
    Rate,
    Satoshi,
    Size,
    Turnover,
    UnixSeconds,
    Weight,
)
from shared.events.blocks import LargestTx


class HeadersCollected(Event, frozen=True, kw_only=True, gc=False):
    """Consecutive headers of the best chain that end right below those that are known."""

    TYPE: ClassVar[str] = "headers.collected"

    height: Height  # of the first
    prev_hash: HashOrNone  # of the first; empty for the genesis block
    tip_hash: Hash  # of the last
    headers: list[tuple[UnixSeconds, Bits, HashTail]]  # (time, compact bits, last 16 hex digits of the hash)


class MeasuredBlock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One block's statistics, as in `block.connected`."""

    height: Height
    hash: Hash
    time: UnixSeconds  # Unix seconds
    tx_count: Count
    size: Size  # bytes
    weight: Weight  # weight units
    inputs: Count  # coinbase excluded
    outputs: Count  # coinbase included, as `getblockstats` counts them
    output_value: Turnover  # satoshi, coinbase excluded
    fees: Satoshi  # satoshi
    fee_rate_percentiles: Percentiles  # sat/vB at 10, 25, 50, 75, 90 % of the block's weight
    fee_rate_avg: Rate  # sat/vB
    output_bands: list[Count]  # outputs by value (shared.bands.VALUE_BOUNDS), coinbase excluded
    pool: str | None
    largest: list[LargestTx]  # up to 50, largest first, coinbase excluded


class BlocksMeasured(Event, frozen=True, kw_only=True, gc=False):
    """Statistics of blocks, in any order."""

    TYPE: ClassVar[str] = "blocks.measured"

    blocks: list[MeasuredBlock]


class BlocksUnavailable(Event, frozen=True, kw_only=True, gc=False):
    """No node that answers gives these blocks, pruned or not readable; they are taken if one does later."""

    TYPE: ClassVar[str] = "blocks.unavailable"

    first: Height  # height
    last: Height  # height
    reason: str


class HistoryReset(Event, frozen=True, kw_only=True, gc=False):
    """Forget every series and begin anew, asked for by a person."""

    TYPE: ClassVar[str] = "history.reset"

    cause: str


BACKFILL = Family(HeadersCollected, BlocksMeasured, BlocksUnavailable, HistoryReset)

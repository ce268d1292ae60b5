"""Events of `{net:chain}:blocks`, published by chain-ingest."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shared.events.base import (
    Bits,
    Count,
    Difficulty,
    Event,
    Family,
    Hash,
    HashOrNone,
    Height,
    HexBits,
    Percentiles,
    Rate,
    Satoshi,
    Size,
    Turnover,
    UnixSeconds,
    Weight,
    Work,
)


class LargestTx(msgspec.Struct, frozen=True, gc=False):
    """One of the block's largest transactions."""

    txid: Hash
    value: Satoshi  # sum of its outputs, satoshi


class HeadersLoaded(Event, frozen=True, kw_only=True, gc=False):
    """A new beginning: a reader drops what it knows and starts from these headers.

    The blocks above follow as `block.connected`. Published at the first start, and where the published chain has
    no ancestor in common with the node's that is still known.
    """

    TYPE: ClassVar[str] = "headers.loaded"

    height: Height  # of the first header
    headers: list[tuple[UnixSeconds, Bits]]  # (time, compact bits) of each height from `height` on
    tip_hash: Hash  # of the last header
    chainwork: Work  # of the last header, hex
    median_time: UnixSeconds  # of the last header
    node: str
    hashes: list[Hash] = msgspec.field(default_factory=list)  # of the same headers
    prev_hash: HashOrNone = ""  # of the first header; empty for the genesis block


class BlockConnected(Event, frozen=True, kw_only=True, gc=False):
    """A block became part of the best chain; always on top of the one before."""

    TYPE: ClassVar[str] = "block.connected"

    height: Height
    hash: Hash
    prev_hash: HashOrNone
    time: UnixSeconds  # the block's own, Unix seconds
    median_time: UnixSeconds  # of the last 11 blocks
    bits: HexBits  # compact target, hex
    difficulty: Difficulty
    chainwork: Work  # hex
    tx_count: Count
    size: Size  # bytes
    weight: Weight  # weight units
    inputs: Count  # coinbase excluded
    outputs: Count
    output_value: Turnover  # satoshi, coinbase excluded
    subsidy: Satoshi  # satoshi
    fees: Satoshi  # satoshi
    fee_rate_percentiles: Percentiles  # sat/vB at 10, 25, 50, 75, 90 % of the block's weight
    fee_rate_avg: Rate  # sat/vB
    coinbase_tag: str  # printable ASCII of the coinbase script
    pool: str | None  # name, where tag or address is known
    largest: list[LargestTx]  # up to 50, largest first, coinbase excluded
    node: str
    output_bands: list[Count] = msgspec.field(default_factory=list)  # outputs by value: shared.bands.VALUE_BOUNDS


class BlockDisconnected(Event, frozen=True, kw_only=True, gc=False):
    """The tip left the best chain in a reorganisation; its `prev_hash` is the tip now."""

    TYPE: ClassVar[str] = "block.disconnected"

    height: Height
    hash: Hash
    prev_hash: HashOrNone
    node: str


BLOCKS = Family(HeadersLoaded, BlockConnected, BlockDisconnected)

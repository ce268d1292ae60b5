"""Events of `{net:chain}:blocks`, published by chain-ingest."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shared.events.base import Event, Family


class LargestTx(msgspec.Struct, frozen=True, gc=False):
    """One of the block's largest transactions."""

    txid: str
    value: int  # sum of its outputs, satoshi


class HeadersLoaded(Event, frozen=True, kw_only=True, gc=False):
    """A new beginning: a reader drops what it knows and starts from these headers.

    The blocks above follow as `block.connected`. Published at the first start, and where the published chain has
    no ancestor in common with the node's that is still known.
    """

    TYPE: ClassVar[str] = "headers.loaded"

    height: int  # of the first header
    headers: list[tuple[int, int]]  # (time, compact bits) of each height from `height` on
    tip_hash: str  # of the last header
    chainwork: str  # of the last header, hex
    median_time: int  # of the last header
    node: str
    hashes: list[str] = msgspec.field(default_factory=list)  # of the same headers
    prev_hash: str = ""  # of the first header; empty for the genesis block


class BlockConnected(Event, frozen=True, kw_only=True, gc=False):
    """A block became part of the best chain; always on top of the one before."""

    TYPE: ClassVar[str] = "block.connected"

    height: int
    hash: str
    prev_hash: str
    time: int  # the block's own, Unix seconds
    median_time: int  # of the last 11 blocks
    bits: str  # compact target, hex
    difficulty: float
    chainwork: str  # hex
    tx_count: int
    size: int  # bytes
    weight: int  # weight units
    inputs: int  # coinbase excluded
    outputs: int
    output_value: int  # satoshi, coinbase excluded
    subsidy: int  # satoshi
    fees: int  # satoshi
    fee_rate_percentiles: list[int]  # sat/vB at 10, 25, 50, 75, 90 % of the block's weight
    fee_rate_avg: int  # sat/vB
    coinbase_tag: str  # printable ASCII of the coinbase script
    pool: str | None  # name, where tag or address is known
    largest: list[LargestTx]  # up to 50, largest first, coinbase excluded
    node: str
    output_bands: list[int] = msgspec.field(default_factory=list)  # outputs by value: shared.bands.VALUE_BOUNDS


class BlockDisconnected(Event, frozen=True, kw_only=True, gc=False):
    """The tip left the best chain in a reorganisation; its `prev_hash` is the tip now."""

    TYPE: ClassVar[str] = "block.disconnected"

    height: int
    hash: str
    prev_hash: str
    node: str


BLOCKS = Family(HeadersLoaded, BlockConnected, BlockDisconnected)

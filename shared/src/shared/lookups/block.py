"""What the explorer answers about a block."""

from __future__ import annotations

from typing import Final

import msgspec

from shared.lookups.parts import Away, Missing, Part, Source, Tip

PAGE: Final = 25
"""Transactions on one page."""


class Row(Part, frozen=True, kw_only=True):
    """A transaction of the block."""

    txid: str
    position: int
    vsize: int
    weight: int
    value: int  # sum of its outputs
    fee: int | None = None  # None: of the coinbase; or unknown
    inputs: int
    outputs: int


class Expected(Part, frozen=True, kw_only=True):
    """The block held against what we expected just before it came."""

    matched: int  # transactions that were expected and are in it
    missing: list[str]  # txids that were expected and are not in it; at most 100
    added: list[str]  # txids in it that were waiting and not expected; at most 100
    unseen: list[str]  # txids in it that we never saw waiting; at most 100
    missing_count: int
    added_count: int
    unseen_count: int
    at_ms: int  # when the projection was made


class Found(Part, frozen=True, kw_only=True, tag="block"):
    """A block, with one page of its transactions."""

    hash: str
    height: int
    version: int
    prev_hash: str | None  # None: of the genesis block
    next_hash: str | None  # None: it is the tip, or not in the best chain
    merkle_root: str
    time: int
    median_time: int
    bits: str
    nonce: int
    difficulty: float
    chainwork: str
    size: int
    stripped_size: int
    weight: int
    tx_count: int
    best: bool  # False: orphaned
    instead: str | None = None  # hash of the block of the best chain at this height, of an orphaned one
    fees: int | None = None
    subsidy: int
    output_value: int | None = None
    rates: list[float] | None = None  # sat/vB: 10th, 25th, 50th, 75th, 90th percentile by weight
    coinbase_script: str = ""
    coinbase_addresses: list[str] = msgspec.field(default_factory=list)
    pool: str | None = None  # slug (shared.pools)
    transactions: list[Row]
    page: int
    order: str
    expected: Expected | None = None  # None: nothing was recorded just before it
    tip: Tip
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    as_of_ms: int


Answer = Found | Missing | Away

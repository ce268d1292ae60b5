"""What the explorer answers about a block."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from shared.lookups.parts import Away, Missing, Part, Source, Tip

PAGE: Final = 25
"""Transactions on one page."""

LISTED: Final = 100
"""Txids in a list of what was expected, or was not, at most."""


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
    unlike: Literal["added", "unseen"] | None = None  # it was not expected, as `Expected` calls it; None: or not known


class Expected(Part, frozen=True, kw_only=True):
    """The block held against what we expected just before it came. Lists have at most LISTED, highest feerate first."""

    at_ms: int  # when the projection was made, by Redis' clock
    matched: int  # transactions that were expected and are in it
    share: float | None  # matched of what its miner should have had: matched and missing; None: that was nothing
    missing_count: int
    fresh_count: int
    added_count: int
    unseen_count: int
    missing: list[str]  # txids that were expected and are not in it
    fresh: list[str]  # the same of those that came so shortly before that its miner may not have had them
    added: list[str]  # txids in it that were waiting and not expected
    unseen: list[str]  # txids in it that we never saw waiting


class NotExpected(Part, frozen=True, kw_only=True):
    """Why there is nothing that the block can be held against.

    `before`: it came before that was recorded at all; `old`: so many blocks came after it that its record is gone;
    `not-whole`: our mempool was not whole when it came; `nothing`: we did not see it come, or have not settled it yet.
    """

    why: Literal["before", "old", "not-whole", "nothing"]
    since_ms: int | None = None  # when the record began, by Redis' clock; None: it has not


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
    pool: str | None = None  # name of who mined it (shared.pool_tags); None: unknown
    transactions: list[Row]
    page: int
    order: str
    expected: Expected | None = None  # None: `not_expected` says why
    not_expected: NotExpected | None = None
    tip: Tip
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    as_of_ms: int


Answer = Found | Missing | Away

"""What the explorer answers about a transaction."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from shared.lookups.parts import Away, Input, Missing, Output, Part, Place, Source, Tip

PAGE: Final = 100
"""Inputs, and outputs, on one page."""


class Relative(Part, frozen=True, kw_only=True):
    """An ancestor or a descendant in the mempool."""

    txid: str
    vsize: int
    fee: int


class Waiting(Part, frozen=True, kw_only=True):
    """A transaction's place in the mempool."""

    time: int  # when the node accepted it
    replaceable: bool
    ancestors: list[Relative]  # without itself, at most PAGE
    descendants: list[Relative]
    ancestor_count: int
    descendant_count: int
    ancestor_vsize: int  # itself included, as of the fees
    ancestor_fee: int  # with the node's own deltas
    descendant_vsize: int
    descendant_fee: int
    rate: float | None = None  # sat/vB at which miners look at it: of its part of the cluster


class Step(Part, frozen=True, kw_only=True):
    """Something that happened to a transaction, as this dashboard saw it."""

    what: Literal["seen", "replaced", "conflict", "evicted", "expired", "gone", "mined", "disconnected"]
    time_ms: int  # by Redis' clock: when it was told of
    after_ms: int | None = None  # of `gone`: it was still there then; when between the two it left is not known
    accepted: int | None = None  # of `seen`: Unix seconds by the node's clock, where that was well before
    block: str | None = None  # of `mined`, `disconnected` and `conflict`
    height: int | None = None
    by: str | None = None  # txid of what replaced it; of `conflict`: of what spent its coins in that block
    replaces: list[str] = msgspec.field(default_factory=list)  # of `seen`: what went for it


class Replaced(Part, frozen=True, kw_only=True):
    """One transaction went for another, or went with one that did."""

    txid: str
    by: str
    time_ms: int


class Replacements(Part, frozen=True, kw_only=True):
    """Who went for whom, around one transaction: the newest is the one that nothing replaced."""

    edges: list[Replaced] = msgspec.field(default_factory=list)  # oldest first
    complete: bool = True  # False: there are more than are told


class Chance(Part, frozen=True, kw_only=True):
    """How likely a transaction is to be in a block, if what comes in and what is mined go on as they did lately."""

    next_block: float  # 0 to 1
    hour: float
    six_hours: float
    ahead: int  # virtual bytes that are mined before it as things stand
    inflow: float  # virtual bytes a second that come in at higher feerates
    interval: float  # seconds from block to block


class Ahead(Part, frozen=True, kw_only=True):
    """Where a transaction that waits would be mined, as things stand."""

    vsize: int  # virtual bytes at higher feerates
    block: int | None = None  # of the projected ones, 1 is the next; None: none is projected
    last: bool = False  # the last projected one, which holds all that is left: in it or in a later one


class Waited(Part, frozen=True, kw_only=True):
    """How long such a feerate took lately, as shared.explorer_views.WaitBand has it."""

    from_rate: float  # sat/vB
    to_rate: float | None = None
    mined: int
    median: int | None = None  # seconds
    p90: int | None = None
    share: float | None = None  # mined, of those that left
    waiting: int
    longer: int | None = None  # wait now, and longer than `p90`
    since_ms: int  # what left since then


class Found(Part, frozen=True, kw_only=True, tag="tx"):
    """A transaction. Lists hold one page; the counts are of all."""

    txid: str
    wtxid: str
    version: int
    locktime: int
    size: int  # bytes
    vsize: int  # virtual bytes
    weight: int
    fee: int | None  # None: unknown, or of a coinbase
    coinbase: bool
    inputs: list[Input]
    outputs: list[Output]
    input_count: int
    output_count: int
    input_value: int | None
    output_value: int
    page: int = 0
    place: Place | None = None  # None: not in a block
    waiting: Waiting | None = None  # None: not in the mempool
    timeline: list[Step] = msgspec.field(default_factory=list)
    replacements: Replacements | None = None  # None: none are known
    ahead: Ahead | None = None  # None: not in the mempool; or what waits is not known
    chance: Chance | None = None  # None: likewise, or it is not known what comes in
    waited: Waited | None = None  # None: not in the mempool; or that is not recorded
    tip: Tip
    sources: dict[str, Source] = msgspec.field(default_factory=dict)  # part of the answer -> who said so
    as_of_ms: int


class Gone(Part, frozen=True, kw_only=True, tag="gone"):
    """A transaction that was seen here and is neither in the mempool nor in the chain."""

    txid: str
    timeline: list[Step]
    replacements: Replacements | None = None
    certain: bool = True  # False: without an index the node cannot tell whether it is in some old block
    tip: Tip
    as_of_ms: int


Answer = Found | Gone | Missing | Away

"""Events of `{net:mempool}:txs`, published by chain-ingest."""

from __future__ import annotations

from typing import ClassVar, Literal

from shared.events.base import (
    Count,
    Delta,
    Event,
    Family,
    Feerate,
    Hash,
    Long,
    Satoshi,
    Size,
    TxidStart,
    UnixMs,
    UnixSeconds,
    Weight,
)

RemovalReason = Literal["block", "replaced", "evicted", "expired", "conflict", "unknown"]


class MempoolReset(Event, frozen=True, kw_only=True, gc=False):
    """A new beginning: a reader drops what it knows; the whole mempool follows as `tx.added`."""

    TYPE: ClassVar[str] = "mempool.reset"

    cause: str
    node: str


class TxAdded(Event, frozen=True, kw_only=True, gc=False):
    """A transaction entered the mempool."""

    TYPE: ClassVar[str] = "tx.added"

    txid: Hash
    vsize: Size  # virtual bytes as the mempool counts them (signature operations included)
    weight: Weight  # weight units
    size: Size  # bytes as serialised with witness
    fee: Satoshi  # satoshi
    value: Satoshi  # sum of its outputs, satoshi
    time: UnixSeconds  # when the node accepted it, Unix seconds
    parents: list[Hash]  # txids in the mempool that it spends from
    children: list[Hash]  # txids in the mempool that spend from it: only after a reorganisation
    ancestor_fee: Delta  # satoshi, itself included, with the node's own fee deltas (`prioritisetransaction`)
    ancestor_vsize: Size  # virtual bytes, itself included
    replaceable: bool  # signals BIP 125, itself or by an ancestor


class TxRemoved(Event, frozen=True, kw_only=True, gc=False):
    """A transaction left the mempool."""

    TYPE: ClassVar[str] = "tx.removed"

    txid: Hash
    reason: RemovalReason
    block: Hash | None = None  # hash, for `block` and `conflict`
    replaced_by: Hash | None = None  # txid, for `replaced`
    conflicts_with: Hash | None = None  # txid, for `conflict`: who spends its coins in that block; None: not known


class MempoolSynced(Event, frozen=True, kw_only=True, gc=False):
    """The events before this one add up to the node's mempool exactly."""

    TYPE: ClassVar[str] = "mempool.synced"

    mempool_sequence: Long  # the next that the node will use
    tx_count: Count
    vsize: Long  # virtual bytes
    total_fee: Satoshi  # satoshi
    min_fee_rate: Feerate  # sat/vB below which the node accepts nothing
    usage: Long  # bytes of memory in use
    max_usage: Long  # bytes that the node allows
    time_ms: UnixMs  # when it was compared
    node_time_ms: UnixMs | None = None  # the node's own clock then, which `tx.added` counts by; None: unknown


class MempoolBlock(Event, frozen=True, kw_only=True, gc=False):
    """A block was connected, and what follows of the mempool follows from it: the mempool is that of just before.

    What the block spends the coins of leaves next (`conflict`), then what the block has (`block`). Told again where
    the removals were interrupted, with as many as are still to come.
    """

    TYPE: ClassVar[str] = "mempool.block"

    block: Hash  # hash
    tx_count: Count  # of the block, its coinbase included
    waiting: Count  # how many `tx.removed` with reason `block` follow for it
    unseen: list[TxidStart] | None  # what it has that never waited here, by the first 6 bytes; None: nobody can tell


MEMPOOL = Family(MempoolReset, TxAdded, TxRemoved, MempoolSynced, MempoolBlock)

"""Events of `{net:mempool}:txs`, published by chain-ingest."""

from __future__ import annotations

from typing import ClassVar, Literal

from shared.events.base import Event, Family

RemovalReason = Literal["block", "replaced", "evicted", "expired", "conflict", "unknown"]


class MempoolReset(Event, frozen=True, kw_only=True, gc=False):
    """A new beginning: a reader drops what it knows; the whole mempool follows as `tx.added`."""

    TYPE: ClassVar[str] = "mempool.reset"

    cause: str
    node: str


class TxAdded(Event, frozen=True, kw_only=True, gc=False):
    """A transaction entered the mempool."""

    TYPE: ClassVar[str] = "tx.added"

    txid: str
    vsize: int  # virtual bytes as the mempool counts them (signature operations included)
    weight: int  # weight units
    size: int  # bytes as serialised with witness
    fee: int  # satoshi
    value: int  # sum of its outputs, satoshi
    time: int  # when the node accepted it, Unix seconds
    parents: list[str]  # txids in the mempool that it spends from
    children: list[str]  # txids in the mempool that spend from it: only after a reorganisation
    ancestor_fee: int  # satoshi, itself included, with the node's own fee deltas (`prioritisetransaction`)
    ancestor_vsize: int  # virtual bytes, itself included
    replaceable: bool  # signals BIP 125, itself or by an ancestor


class TxRemoved(Event, frozen=True, kw_only=True, gc=False):
    """A transaction left the mempool."""

    TYPE: ClassVar[str] = "tx.removed"

    txid: str
    reason: RemovalReason
    block: str | None = None  # hash, for `block` and `conflict`
    replaced_by: str | None = None  # txid, for `replaced`


class MempoolSynced(Event, frozen=True, kw_only=True, gc=False):
    """The events before this one add up to the node's mempool exactly."""

    TYPE: ClassVar[str] = "mempool.synced"

    mempool_sequence: int  # the next that the node will use
    tx_count: int
    vsize: int  # virtual bytes
    total_fee: int  # satoshi
    min_fee_rate: float  # sat/vB below which the node accepts nothing
    usage: int  # bytes of memory in use
    max_usage: int  # bytes that the node allows
    time_ms: int  # when it was compared
    node_time_ms: int | None = None  # the node's own clock at that moment, which `tx.added` counts by; None: unknown


MEMPOOL = Family(MempoolReset, TxAdded, TxRemoved, MempoolSynced)

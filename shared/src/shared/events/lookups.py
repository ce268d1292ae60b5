"""What is asked of the explorer (`{net:explorer}:requests`), and what it tells (`{net:explorer}:changes`)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from shared.events.base import Count, Event, Family, Hash, HashOrNone, Height

Script = Annotated[str, Meta(max_length=20_000, pattern="^([0-9a-f]{2})*$")]
"""An output's script, in hex."""

Sealed = Annotated[str, Meta(min_length=1, max_length=100_000)]
"""What only web and explorer can open (shared.sealed)."""

Page = Annotated[int, Meta(ge=0, le=10_000_000)]
"""Counted from 0."""

Order = Literal["position", "-position", "fee", "-fee", "rate", "-rate", "value", "-value", "weight", "-weight"]


class Asked(Event, frozen=True, kw_only=True, gc=False):
    """Base of what is asked: `tip` is the newest block that the asker knows, empty where it knows none.

    Whoever answers waits a moment until its node has that block, and says in any case at which one it was.
    """

    tip: HashOrNone = ""


class TxWanted(Asked, frozen=True, kw_only=True, gc=False):
    """One transaction: shared.lookups.transaction.Found."""

    TYPE: ClassVar[str] = "tx.wanted"

    txid: Hash
    block: HashOrNone = ""  # where the asker believes it to be
    page: Page = 0  # of inputs and outputs
    whole: bool = False  # scripts and witnesses uncut, whatever their size


class BlockWanted(Asked, frozen=True, kw_only=True, gc=False):
    """One block, by its hash or its height: shared.lookups.block.Found, with one page of its transactions."""

    TYPE: ClassVar[str] = "block.wanted"

    hash: HashOrNone = ""
    height: Height | None = None
    page: Page = 0
    order: Order = "position"


class AddressWanted(Asked, frozen=True, kw_only=True, gc=False):
    """What an output's script holds and held: shared.lookups.address.Found, with one page of its history."""

    TYPE: ClassVar[str] = "address.wanted"

    script: Script
    page: Page = 0  # newest first
    coins: Page = 0  # page of unspent outputs
    after: HashOrNone = ""  # the page of the history that begins behind (is older than) this transaction


class WalletWanted(Asked, frozen=True, kw_only=True, gc=False):
    """An extended key, a descriptor, or addresses: shared.lookups.wallet.Found, itself sealed."""

    TYPE: ClassVar[str] = "wallet.wanted"

    name: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]  # what Redis knows the wallet's page by (Seal.name)
    sealed: Sealed  # shared.lookups.wallet.Entered as JSON
    page: Page = 0  # newest first
    coins: Page = 0  # page of unspent outputs
    gap: Annotated[int, Meta(ge=1, le=1_000)] = 20


class LookupDone(Event, frozen=True, kw_only=True, gc=False):
    """An answer is there, or there will be none."""

    TYPE: ClassVar[str] = "lookup.done"

    key: str  # what was asked for, as the job is named
    status: Literal["done", "failed"]


class TxChanged(Event, frozen=True, kw_only=True, gc=False):
    """Something happened to a transaction that somebody looks at."""

    TYPE: ClassVar[str] = "tx.changed"

    key: Hash  # its txid
    status: Literal["added", "mined", "replaced", "conflict", "evicted", "expired", "disconnected", "near", "unknown"]


class AddressChanged(Event, frozen=True, kw_only=True, gc=False):
    """The history of a script that somebody looks at became another."""

    TYPE: ClassVar[str] = "address.changed"

    key: Hash  # Electrum's script hash: SHA-256 of the script, bytes reversed
    status: Annotated[str, Meta(max_length=64)]  # as the Electrum server tells it; empty: it has no history
    count: Count | None = None  # of transactions; None: not counted


class WalletChanged(Event, frozen=True, kw_only=True, gc=False):
    """Something of a wallet that somebody looks at became another; its look-up, asked for again, tells what."""

    TYPE: ClassVar[str] = "wallet.changed"

    key: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]  # as in WalletWanted.name


REQUESTS = Family(TxWanted, BlockWanted, AddressWanted, WalletWanted)
CHANGES = Family(LookupDone, TxChanged, AddressChanged, WalletChanged)

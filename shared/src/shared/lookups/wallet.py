"""What the explorer answers about a wallet: an extended key, a descriptor, or a list of addresses."""

from __future__ import annotations

import msgspec

from shared.lookups.address import Entry, Point, Unspent
from shared.lookups.parts import Kind, Part, Source, Tip


class Used(Part, frozen=True, kw_only=True):
    """An address of the wallet that was used, or the next one."""

    path: str  # `0/5`: its place below the key, never the key; of a list of addresses its number
    address: str | None
    script: str
    kind: Kind
    balance: int
    unconfirmed: int | None = None
    tx_count: int | None = None


class Found(Part, frozen=True, kw_only=True, tag="wallet"):
    """A wallet's coins and history. It never holds any part of an extended key."""

    kind: str  # in words of the field: `wpkh`, `sh(wpkh)`, `wsh(sortedmulti)`, `tr`, `addresses`
    confirmed: int
    unconfirmed: int | None
    received: int | None = None
    sent: int | None = None
    used: list[Used]
    next_receive: Used | None = None
    next_change: Used | None = None
    looked_at: int  # scripts asked for
    complete: bool  # False: the look-up goes on
    history: list[Entry] | None = None  # merged, one page
    tx_count: int | None = None
    page: int = 0
    coins: list[Unspent]
    points: list[Point] | None = None
    gap: int
    tip: Tip
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    without: str = ""
    as_of_ms: int


class Refused(Part, frozen=True, kw_only=True, tag="refused"):
    """What was entered is none of these, said so that the person can mend it, and without repeating it."""

    why: str


Answer = Found | Refused

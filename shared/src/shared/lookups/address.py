"""What the explorer answers about an output's script, which most addresses stand for."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from shared.lookups.parts import Away, Kind, Missing, Part, Source, Tip

PAGE: Final = 25
"""Transactions of the history on one page, and unspent outputs."""


class Entry(Part, frozen=True, kw_only=True):
    """A transaction of the history."""

    txid: str
    height: int | None  # None: it waits in the mempool
    time: int | None = None  # of its block; of one that waits: when it was first seen, where that is known
    change: int | None = None  # satoshi of either sign; None: not worked out
    balance: int | None = None  # after it, oldest first
    fee: int | None = None


class Unspent(Part, frozen=True, kw_only=True):
    """An unspent output."""

    txid: str
    vout: int
    value: int
    height: int | None  # None: it waits in the mempool
    coinbase: bool = False
    block: str | None = None  # hash of the block that it is in; None: it waits, or it was not looked for
    time: int | None = None  # of that block


class Moved(Part, frozen=True, kw_only=True):
    """Outputs to a script, and those of them that were spent; sums in satoshi."""

    funded: int
    funded_sum: int
    spent: int
    spent_sum: int


class Point(Part, frozen=True, kw_only=True):
    """The balance after everything up to a moment."""

    time: int
    balance: int


class Found(Part, frozen=True, kw_only=True, tag="address"):
    """A script's coins and history. What only a history can tell is None where there is none."""

    script: str
    scripthash: str
    kind: Kind
    address: str | None
    confirmed: int  # satoshi unspent in blocks
    unconfirmed: int | None  # what the mempool adds (below zero: takes); None: nobody can tell
    received: int | None = None  # satoshi in blocks
    sent: int | None = None
    moved: Moved | None = None  # in blocks
    waiting_moved: Moved | None = None  # by what waits in the mempool
    tx_count: int | None = None  # in blocks
    waiting_count: int | None = None  # in the mempool
    history: list[Entry] | None = None  # one page, newest first; None: unknown
    page: int = 0
    coins: list[Unspent]  # one page, largest first
    coin_count: int
    coins_page: int = 0
    points: list[Point] | None = None  # at most 400, oldest first; None: unknown or too long a history
    truncated: bool = False  # the history is longer than what was worked out (HISTORY_MOST)
    tip: Tip  # the newest block of whoever told the figures
    behind: int = 0  # blocks that the node has above it, which an Electrum server had not read yet
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    without: str = ""  # what would tell the rest: `electrum`, `blockfilterindex`
    as_of_ms: int


At = Literal["", "turn", "node", "coins", "filters", "blocks"]
"""Where a scan is: it waits for those before it here, or until the node has ended another; or looks through the node's
coins, its block filters, the blocks that these name. Empty: not told."""


class Working(Part, frozen=True, kw_only=True, tag="working"):
    """A scan that takes a while goes on."""

    progress: float | None  # 0 to 1
    since_ms: int
    queued: int = 0  # scans before this one, where that is known: those of other replicas are not
    at: At = ""


Answer = Found | Missing | Working | Away

HISTORY_MOST: Final = 10_000
"""Transactions of one script whose amounts are worked out; of a longer history only those on the page asked for."""

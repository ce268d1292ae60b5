"""What the explorer is told and answers about a wallet: an extended key, descriptors, or a list of addresses.

An answer never holds any part of an extended key. Refusals are words that pages put into sentences (SENTENCES), with
places and counts and nothing of what was entered.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from shared.lookups.address import Entry, Point, Unspent
from shared.lookups.parts import Kind, Part, Source, Tip

LONGEST: Final = 20_000
"""Characters that a person may enter."""

PAGE: Final = 25
"""Transactions of the history on one page."""

COINS_PAGE: Final = 25
"""Unspent outputs on one page."""

USED_MOST: Final = 2_000
"""Used addresses that an answer lists."""

Form = Literal["", "pkh", "sh(wpkh)", "wpkh", "tr"]
"""Which addresses a plain extended key stands for; empty: whichever it implies, or all four."""

Role = Literal["receive", "change", "other"]
"""What a chain of scripts is for; `other` where nothing says so."""


class Entered(Part, frozen=True, kw_only=True):
    """What a person entered: exists sealed (shared.sealed), or in memory."""

    text: str
    form: Form = ""

    def __repr__(self) -> str:
        return "Entered(…)"  # it may come into a log


class Used(Part, frozen=True, kw_only=True):
    """An address of the wallet that was used, or the next one."""

    path: str  # `0/5`: its place below the key, never the key; of a list of addresses its number, counted from 1
    address: str | None
    script: str
    kind: Kind
    balance: int | None  # in blocks; None: nobody can tell
    unconfirmed: int | None = None
    tx_count: int | None = None


class Held(Unspent, frozen=True, kw_only=True):
    """An unspent output of the wallet."""

    path: str
    address: str | None = None


class Chain(Part, frozen=True, kw_only=True):
    """One of the wallet's chains of scripts, as far as it was looked at."""

    form: str  # `wpkh`, `sh(wpkh)`, `wsh(sortedmulti)`, `tr`, `addresses` …
    role: Role
    looked_at: int
    used_count: int
    complete: bool  # as many as the gap after the last used one were looked at
    next: Used | None = None  # the first behind the last used one; None: none, or not known yet


class Found(Part, frozen=True, kw_only=True, tag="wallet"):
    """A wallet's coins and history. It never holds any part of an extended key.

    What only a history can tell is None where one of the used addresses has none.
    """

    form: str  # as of its chains; of a key with several: of those that are used, joined by ` + `; empty: none is
    confirmed: int | None
    unconfirmed: int | None
    received: int | None = None  # satoshi in blocks by which transactions made the wallet richer
    sent: int | None = None  # by which they made it poorer, fees included
    used: list[Used]  # at most USED_MOST
    used_count: int
    chains: list[Chain]
    next_receive: Used | None = None  # None where it is not clear which: see `chains`
    next_change: Used | None = None
    looked_at: int  # scripts that were asked for and answered
    complete: bool  # False: the look-up goes on
    truncated: bool = False  # the wallet has more scripts than are looked at
    history: list[Entry] | None = None  # merged, one page, newest first
    tx_count: int | None = None  # of all, those that wait included
    page: int = 0
    coins: list[Held]  # one page, largest first
    coin_count: int
    coins_page: int = 0
    coins_known: bool = True  # False: those of some used address are missing
    points: list[Point] | None = None  # at most 400, oldest first
    gap: int
    tip: Tip  # the newest block of whoever told the figures
    behind: int = 0  # blocks that the node has above it, which the Electrum server had not read yet
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    without: str = ""
    as_of_ms: int


Why = Literal[
    "empty",
    "too-long",
    "too-many",
    "too-many-keys",
    "private-key",
    "seed-words",
    "hardened",
    "other-network",
    "key-checksum",
    "key-length",
    "key-character",
    "key-version",
    "key-broken",
    "multisig-key",
    "several-keys",
    "form-conflict",
    "descriptor-checksum",
    "descriptor-checksum-length",
    "descriptor-character",
    "syntax",
    "unknown-function",
    "not-here",
    "key-form",
    "threshold",
    "path",
    "multipath",
    "miniscript",
    "script-too-large",
    "address",
    "mixed",
    "not-recognised",
]


class Refused(Part, frozen=True, kw_only=True, tag="refused"):
    """What was entered is none of these, said so that the person can mend it, and without repeating it."""

    why: Why
    position: int | None = None  # of the character at fault in its line, counted from 1; None: it cannot be known
    line: int | None = None  # counted from 1; None: there is only one
    word: str = ""  # one of ours: a network, a function, a form
    most: int | None = None


SENTENCES: Final[dict[Why, str]] = {
    "empty": "Enter an extended public key, an output descriptor, or addresses.",
    "too-long": "This is too long: at most %(most)d characters can be read.",
    "too-many": "These are too many: at most %(most)d can be looked at together.",
    "too-many-keys": "This descriptor has too many keys: at most %(most)d can be read.",
    "private-key": "This is a private key: never paste it anywhere. It was not kept. "
    "Whoever had it may have taken the coins: move them to a new wallet if you are not sure.",
    "seed-words": "These are the words of a seed: never type them anywhere but into your wallet. They were not kept. "
    "If this device is not yours alone, move the coins to a new wallet.",
    "hardened": "This path has a hardened step, which cannot be taken with a public key: export the extended public "
    "key of the account behind it.",
    "other-network": "This is of another network: this dashboard shows %(word)s.",
    "key-checksum": "The checksum of this extended key is wrong: a character of it was mistyped or is missing.",
    "key-length": "This extended key is not complete: it should have 111 characters.",
    "key-character": "This extended key has a character that none can have.",
    "key-version": "This is a key of a kind that is not known here.",
    "key-broken": "This key is no point of the curve.",
    "multisig-key": "This is one key of a wallet with several: enter the wallet's descriptor, %(word)s.",
    "several-keys": "These are several keys: enter one, or the descriptor of their wallet, such as %(word)s.",
    "form-conflict": "This key stands for addresses of another type: it says %(word)s itself.",
    "descriptor-checksum": "The checksum of this descriptor is wrong.",
    "descriptor-checksum-length": "The checksum behind # should have 8 characters.",
    "descriptor-character": "This descriptor has a character that none can have.",
    "syntax": "This descriptor cannot be read from here on: a bracket or a comma is missing, or there is one too many.",
    "unknown-function": "This function of descriptors is not known here.",
    "not-here": "%(word)s cannot stand here.",
    "key-form": "A key of this form cannot stand here.",
    "threshold": "The number of signatures must be from 1 to the number of keys, and there may be at most %(most)d.",
    "path": "This path cannot be read: steps are numbers below 2147483648, and * may only be the last.",
    "multipath": "All paths with <…> of one descriptor must have the same number of alternatives, each of them once.",
    "miniscript": "This is no miniscript whose types fit together.",
    "script-too-large": "The script of this descriptor is larger than can be spent: at most %(most)d bytes.",
    "address": "This is no address.",
    "mixed": "Enter one kind of thing only: an extended key, or descriptors, or addresses.",
    "not-recognised": "This is no extended public key, no output descriptor and no address.",
}
"""In English, for pages to translate; `position` and `line` are said beside them."""

Answer = Found | Refused

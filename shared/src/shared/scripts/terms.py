"""What a person can look for. Of keys and descriptors no text stands in `repr`, and so in no log or error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shared.scripts.address import Address


@dataclass(frozen=True, slots=True)
class Height:
    """A block, by its height; whether the chain has it already is not known here."""

    height: int


@dataclass(frozen=True, slots=True)
class Hash:
    """A transaction or a block."""

    hash: str
    likely: Literal["block", "transaction"] | None  # None: either may be
    certain: bool = False  # nothing else can be


@dataclass(frozen=True, slots=True)
class Outpoint:
    """An output of a transaction."""

    txid: str
    vout: int


@dataclass(frozen=True, slots=True)
class AddressTerm:
    """An output's script."""

    address: Address


@dataclass(frozen=True, slots=True)
class ExtendedKey:
    """An extended public key, with its origin before it and a path behind it where they were entered."""

    text: str = field(repr=False)
    prefix: str  # `xpub`, `zpub` ...: which scripts it is meant for


@dataclass(frozen=True, slots=True)
class Descriptor:
    """An output descriptor. Its brackets and its checksum are right, where it has one; nothing else is looked at."""

    text: str = field(repr=False)
    function: str  # the outermost: `wpkh`, `tr` ...


@dataclass(frozen=True, slots=True)
class PoolName:
    """Mining pools whose name begins so, or holds it: the slug and the name of each, the likeliest first."""

    pools: tuple[tuple[str, str], ...]


Term = Height | Hash | Outpoint | AddressTerm | ExtendedKey | Descriptor | PoolName

"""What answers of the explorer are made of. Amounts in satoshi, hashes and scripts in hex, times in Unix seconds."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Source = Literal["node", "mempool", "electrum", "scan", "records"]
"""Who said so: the node's RPC or REST; its mempool; an Electrum server; a scan of the node's coins or block filters;
what this dashboard recorded itself."""

Kind = Literal[
    "p2pk",
    "p2pkh",
    "p2sh",
    "v0_p2wpkh",
    "v0_p2wsh",
    "v1_p2tr",
    "p2a",
    "witness",
    "multisig",
    "op_return",
    "empty",
    "unknown",
]
"""Types of an output's script, named as Esplora names them; `witness` is any version that has no meaning yet."""


BYTES_MOST: Final = 10_000
"""Bytes of a script or a witness that are told: what consensus allows a script that can be spent."""

WITNESS_MOST: Final = 100
"""Witnesses of an input that are told."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what stands in an answer. What is None is unknown, or there is none where the comment says so."""


class Tip(Part, frozen=True, kw_only=True):
    """The newest block of whoever answered."""

    height: int
    hash: str
    time: int


class Missing(Part, frozen=True, kw_only=True, tag="missing"):
    """There is no such thing as far as can be known here; `why` is one of a few words that pages put into sentences."""

    why: Literal["unknown", "no-index", "pruned", "not-yet", "orphaned-away"]
    tip: Tip | None = None
    hint: str = ""  # what would help, such as a setting of the node: `txindex`


class Away(Part, frozen=True, kw_only=True, tag="away"):
    """Whoever could tell does not answer now. It is asked again."""

    who: Literal["node", "electrum"]
    why: str  # for the operator, in English, without secrets


class Coin(Part, frozen=True, kw_only=True):
    """An output, as its script says."""

    value: int
    script: str
    kind: Kind
    address: str | None = None  # None: none stands for it


class Spender(Part, frozen=True, kw_only=True):
    """The input that spends an output."""

    txid: str
    vin: int
    height: int | None = None  # None: it waits in the mempool


class Output(Coin, frozen=True, kw_only=True):
    """An output of a transaction. The script of one that nobody can spend is cut after BYTES_MOST."""

    script_size: int | None = None  # bytes, where the script is cut
    spent: bool | None = None
    spender: Spender | None = None  # None where spent: by whom is not known here


class Input(Part, frozen=True, kw_only=True):
    """An input of a transaction; of a coinbase without `txid`.

    Scripts and witnesses are cut after BYTES_MOST each, and witnesses after WITNESS_MOST of them: a block has room for
    4 MB of either.
    """

    txid: str | None = None
    vout: int | None = None
    coin: Coin | None = None  # None: of a coinbase; or unknown
    script_sig: str = ""
    script_sig_size: int | None = None  # bytes, where it is cut
    witness: list[str] = msgspec.field(default_factory=list)
    witness_sizes: list[int] = msgspec.field(default_factory=list)  # bytes of each, of 1,000 at most, where any is cut
    sequence: int


class Place(Part, frozen=True, kw_only=True):
    """Where a transaction stands in the chain."""

    height: int
    hash: str
    time: int  # of the block
    position: int | None = None  # 0 is the coinbase
    best: bool = True  # False: of a block that is no longer in the best chain

"""What a Bitcoin node answers about transactions, blocks and coins, as far as it is used here, typed."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from shared.events.base import Hash
from shared.lookups.parts import Coin, Kind
from shared.rpc import satoshi

KINDS: Final[dict[str, Kind]] = {
    "pubkey": "p2pk",
    "pubkeyhash": "p2pkh",
    "scripthash": "p2sh",
    "witness_v0_keyhash": "v0_p2wpkh",
    "witness_v0_scripthash": "v0_p2wsh",
    "witness_v1_taproot": "v1_p2tr",
    "anchor": "p2a",
    "witness_unknown": "witness",
    "multisig": "multisig",
    "nulldata": "op_return",
}
"""Types of scripts as the node calls them, and as we do."""


class ScriptPubKey(msgspec.Struct):
    """An output's script."""

    hex: str
    type: str
    address: str | None = None

    @property
    def kind(self) -> Kind:
        """What we call its type."""
        return KINDS.get(self.type, "unknown") if self.hex else "empty"


class Prevout(msgspec.Struct):
    """The output that an input spends."""

    value: Decimal
    scriptPubKey: ScriptPubKey

    def coin(self) -> Coin:
        """In our words."""
        script = self.scriptPubKey
        return Coin(value=satoshi(self.value), script=script.hex, kind=script.kind, address=script.address)


class Vout(Prevout):
    """An output."""

    n: int


class ScriptSig(msgspec.Struct):
    """What unlocks an output, outside of the witness."""

    hex: str


class Vin(msgspec.Struct):
    """An input."""

    sequence: int
    coinbase: str | None = None
    txid: str | None = None
    vout: int | None = None
    scriptSig: ScriptSig | None = None
    txinwitness: list[str] = msgspec.field(default_factory=list)
    prevout: Prevout | None = None


class Transaction(msgspec.Struct):
    """Of `getrawtransaction` with verbosity 2."""

    txid: Hash
    hash: Hash
    version: int
    size: int
    vsize: int
    weight: int
    locktime: int
    vin: list[Vin]
    vout: list[Vout]
    fee: Decimal | None = None  # with the undo data of its block
    blockhash: str | None = None
    in_active_chain: bool | None = None  # where it was asked with a block
    blocktime: int | None = None


class Header(msgspec.Struct):
    """Of `getblockheader`."""

    hash: Hash
    height: int
    version: int
    merkleroot: str
    time: int
    mediantime: int
    nonce: int
    bits: str
    difficulty: float
    chainwork: str
    nTx: int
    confirmations: int  # -1: not in the best chain
    previousblockhash: str | None = None
    nextblockhash: str | None = None


class BlockTxids(msgspec.Struct):
    """Of `getblock` with verbosity 1."""

    tx: list[Hash]


class BlockTransaction(msgspec.Struct):
    """A transaction of `getblock` with verbosity 2, for its row in a table."""

    txid: Hash
    vsize: int
    weight: int
    vin: list[Vin]
    vout: list[Vout]
    fee: Decimal | None = None


class Block(msgspec.Struct):
    """Of `getblock` with verbosity 2."""

    size: int
    strippedsize: int
    weight: int
    tx: list[BlockTransaction]


class Txout(msgspec.Struct):
    """Of `gettxout`: an output that is unspent."""

    bestblock: Hash
    confirmations: int
    value: Decimal
    scriptPubKey: ScriptPubKey
    coinbase: bool

    def coin(self) -> Coin:
        """In our words."""
        script = self.scriptPubKey
        return Coin(value=satoshi(self.value), script=script.hex, kind=script.kind, address=script.address)


class Fees(msgspec.Struct):
    """Of a mempool entry, in bitcoin."""

    base: Decimal
    modified: Decimal
    ancestor: Decimal
    descendant: Decimal


class MempoolEntry(msgspec.Struct):
    """Of `getmempoolentry`."""

    vsize: int
    time: int
    ancestorcount: int
    ancestorsize: int
    descendantcount: int
    descendantsize: int
    fees: Fees
    depends: list[str]
    spentby: list[str]
    bip125_replaceable: bool = msgspec.field(name="bip125-replaceable", default=False)


class SpendingPrevout(msgspec.Struct):
    """Of `gettxspendingprevout`."""

    txid: str
    vout: int
    spendingtxid: str | None = None

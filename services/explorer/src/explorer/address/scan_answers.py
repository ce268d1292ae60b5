"""What a node answers to scans of its coins and block filters, and to what is asked for a history."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from shared.events.base import Hash
from shared.lookups.address import Unspent
from shared.rpc import satoshi


class Coin(msgspec.Struct, rename={"script": "scriptPubKey"}):
    """An unspent output."""

    txid: str
    vout: int
    amount: Decimal
    height: int
    script: str = ""
    coinbase: bool = False

    def unspent(self) -> Unspent:
        """As answers have it."""
        return Unspent(
            txid=self.txid, vout=self.vout, value=satoshi(self.amount), height=self.height, coinbase=self.coinbase
        )


class Coins(msgspec.Struct):
    """Of `scantxoutset`."""

    success: bool
    height: int
    bestblock: Hash
    unspents: list[Coin]


class Status(msgspec.Struct):
    """Of a scan that goes on; progress in percent."""

    progress: float


class Relevant(msgspec.Struct):
    """Of `scanblocks`."""

    relevant_blocks: list[str]


class Transaction(msgspec.Struct):
    """Of a block."""

    txid: str
    hex: str


class Block(msgspec.Struct):
    """Of `getblock`."""

    height: int
    time: int
    tx: list[Transaction]

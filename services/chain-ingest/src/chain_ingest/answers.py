"""What a Bitcoin node answers, as far as it is used here, typed."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from shared.networks import COIN
from shared.rpc import satoshi


class ChainInfo(msgspec.Struct):
    """Of `getblockchaininfo`."""

    chain: str
    blocks: int
    headers: int
    bestblockhash: str
    initialblockdownload: bool
    verificationprogress: float
    mediantime: int = 0
    time: int = 0  # of the newest block; nodes before 23.0 do not tell it
    pruned: bool = False
    pruneheight: int = 0  # lowest block that is there; 0 where the node has pruned nothing yet


class NetworkInfo(msgspec.Struct):
    """Of `getnetworkinfo`."""

    version: int
    subversion: str
    localrelay: bool = True  # False: transactions of others are not taken (-blocksonly)
    networkactive: bool = True
    connections: int = 0


class Header(msgspec.Struct):
    """Of `getblockheader`."""

    hash: str
    height: int
    time: int
    mediantime: int
    bits: str
    chainwork: str
    previousblockhash: str = ""


class Block(msgspec.Struct):
    """Of `getblock HASH 1`."""

    hash: str
    height: int
    time: int
    mediantime: int
    bits: str
    difficulty: float
    chainwork: str
    size: int
    weight: int
    tx: list[str]
    previousblockhash: str = ""


class BlockStats(msgspec.Struct):
    """Of `getblockstats`; amounts in satoshi, feerates in sat/vB."""

    ins: int
    outs: int
    total_out: int
    totalfee: int
    subsidy: int
    avgfeerate: int
    feerate_percentiles: list[int]


class _Fees(msgspec.Struct):
    base: Decimal
    ancestor: Decimal


class Entry(msgspec.Struct):
    """Of `getmempoolentry`."""

    vsize: int
    weight: int
    time: int
    fees: _Fees
    ancestorsize: int
    depends: list[str]
    spentby: list[str]
    replaceable: bool = msgspec.field(name="bip125-replaceable", default=True)  # a node without it replaces anything

    @property
    def fee(self) -> int:
        """Satoshi."""
        return satoshi(self.fees.base)

    @property
    def ancestor_fee(self) -> int:
        """Satoshi, itself included; with what `prioritisetransaction` added or took off at this node."""
        return satoshi(self.fees.ancestor)


class MempoolInfo(msgspec.Struct):
    """Of `getmempoolinfo`."""

    size: int
    bytes: int
    usage: int
    total_fee: Decimal
    maxmempool: int
    mempoolminfee: Decimal
    minrelaytxfee: Decimal
    loaded: bool = True  # False: what it kept on disk is not read in full yet

    @property
    def totals(self) -> tuple[int, int, int]:
        """Count, virtual bytes, satoshi."""
        return self.size, self.bytes, satoshi(self.total_fee)

    def summing_to(self, count: int, vsize: int, fee: int) -> MempoolInfo:
        """The same of a mempool with these totals."""
        return msgspec.structs.replace(self, size=count, bytes=vsize, total_fee=Decimal(fee) / COIN)

    @property
    def min_fee_rate(self) -> float:
        """sat/vB below which nothing is accepted."""
        return float(max(self.mempoolminfee, self.minrelaytxfee) * 100_000)

    @property
    def is_full(self) -> bool:
        """Whether transactions are being evicted for want of room."""
        return self.mempoolminfee > self.minrelaytxfee or self.usage > 0.9 * self.maxmempool


class MempoolContents(msgspec.Struct):
    """Of `getrawmempool false true`; the sequence is the next that ZMQ will use."""

    txids: list[str]
    mempool_sequence: int


class Notification(msgspec.Struct):
    """Of `getzmqnotifications`."""

    type: str
    address: str


class Script(msgspec.Struct):
    """Of `decodescript`."""

    address: str = ""

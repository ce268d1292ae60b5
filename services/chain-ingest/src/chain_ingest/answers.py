"""What a Bitcoin node answers, as far as it is used here, typed."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec

from shared.networks import COIN
from shared.rpc import satoshi

Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Work = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{1,64}\Z")]
Bits = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}\Z")]
U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

SUPPLY: Final = 21_000_000
"""Bitcoin that there can ever be."""


def _check(*amounts: Decimal) -> None:
    """Raise ValueError where one is no amount of bitcoin."""
    for amount in amounts:
        if not amount.is_finite() or abs(amount) > SUPPLY:
            raise ValueError(f"{amount} is no amount of bitcoin")


class ChainInfo(msgspec.Struct):
    """Of `getblockchaininfo`."""

    chain: str
    blocks: int
    headers: int
    bestblockhash: Hash
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


class HeaderInfo(msgspec.Struct):
    """Of `getblockheader`."""

    hash: Hash
    height: U32
    time: U32
    mediantime: U32
    bits: Bits
    difficulty: float
    chainwork: Work
    previousblockhash: Hash = ""


class BlockStats(msgspec.Struct):
    """Of `getblockstats`: what is asked for where the bytes alone do not tell it. Satoshi, and sat/vB."""

    totalfee: Number
    avgfeerate: Number
    feerate_percentiles: list[Number]


class _Fees(msgspec.Struct):
    base: Decimal
    ancestor: Decimal

    def __post_init__(self) -> None:
        _check(self.base, self.ancestor)
        if self.base < 0:
            raise ValueError(f"{self.base} is no fee")


class MempoolEntry(msgspec.Struct):
    """Of `getmempoolentry`."""

    vsize: U32
    weight: U32
    time: U32
    fees: _Fees
    ancestorsize: Number
    depends: list[Hash]
    spentby: list[Hash]
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

    size: Number
    bytes: Number
    usage: Number
    total_fee: Decimal
    maxmempool: Number
    mempoolminfee: Decimal
    minrelaytxfee: Decimal
    loaded: bool = True  # False: what it kept on disk is not read in full yet

    def __post_init__(self) -> None:
        _check(self.total_fee, self.mempoolminfee, self.minrelaytxfee)

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

    txids: list[Annotated[str, msgspec.Meta(min_length=64, max_length=64)]]
    mempool_sequence: Number

    def __post_init__(self) -> None:
        if len(bytes.fromhex("".join(self.txids))) != 32 * len(self.txids):  # all at once: they are many
            raise ValueError("txids are 64 hexadecimal digits each")


class Notification(msgspec.Struct):
    """Of `getzmqnotifications`."""

    type: str
    address: str


class Script(msgspec.Struct):
    """Of `decodescript`."""

    address: str = ""

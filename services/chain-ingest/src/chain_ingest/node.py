"""What chain-ingest asks of a Bitcoin node, typed. The only module here that names RPC methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from shared.errors import DashboardError, RpcError, RpcRefused
from shared.rpc import RpcClient, satoshi
from shared.tasks import together

OLDEST_VERSION: Final = 220_000
"""Bitcoin Core 22.0: the first whose getmempoolinfo has `total_fee`. (0.21 brought `sequence` to ZMQ.)"""


METHOD_NOT_FOUND: Final = -32601
"""RPC_METHOD_NOT_FOUND: the node does not know the call at all."""


class NodeUnfit(DashboardError):
    """The node answers, but it cannot be used: wrong network, too old."""


class NodeBehind(DashboardError):
    """The node's best chain has less work than what is published already."""

    def __init__(self, message: str, best: str, work: int) -> None:
        super().__init__(message)
        self.best = best
        self.work = work


class ChainMoved(RpcError):
    """The node's best chain changed while it was read: to be read again."""


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


class _Script(msgspec.Struct):
    address: str = ""


_STATS: Final = list(BlockStats.__struct_fields__)


class Node:
    """One node, through its RPC client."""

    def __init__(self, rpc: RpcClient) -> None:
        self.rpc = rpc
        self.name = rpc.node.name

    async def check(self, expected_chain: str) -> NetworkInfo:
        """Raise NodeUnfit where this node is of another network or too old."""
        chain = await self.chain_info()
        if chain.chain != expected_chain:
            raise NodeUnfit(
                f"node {self.name} is on network {chain.chain!r}: BITCOIN_NETWORK expects {expected_chain!r}"
            )
        info = await self.network_info()
        if info.version < OLDEST_VERSION:
            raise NodeUnfit(
                f"node {self.name} is version {info.version} {info.subversion}: expected {OLDEST_VERSION} "
                "(Bitcoin Core 22.0) or later"
            )
        return info

    async def chain_info(self) -> ChainInfo:
        """State of the chain and of the initial block download."""
        info: ChainInfo = await self.rpc.call("getblockchaininfo", kind=ChainInfo)
        return info

    async def network_info(self) -> NetworkInfo:
        """Version, and how the node takes part in the network."""
        info: NetworkInfo = await self.rpc.call("getnetworkinfo", kind=NetworkInfo)
        return info

    async def notifications(self) -> list[Notification] | None:
        """What the node publishes over ZMQ; None where it does not say."""
        try:
            found: list[Notification] = await self.rpc.call("getzmqnotifications", kind=list[Notification])
        except RpcRefused:
            return None
        return found

    async def best_hash(self) -> str:
        """Hash of the tip."""
        best: str = await self.rpc.call("getbestblockhash", kind=str)
        return best

    async def header(self, block_hash: str) -> Header:
        """Header by hash."""
        header: Header = await self.rpc.call("getblockheader", block_hash, kind=Header)
        return header

    async def hashes(self, heights: Iterable[int]) -> list[str]:
        """Hashes on the best chain; raises RpcRefused where a height is beyond the tip."""
        return _all(await self.rpc.batch([("getblockhash", (height,)) for height in heights], kind=str))

    async def branch(self, first: int, tip: Header) -> list[Header]:
        """Headers from height `first` up to this tip, each on the one before; raises ChainMoved where they are not."""
        try:
            hashes = await self.hashes(range(first, tip.height + 1))
            calls = [("getblockheader", (block_hash,)) for block_hash in hashes]
            headers: list[Header] = _all(await self.rpc.batch(calls, kind=Header))
        except RpcRefused as error:
            raise ChainMoved(f"the chain of node {self.name} became shorter while it was read") from error
        links = (above.previousblockhash == below.hash for below, above in itertools.pairwise(headers))
        if headers[-1].hash != tip.hash or not all(links):
            raise ChainMoved(f"the chain of node {self.name} changed while it was read")
        return headers

    async def block(self, block_hash: str) -> Block:
        """A block's header, sizes and txids."""
        block: Block = await self.rpc.call("getblock", block_hash, 1, kind=Block)
        return block

    async def full_block(self, block_hash: str) -> tuple[Block, BlockStats, bytes]:
        """A block, its statistics and its bytes."""
        block, stats, raw = await together(
            self.block(block_hash),
            self.rpc.call("getblockstats", block_hash, _STATS, kind=BlockStats),
            self.raw_block(block_hash),
        )
        return block, stats, raw

    async def stats(self, hashes: Sequence[str]) -> list[BlockStats | RpcRefused]:
        """Statistics by hash, in order; a block that the node cannot read stands there as its error."""
        return await self.rpc.batch([("getblockstats", (block_hash, _STATS)) for block_hash in hashes], kind=BlockStats)

    async def raw_block(self, block_hash: str) -> bytes:
        """A serialised block."""
        raw: str = await self.rpc.call("getblock", block_hash, 0, kind=str)
        return bytes.fromhex(raw)

    async def raw_headers(self, hashes: Sequence[str]) -> list[bytes]:
        """Serialised headers by hash, 80 bytes each."""
        raw = _all(await self.rpc.batch([("getblockheader", (block_hash, False)) for block_hash in hashes], kind=str))
        return [bytes.fromhex(header) for header in raw]

    async def addresses(self, scripts: Iterable[bytes]) -> list[str]:
        """The addresses of output scripts; those without one are left out."""
        answers = await self.rpc.batch([("decodescript", (script.hex(),)) for script in scripts], kind=_Script)
        return [answer.address for answer in answers if isinstance(answer, _Script) and answer.address]

    async def mempool_info(self) -> MempoolInfo:
        """Totals of the mempool."""
        info: MempoolInfo = await self.rpc.call("getmempoolinfo", kind=MempoolInfo)
        return info

    async def mempool(self) -> MempoolContents:
        """Every txid in the mempool."""
        contents: MempoolContents = await self.rpc.call("getrawmempool", False, True, kind=MempoolContents)
        return contents

    async def entries(self, txids: Sequence[str]) -> dict[str, Entry]:
        """Mempool entries; a transaction that is gone is missing from the answer."""
        answers = await self.rpc.batch([("getmempoolentry", (txid,)) for txid in txids], kind=Entry)
        return {txid: answer for txid, answer in zip(txids, answers, strict=True) if isinstance(answer, Entry)}

    async def raw_transactions(self, txids: Sequence[str]) -> dict[str, bytes]:
        """Serialised transactions of the mempool; one that is gone is missing from the answer."""
        answers = await self.rpc.batch([("getrawtransaction", (txid,)) for txid in txids], kind=str)
        return {txid: bytes.fromhex(raw) for txid, raw in zip(txids, answers, strict=True) if isinstance(raw, str)}

    async def details(self, txids: Sequence[str]) -> tuple[dict[str, Entry], dict[str, bytes]]:
        """Entries and bytes of transactions in the mempool, asked for side by side."""
        entries, raw = await together(self.entries(txids), self.raw_transactions(txids))
        return entries, raw


def _all(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, RpcRefused):
            raise answer
    return answers

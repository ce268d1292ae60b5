"""What chain-ingest asks of a Bitcoin node. The only module here that names RPC methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final

from chain_ingest.answers import (
    BlockStats,
    ChainInfo,
    Hash,
    HeaderInfo,
    MempoolContents,
    MempoolEntry,
    MempoolInfo,
    NetworkInfo,
    Notification,
    Script,
)
from chain_ingest.transaction import Transaction, parse
from shared.errors import DashboardError, RpcError, RpcMalformed, RpcRefused
from shared.rpc import RpcClient
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


class NodeUnready(DashboardError):
    """The node has not read or loaded all that it is asked for, and another has."""


class ChainMoved(RpcError):
    """The node's best chain changed while it was read: to be read again."""


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
        best: str = await self.rpc.call("getbestblockhash", kind=Hash)
        return best

    async def header(self, block_hash: str) -> HeaderInfo:
        """Header by hash."""
        header: HeaderInfo = await self.rpc.call("getblockheader", block_hash, kind=HeaderInfo)
        return header

    async def hashes(self, heights: Iterable[int]) -> list[str]:
        """Hashes on the best chain; raises RpcRefused where a height is beyond the tip."""
        return _all(await self.rpc.batch([("getblockhash", (height,)) for height in heights], kind=Hash))

    async def branch(self, first: int, tip: HeaderInfo) -> list[HeaderInfo]:
        """Headers from height `first` up to this tip, each on the one before; raises ChainMoved where they are not."""
        try:
            hashes = await self.hashes(range(first, tip.height + 1))
            calls = [("getblockheader", (block_hash,)) for block_hash in hashes]
            headers: list[HeaderInfo] = _all(await self.rpc.batch(calls, kind=HeaderInfo))
        except RpcRefused as error:
            raise ChainMoved(f"the chain of node {self.name} became shorter while it was read") from error
        links = (above.previousblockhash == below.hash for below, above in itertools.pairwise(headers))
        if headers[-1].hash != tip.hash or not all(links):
            raise ChainMoved(f"the chain of node {self.name} changed while it was read")
        return headers

    async def stats(self, block_hash: str) -> BlockStats:
        """What a block's transactions paid."""
        stats: BlockStats = await self.rpc.call("getblockstats", block_hash, _STATS, kind=BlockStats)
        return stats

    async def raw_block(self, block_hash: str) -> bytes:
        """A serialised block."""
        raw: str = await self.rpc.call("getblock", block_hash, 0, kind=str)
        return _bytes("getblock", raw)

    async def raw_headers(self, hashes: Sequence[str]) -> list[bytes]:
        """Serialised headers by hash, 80 bytes each."""
        raw = _all(await self.rpc.batch([("getblockheader", (block_hash, False)) for block_hash in hashes], kind=str))
        return [_bytes("getblockheader", header) for header in raw]

    async def addresses(self, scripts: Iterable[bytes]) -> list[str]:
        """The addresses of output scripts; those without one are left out."""
        answers = await self.rpc.batch([("decodescript", (script.hex(),)) for script in scripts], kind=Script)
        return [answer.address for answer in answers if isinstance(answer, Script) and answer.address]

    async def mempool_info(self) -> MempoolInfo:
        """Totals of the mempool."""
        info: MempoolInfo = await self.rpc.call("getmempoolinfo", kind=MempoolInfo)
        return info

    async def mempool(self) -> MempoolContents:
        """Every txid in the mempool."""
        contents: MempoolContents = await self.rpc.call("getrawmempool", False, True, kind=MempoolContents)
        return contents

    async def mempool_entries(self, txids: Sequence[str]) -> dict[str, MempoolEntry]:
        """Mempool entries; a transaction that is gone is missing from the answer."""
        answers = await self.rpc.batch([("getmempoolentry", (txid,)) for txid in txids], kind=MempoolEntry)
        return {txid: answer for txid, answer in zip(txids, answers, strict=True) if isinstance(answer, MempoolEntry)}

    async def transactions(self, txids: Sequence[str]) -> dict[str, Transaction]:
        """Transactions of the mempool; one that is gone is missing from the answer."""
        answers = await self.rpc.batch([("getrawtransaction", (txid,)) for txid in txids], kind=str)
        return {txid: _transaction(raw) for txid, raw in zip(txids, answers, strict=True) if isinstance(raw, str)}

    async def details(self, txids: Sequence[str]) -> tuple[dict[str, MempoolEntry], dict[str, Transaction]]:
        """Entries and contents of transactions in the mempool, asked for side by side."""
        entries, transactions = await together(self.mempool_entries(txids), self.transactions(txids))
        return entries, transactions


def _bytes(method: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise RpcMalformed(f"the node answers `{method}` with what is not hexadecimal ({error})") from error


def _transaction(text: str) -> Transaction:
    try:
        return parse(_bytes("getrawtransaction", text))
    except (ValueError, IndexError) as error:
        raise RpcMalformed(f"the node answers `getrawtransaction` with no transaction ({error})") from error


def _all(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, RpcRefused):
            raise answer
    return answers

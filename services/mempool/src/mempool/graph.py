"""The transactions of a mempool, who spends from whom, and in which order a miner would take them.

A transaction alone is taken at its own feerate. Related ones form a cluster, which is ordered by ancestor feerate
(as bitcoin/src/node/miner.cpp does up to version 30) and cut into chunks of falling feerate, so that a child pays
for its parent. Clusters are ordered only when somebody asks for them: `settle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

_NONE: Final[set[bytes]] = set()
"""What most transactions have for relatives: nothing. One object for all of them, never changed."""

_rate = attrgetter("rate")
_vsize = attrgetter("vsize")


class Tx:
    """One transaction. Amounts in satoshi, sizes in vB, WU and bytes, time in Unix seconds."""

    __slots__ = ("band", "children", "chunk", "fee", "parents", "rate", "size", "time", "value", "vsize", "weight")

    def __init__(self, fee: int, vsize: int, weight: int, size: int, value: int, time: int) -> None:
        self.fee = fee
        self.vsize = vsize
        self.weight = weight
        self.size = size
        self.value = value
        self.time = time
        self.parents: set[bytes] = _NONE  # in the mempool or gone; those that matter are known
        self.children: set[bytes] = _NONE  # in the mempool
        self.rate = fee / vsize  # effective, sat/vB
        self.band = -1  # of the histogram, -1 while not counted
        self.chunk: Chunk | None = None  # None: a chunk by itself


class Chunk:
    """Transactions that a miner takes together."""

    __slots__ = ("fee", "leader", "rate", "txs", "vsize")

    def __init__(self, fee: int, vsize: int, txs: list[Tx]) -> None:
        self.fee = fee
        self.vsize = vsize
        self.rate = fee / vsize
        self.txs = txs
        self.leader = txs[0]


def members(chunk: Tx | Chunk) -> Sequence[Tx]:
    """The transactions of a chunk."""
    return (chunk,) if isinstance(chunk, Tx) else chunk.txs


class Graph:
    """All transactions by txid (32 bytes, RPC order)."""

    def __init__(self) -> None:
        self.txs: dict[bytes, Tx] = {}
        self._unsettled: set[bytes] = set()

    def add(self, txid: bytes, tx: Tx, parents: Iterable[bytes], children: Iterable[bytes]) -> list[bytes]:
        """Insert a transaction; returns the children that were there before it and had not named it as a parent."""
        self.txs[txid] = tx
        relinked = []
        for parent in parents:
            if tx.parents is _NONE:
                tx.parents = set()
            tx.parents.add(parent)
            if (other := self.txs.get(parent)) is not None:
                self._link(other, txid)
                self._unsettled.add(parent)
                self._unsettled.add(txid)
        for child in children:
            if (other := self.txs.get(child)) is None:
                continue
            if txid not in other.parents:
                other.parents = {*other.parents, txid}
                relinked.append(child)
            self._link(tx, child)
            self._unsettled.add(child)
            self._unsettled.add(txid)
        return relinked

    def relink(self) -> None:
        """Connect every transaction with its parents, for transactions that were added in any order."""
        for txid, tx in self.txs.items():
            for parent in tx.parents:
                if (other := self.txs.get(parent)) is not None:
                    self._link(other, txid)
                    self._unsettled.add(txid)

    @staticmethod
    def _link(parent: Tx, child: bytes) -> None:
        if parent.children is _NONE:
            parent.children = set()
        parent.children.add(child)

    def remove(self, txid: bytes) -> Tx | None:
        """Take a transaction out; None where it is not there."""
        tx = self.txs.pop(txid, None)
        if tx is None:
            return None
        self._unsettled.discard(txid)
        for parent in tx.parents:
            if (other := self.txs.get(parent)) is not None:
                other.children.discard(txid)
                self._unsettled.add(parent)
        self._unsettled.update(tx.children)
        return tx

    def settle(self) -> Iterator[Tx]:
        """Order every cluster that changed; yields the transactions whose chunk was computed anew."""
        while self._unsettled:
            cluster = self._cluster(self._unsettled.pop())
            self._unsettled.difference_update(cluster)
            if len(cluster) == 1:
                tx = self.txs[cluster[0]]
                tx.chunk, tx.rate = None, tx.fee / tx.vsize
                yield tx
                continue
            for chunk in linearise({txid: self.txs[txid] for txid in cluster}):
                for tx in chunk.txs:
                    tx.chunk, tx.rate = chunk, chunk.rate
                yield from chunk.txs

    def _cluster(self, txid: bytes) -> list[bytes]:
        found = [txid]
        seen = {txid}
        for member in found:  # grows while it is read
            tx = self.txs[member]
            for relative in (*tx.parents, *tx.children):
                if relative not in seen and relative in self.txs:
                    seen.add(relative)
                    found.append(relative)
        return found

    def chunks(self, band: int | None = None) -> list[Tx | Chunk]:
        """Everything in the order in which a miner takes it, best first; or from this band of the histogram up.

        Call after `settle`.
        """
        found: list[Tx | Chunk] = []
        for tx in self.txs.values():
            if band is not None and tx.band < band:
                continue
            chunk = tx.chunk
            if chunk is None:
                found.append(tx)
            elif chunk.leader is tx:
                found.append(chunk)
        found.sort(key=_vsize)  # equal feerates in an order of their own, so that every rebuild fills blocks alike
        found.sort(key=_rate, reverse=True)
        return found


def linearise(cluster: dict[bytes, Tx]) -> list[Chunk]:
    """Order one cluster into chunks of falling feerate.

    Transactions are numbered parents first, and sets of them are the bits of an integer.
    """
    order = _topological(cluster)
    txs = [cluster[txid] for txid in order]
    number = {txid: at for at, txid in enumerate(order)}
    ancestors: list[int] = []
    fees: list[int] = []  # of what is left of the ancestors, itself included
    sizes: list[int] = []
    for at, tx in enumerate(txs):
        parents = [number[parent] for parent in tx.parents if parent in number]
        mask = 1 << at
        for place in parents:
            mask |= ancestors[place]
        ancestors.append(mask)
        if len(parents) == 1:  # a chain: what counts for the parent counts for the child
            fees.append(fees[parents[0]] + tx.fee)
            sizes.append(sizes[parents[0]] + tx.vsize)
        else:
            members = [txs[place] for place in _bits(mask)]
            fees.append(sum(member.fee for member in members))
            sizes.append(sum(member.vsize for member in members))
    chunks: list[Chunk] = []
    left = list(range(len(txs)))
    taken = 0
    while left:
        best = left[0]
        for at in left:
            if fees[at] * sizes[best] > fees[best] * sizes[at]:
                best = at
        package = ancestors[best] & ~taken
        fee, size = fees[best], sizes[best]
        chunks.append(Chunk(fee, size, [txs[at] for at in _bits(package)]))
        taken |= package
        left = [at for at in left if not package >> at & 1]
        for at in left:
            shared = ancestors[at] & package
            if shared == package:
                fees[at] -= fee
                sizes[at] -= size
            elif shared:
                for place in _bits(shared):
                    fees[at] -= txs[place].fee
                    sizes[at] -= txs[place].vsize
        while len(chunks) > 1 and chunks[-1].rate > chunks[-2].rate:
            last = chunks.pop()
            before = chunks.pop()
            chunks.append(Chunk(before.fee + last.fee, before.vsize + last.vsize, before.txs + last.txs))
    return chunks


def _bits(mask: int) -> list[int]:
    """Places of the set bits, lowest first."""
    places = []
    while mask:
        low = mask & -mask
        places.append(low.bit_length() - 1)
        mask ^= low
    return places


def _topological(cluster: dict[bytes, Tx]) -> list[bytes]:
    """Parents before children, and by txid where that leaves a choice: the sets come in any order."""
    waiting = {txid: sum(parent in cluster for parent in tx.parents) for txid, tx in cluster.items()}
    order = sorted(txid for txid, count in waiting.items() if not count)
    for txid in order:  # grows while it is read
        for child in sorted(cluster[txid].children):
            if child in waiting:
                waiting[child] -= 1
                if not waiting[child]:
                    order.append(child)
    return order

"""Everything that is known of the mempool, and the views made of it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from mempool.graph import Chunk, Graph, Tx, members
from mempool.histogram import Histogram
from mempool.incoming import Incoming
from mempool.projection import (
    BLOCK_VSIZE,
    esplora_histogram,
    next_block,
    next_block_full,
    precise_fees,
    projected_blocks,
    recommended_fees,
)
from shared.events.mempool import MempoolSynced
from shared.views import FeesView, LargestView, LargeTx, MempoolView

LARGEST: Final = 50

DOUBT_MS: Final = 60_000
"""Without a comparison for this long the state no longer counts as exact."""


class Picture:
    """Transactions, their totals, bands, rates and the largest of them."""

    def __init__(self, node_ahead: int = 0) -> None:
        self.incoming = Incoming()
        self.node_ahead = node_ahead  # seconds that the node's clock is ahead of the one that all else is counted by
        self._graph = Graph()
        self._histogram = Histogram()
        self._vsize = 0
        self._weight = 0
        self._fee = 0
        self._largest: list[bytes] = []
        self._largest_floor = 0  # value below which a newcomer is not among the largest
        self._largest_stale = False

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._graph.txs

    @property
    def txs(self) -> dict[bytes, Tx]:
        """Transactions by txid."""
        return self._graph.txs

    @property
    def totals(self) -> tuple[int, int, int]:
        """Count, virtual bytes, satoshi."""
        return len(self._graph.txs), self._vsize, self._fee

    def add(self, txid: bytes, tx: Tx, parents: Iterable[bytes], children: Iterable[bytes]) -> list[bytes]:
        """One more; returns the transactions that learned of a parent by it."""
        self._vsize += tx.vsize
        self._weight += tx.weight
        self._fee += tx.fee
        self._histogram.place(tx)
        self.incoming.add(tx.time - self.node_ahead, tx.vsize)
        if tx.value >= self._largest_floor:
            self._largest_stale = True
        return self._graph.add(txid, tx, parents, children)

    def remove(self, txid: bytes) -> bool:
        """One less; False where it is not there."""
        tx = self._graph.remove(txid)
        if tx is None:
            return False
        self._vsize -= tx.vsize
        self._weight -= tx.weight
        self._fee -= tx.fee
        self._histogram.remove(tx)
        if tx.value >= self._largest_floor:
            self._largest_stale = True
        return True

    def relink(self) -> None:
        """Connect children that were added before their parents, and order all clusters."""
        self._graph.relink()
        self._settle()

    def _settle(self) -> None:
        for tx in self._graph.settle():
            self._histogram.place(tx)

    def views(
        self, synced: MempoolSynced, now_ms: int, *, trusted: bool = True
    ) -> tuple[MempoolView, FeesView, LargestView]:
        """Totals, fees and the largest transactions as they are now, where there is no doubt about the clock."""
        self._settle()
        chunks = self._graph.chunks()
        blocks = projected_blocks(chunks)
        txs_per_second, vsize_per_second = self.incoming.per_second(now_ms // 1000)
        summary = MempoolView(
            count=len(self._graph.txs),
            vsize=self._vsize,
            weight=self._weight,
            total_fee=self._fee,
            min_fee_rate=synced.min_fee_rate,
            usage=synced.usage,
            max_usage=synced.max_usage,
            vsize_per_second=round(vsize_per_second, 2),
            txs_per_second=round(txs_per_second, 2),
            exact=trusted and now_ms - synced.time_ms < DOUBT_MS,
            synced_ms=synced.time_ms,
            as_of_ms=now_ms,
        )
        fees = FeesView(
            recommended=recommended_fees(blocks, synced.min_fee_rate),
            precise=precise_fees(blocks, synced.min_fee_rate),
            next_block_full=next_block_full(blocks),
            projected_blocks=blocks,
            histogram=self._histogram.bands(),
            fee_histogram=esplora_histogram(chunks),
        )
        return summary, fees, LargestView(transactions=self._largest_now())

    def expected(self) -> list[bytes]:
        """Txids of the next projected block, highest effective feerate first.

        Where it ends among chunks that are alike, those with the lowest txids are in it: every rebuild says the same.
        """
        self._settle()
        band = self._histogram.lowest_of(BLOCK_VSIZE)  # nine tenths of what waits need not be sorted
        chunks, txs = self._graph.chunks(band), self._graph.txs
        end = next_block(chunks)
        first, last = _alike(chunks, end)
        places = {id(tx): place for place, chunk in enumerate(chunks[:last]) for tx in members(chunk)}
        found: list[list[bytes]] = [[] for _ in range(last)]
        for txid, tx in txs.items():
            if (place := places.get(id(tx))) is not None:
                found[place].append(txid)
        taken = found[:first] + sorted(found[first:], key=min)[: end - first]
        return sorted((txid for chunk in taken for txid in chunk), key=lambda txid: (-txs[txid].rate, txid))

    def _largest_now(self) -> list[LargeTx]:
        txs = self._graph.txs
        if self._largest_stale:
            # ties by txid, so that every rebuild shows the same
            self._largest = heapq.nsmallest(LARGEST, txs, key=lambda txid: (-txs[txid].value, txid))
            full = len(self._largest) == LARGEST
            self._largest_floor = txs[self._largest[-1]].value if full else 0
            self._largest_stale = False
        return [
            LargeTx(txid=txid.hex(), value=tx.value, vsize=tx.vsize, fee=tx.fee, time=tx.time)
            for txid in self._largest
            if (tx := txs.get(txid)) is not None
        ]


def _alike(chunks: Sequence[Tx | Chunk], end: int) -> tuple[int, int]:
    """From where to where the chunks have feerate and size of the one before `end`."""
    first = last = end
    while last < len(chunks) and _same(chunks[last], chunks[end - 1]):
        last += 1
    while first and last > end and _same(chunks[first - 1], chunks[end]):
        first -= 1
    return first, last


def _same(one: Tx | Chunk, other: Tx | Chunk) -> bool:
    return one.vsize == other.vsize and one.rate == other.rate

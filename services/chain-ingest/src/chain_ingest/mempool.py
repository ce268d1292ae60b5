"""Follows the mempool: publishes each transaction that enters or leaves it, once, so that the stream adds up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final

from chain_ingest.answers import MempoolContents, MempoolEntry
from chain_ingest.block import AppliedBlock
from chain_ingest.hints import Hint, Hints
from chain_ingest.node import Node
from chain_ingest.published import Published, Record, unpack
from chain_ingest.removals import RemovalRun
from chain_ingest.transaction import Transaction
from shared import redis
from shared.bus import Producer
from shared.events.mempool import MempoolBlock, TxAdded, TxRemoved
from shared.keys import Keys

SNAPSHOT_STEP: Final = 1_000
"""Transactions that a snapshot asks the node for at once."""

TXID_START: Final = 12
"""Digits of a txid that `mempool.block` names it by."""

UNSEEN_CAP: Final = 10_000

Beside = Callable[[int, int], Awaitable[None]]
"""Called now and then while a snapshot is published: transactions done, of how many."""


class MempoolFollower:
    """Publishes the mempool of one network. Memory is what Redis holds as long as the lease is ours."""

    def __init__(self, client: redis.Client, keys: Keys, producer: Producer) -> None:
        self.producer = producer
        self.published = Published(client, keys, producer)
        self.complete = False  # whether nothing was missed since the mempool was read
        self.node_time = 0  # the newest acceptance, Unix seconds by the node's clock
        self._run = RemovalRun()
        self._accepted_last = False
        self._unseen: dict[str, bytes] = {}  # inputs of transactions that came and went before they could be read
        self._skip_below = 0

    async def load(self) -> None:
        """Read what was published before."""
        await self.published.load()
        self._discard()

    def _discard(self) -> None:
        """Forget what is not committed."""
        self.published.discard()
        self._unseen = {}
        self._run, self._accepted_last = RemovalRun(), False

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """What fails half-way is forgotten: with whatever node comes next, the difference is found anew."""
        try:
            yield
        except BaseException:
            self._discard()
            raise

    # --- changes ---------------------------------------------------------------------------------------

    def _add(self, txid: str, entry: MempoolEntry, transaction: Transaction) -> None:
        fee = entry.fee
        event = TxAdded(
            txid=txid,
            vsize=entry.vsize,
            weight=entry.weight,
            size=transaction.size,
            fee=fee,
            value=transaction.value,
            time=entry.time,
            parents=entry.depends,
            children=entry.spentby,
            ancestor_fee=entry.ancestor_fee,
            ancestor_vsize=entry.ancestorsize,
            replaceable=entry.replaceable,
        )
        self.node_time = max(self.node_time, entry.time)
        self.published.change(event, Record(fee, entry.vsize, entry.time, transaction.inputs).packed())

    def _remove(self, events: Iterable[TxRemoved]) -> None:
        for event in events:
            if self.published.get(event.txid) is not None:
                self.published.change(event, None)

    async def commit(self) -> None:
        """Publish what has gathered."""
        with self._whole():
            await self.published.commit()

    # --- hints -----------------------------------------------------------------------------------------

    async def handle(self, node: Node, hints: Hints, batch: Sequence[Hint]) -> int:
        """Publish what a run of `A` and `R` says. The caller handles `C` and `D` between two runs.

        Returns when the node accepted the newest of them, Unix seconds by its clock; 0: none is there.
        """
        with self._whole():
            leaving = {hint.hash for hint in batch if hint.label == "R"}  # and perhaps coming back
            wanted = {
                hint.hash: hints.transaction(hint.hash)
                for hint in batch
                if hint.label == "A"
                and hint.sequence >= self._skip_below
                and (hint.hash in leaving or self.published.get(hint.hash) is None)
            }
            entries = await node.mempool_entries(list(wanted)) if wanted else {}
            missing = [txid for txid in entries if wanted[txid] is None]
            if missing:
                wanted.update(await node.transactions(missing))
            for hint in batch:
                if hint.sequence < self._skip_below:
                    continue
                self.published.next_sequence = hint.sequence + 1
                if hint.label == "A":
                    await self._accepted(node, hint.hash, entries.get(hint.hash), wanted.get(hint.hash))
                elif hint.label == "R":
                    self._removed(hint.hash)
            await self.commit()
        return max((entry.time for entry in entries.values()), default=0)

    async def _accepted(
        self, node: Node, txid: str, entry: MempoolEntry | None, transaction: Transaction | None
    ) -> None:
        if self._run:
            if transaction is not None:
                self._remove(self._run.replaced(txid, transaction.inputs))
            if entry is not None:
                self.node_time = max(self.node_time, entry.time)
            self._run.beside_acceptance = True
            await self.close_run(node)
        # without an entry it is gone already, replaced or in a block: its removal follows, and neither is published
        if entry is not None and transaction is not None and self.published.get(txid) is None:
            self._add(txid, entry, transaction)
        elif transaction is not None and len(self._unseen) < UNSEEN_CAP:
            self._unseen[txid] = transaction.inputs
        self._accepted_last = True

    def _removed(self, txid: str) -> None:
        record = self.published.get(txid)
        if not self._run:
            self._run.beside_acceptance = self._accepted_last
        if record is not None:
            known = unpack(record)
            self._run.add(txid, known.inputs, known.time)
        elif (inputs := self._unseen.pop(txid, None)) is not None:
            self._run.add(txid, inputs, self.node_time)  # never published, but it may explain the others
        self._accepted_last = False

    @property
    def run_is_open(self) -> bool:
        """Whether the last hints were removals whose reason the next hint may tell."""
        return bool(self._run)

    async def close_run(self, node: Node) -> None:
        """Give removals that nothing explains a reason, as far as the node's state tells one."""
        if self._run:
            with self._whole():
                full = self._run.beside_acceptance and (await node.mempool_info()).is_full
            self._remove(self._run.trimmed(full, self.node_time))

    async def apply_block(self, node: Node, block: AppliedBlock) -> None:
        """Remove what this block confirmed, and what conflicts with it; the stream says before that it does."""
        with self._whole():
            self._announce(block)
            if self._run:
                self._remove(self._run.conflicted(block))
            self._remove(TxRemoved(txid=txid, reason="block", block=block.hash) for txid in block.txids[1:])
            self.published.block = block.hash
            self._accepted_last = False
            self._unseen = {}
            await self.commit()
            await self.close_run(node)
            await self.commit()

    def _announce(self, block: AppliedBlock) -> None:
        """Tell of the block; not where there is nothing that it could be held against."""
        unseen = [txid for txid in block.txids[1:] if self.published.get(txid) is None]
        waiting = len(block.txids) - 1 - len(unseen)
        if not self.complete and not waiting:
            return
        starts = [txid[:TXID_START] for txid in unseen] if self.complete else None
        event = MempoolBlock(block=block.hash, tx_count=len(block.txids), waiting=waiting, unseen=starts)
        self.published.tell(event)

    # --- the node's whole mempool ----------------------------------------------------------------------

    async def reset(self, node: Node, cause: str) -> None:
        """Begin anew: the stream says so, and the next snapshot publishes everything."""
        self.complete = False
        await self.published.begin_anew(cause, node.name)
        self._discard()

    async def snapshot(self, node: Node, contents: MempoolContents, beside: Beside) -> int:
        """Publish the difference between the node's mempool and ours; returns how many transactions differed.

        Hints older than the snapshot are dropped from then on.
        """
        self._discard()
        if cause := self.published.unreadable or ("" if self.producer.seq else "first start"):
            await self.reset(node, cause)
        present = set(contents.txids)
        gone = [txid for txid in self.published if txid not in present]
        new = [txid for txid in contents.txids if self.published.get(txid) is None]
        self._remove(TxRemoved(txid=txid, reason="unknown") for txid in gone)
        await self.commit()
        parts = [new[start : start + SNAPSHOT_STEP] for start in range(0, len(new), SNAPSHOT_STEP)]
        done = 0
        async with contextlib.aclosing(_details(node, parts)) as answers:
            async for part, entries, transactions in answers:
                for txid in part:
                    if txid in entries and txid in transactions:
                        self._add(txid, entries[txid], transactions[txid])
                await self.commit()
                done += len(part)
                await beside(done, len(new))
        self._skip_below = self.published.next_sequence = contents.mempool_sequence
        return len(gone) + len(new)


Part = tuple[list[str], dict[str, MempoolEntry], dict[str, Transaction]]


async def _details(node: Node, parts: list[list[str]]) -> AsyncGenerator[Part, None]:
    """Entries and contents part by part; the next part is on its way while the caller deals with one."""
    coming: asyncio.Task[tuple[dict[str, MempoolEntry], dict[str, Transaction]]] | None = None
    try:
        for place, part in enumerate(parts):
            answer = await (coming or node.details(part))
            follows = parts[place + 1 : place + 2]
            coming = asyncio.create_task(node.details(follows[0])) if follows else None
            yield part, *answer
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

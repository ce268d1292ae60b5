"""Follows the mempool: publishes each transaction that enters or leaves it, once, so that the stream adds up exactly.

What the stream says is in the mempool is kept beside it in Redis (`Keys.mempool_published`) and changed in the same
commit as the events. So after any failure the difference to the node is known, and it is all that is published.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Final

from chain_ingest.fetch import AppliedBlock
from chain_ingest.hints import Hint, Hints
from chain_ingest.node import Entry, MempoolContents, MempoolInfo, Node
from chain_ingest.removals import RemovalRun
from chain_ingest.transaction import Transaction, parse
from shared import redis
from shared.bus import PUBLISH_AT_ONCE, Producer
from shared.commit import Argument, Commands
from shared.events.base import Event
from shared.events.mempool import MempoolReset, MempoolSynced, TxAdded, TxRemoved
from shared.keys import Keys

SNAPSHOT_STEP: Final = 1_000
"""Transactions that a snapshot asks the node for at once."""

_RECORD: Final = struct.Struct("<QII")  # fee in satoshi, vsize, time; the inputs' fingerprints follow
UNSEEN_CAP: Final = 10_000
_SCAN: Final = 5_000

Change = tuple[TxAdded | TxRemoved, bytes | None]
"""An event and the record that its transaction has from then on."""


class MempoolFollower:
    """Publishes the mempool of one network. Memory is what Redis holds as long as the lease is ours."""

    def __init__(self, client: redis.Client, keys: Keys, producer: Producer) -> None:
        self._redis = client
        self._keys = keys
        self.producer = producer
        self._published: dict[str, bytes] = {}
        self._vsize = 0
        self._fee = 0
        self._run = RemovalRun()
        self._accepted_last = False
        self._unseen: dict[str, bytes] = {}  # inputs of transactions that came and went before they could be read
        self._node_time = 0  # the newest acceptance, Unix seconds
        self._changes: list[Change] = []  # not committed yet, in order
        self._overlay: dict[str, bytes | None] = {}  # what they make of `_published`; None removes
        self._block = ""
        self._skip_below = 0
        self._next_sequence = 0
        self.snapshot_done = 0  # progress of the present snapshot
        self.snapshot_total = 0

    @property
    def block(self) -> str:
        """The last block whose transactions left the mempool by our account."""
        return self._block

    @property
    def totals(self) -> tuple[int, int, int]:
        """Count, virtual bytes, satoshi, of what is published."""
        return len(self._published), self._vsize, self._fee

    async def load(self) -> None:
        """Read what was published before."""
        await self.producer.load()
        stored: bytes | None = await self._redis.hget(self._keys.mempool_producer, "block")
        self._block = stored.decode() if stored else ""
        self._published = {}
        async for txid, record in self._redis.hscan_iter(self._keys.mempool_published, count=_SCAN):
            self._published[txid.hex()] = record
        records = [_RECORD.unpack_from(record) for record in self._published.values()]
        self._fee = sum(fee for fee, _, _ in records)
        self._vsize = sum(vsize for _, vsize, _ in records)
        self._discard()

    def _discard(self) -> None:
        """Forget what is not committed."""
        self._changes, self._overlay, self._unseen = [], {}, {}
        self._run, self._accepted_last = RemovalRun(), False

    # --- changes on their way --------------------------------------------------------------------------

    def _record(self, txid: str) -> bytes | None:
        if txid in self._overlay:
            return self._overlay[txid]
        return self._published.get(txid)

    def _change(self, event: TxAdded | TxRemoved, record: bytes | None) -> None:
        self._changes.append((event, record))
        self._overlay[event.txid] = record

    def _add(self, txid: str, entry: Entry, transaction: Transaction) -> None:
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
        self._node_time = max(self._node_time, entry.time)
        self._change(event, _RECORD.pack(fee, entry.vsize, entry.time) + transaction.inputs)

    def _remove(self, events: Iterable[TxRemoved]) -> None:
        for event in events:
            if self._record(event.txid) is not None:
                self._change(event, None)

    async def commit(self, last: Event | None = None) -> None:
        """Publish what has gathered, PUBLISH_AT_ONCE events a commit, each commit with the records that it changes."""
        changes = self._changes
        for start in range(0, len(changes), PUBLISH_AT_ONCE):
            part = changes[start : start + PUBLISH_AT_ONCE]
            commands = Commands()
            records = {event.txid: record for event, record in part}
            added: list[Argument] = []
            for txid, record in records.items():
                if record is not None:
                    added += (bytes.fromhex(txid), record)
            removed: list[Argument] = [bytes.fromhex(txid) for txid, record in records.items() if record is None]
            commands.spread("HSET", self._keys.mempool_published, added)
            commands.spread("HDEL", self._keys.mempool_published, removed)
            if start + PUBLISH_AT_ONCE >= len(changes):
                commands.add("HSET", self._keys.mempool_producer, "block", self._block)
            await self.producer.publish([event for event, _ in part], commands)
            for txid, record in records.items():
                self._account(txid, record)
        self._changes, self._overlay = [], {}
        if last is not None:
            await self.producer.publish([last])

    def _account(self, txid: str, record: bytes | None) -> None:
        old = self._published.pop(txid, None)
        if old is not None:
            fee, vsize, _ = _RECORD.unpack_from(old)
            self._fee -= fee
            self._vsize -= vsize
        if record is not None:
            fee, vsize, _ = _RECORD.unpack_from(record)
            self._fee += fee
            self._vsize += vsize
            self._published[txid] = record

    # --- hints -----------------------------------------------------------------------------------------

    async def handle(self, node: Node, hints: Hints, batch: Sequence[Hint]) -> None:
        """Publish what a run of `A` and `R` says. The caller handles `C` and `D` between two runs."""
        leaving = {hint.hash for hint in batch if hint.label == "R"}  # and perhaps coming back
        wanted = {
            hint.hash: hints.transaction(hint.hash)
            for hint in batch
            if hint.label == "A"
            and hint.sequence >= self._skip_below
            and (hint.hash in leaving or self._record(hint.hash) is None)
        }
        entries = await node.entries(list(wanted)) if wanted else {}
        missing = [txid for txid in entries if wanted[txid] is None]
        if missing:
            for txid, raw in (await node.raw_transactions(missing)).items():
                wanted[txid] = parse(raw)
        for hint in batch:
            if hint.sequence < self._skip_below:
                continue
            self._next_sequence = hint.sequence + 1
            if hint.label == "A":
                await self._accepted(node, hint.hash, entries.get(hint.hash), wanted.get(hint.hash))
            elif hint.label == "R":
                self._removed(hint.hash)
        await self.commit()

    async def _accepted(self, node: Node, txid: str, entry: Entry | None, transaction: Transaction | None) -> None:
        if self._run:
            if transaction is not None:
                self._remove(self._run.replaced(txid, transaction.inputs))
            if entry is not None:
                self._node_time = max(self._node_time, entry.time)
            self._run.beside_acceptance = True
            await self.close_run(node)
        # without an entry it is gone already, replaced or in a block: its removal follows, and neither is published
        if entry is not None and transaction is not None and self._record(txid) is None:
            self._add(txid, entry, transaction)
        elif transaction is not None and len(self._unseen) < UNSEEN_CAP:
            self._unseen[txid] = transaction.inputs
        self._accepted_last = True

    def _removed(self, txid: str) -> None:
        record = self._record(txid)
        if not self._run:
            self._run.beside_acceptance = self._accepted_last
        if record is not None:
            _, _, accepted = _RECORD.unpack_from(record)
            self._run.add(txid, record[_RECORD.size :], accepted)
        elif (inputs := self._unseen.pop(txid, None)) is not None:
            self._run.add(txid, inputs, self._node_time)  # never published, but it may explain the others
        self._accepted_last = False

    @property
    def run_is_open(self) -> bool:
        """Whether the last hints were removals whose reason the next hint may tell."""
        return bool(self._run)

    async def close_run(self, node: Node) -> None:
        """Give removals that nothing explains a reason, as far as the node's state tells one."""
        if self._run:
            full = self._run.beside_acceptance and (await node.mempool_info()).is_full
            self._remove(self._run.trimmed(full, self._node_time))

    async def apply_block(self, node: Node, block: AppliedBlock) -> None:
        """Remove what this block confirmed, and what conflicts with it."""
        if self._run:
            self._remove(self._run.conflicted(block.hash, block.spent))
        self._remove(TxRemoved(txid=txid, reason="block", block=block.hash) for txid in block.txids[1:])
        self._block = block.hash
        self._accepted_last = False
        self._unseen = {}
        await self.commit()
        await self.close_run(node)
        await self.commit()

    # --- the node's whole mempool ----------------------------------------------------------------------

    async def reset(self, node: Node, cause: str) -> None:
        """Begin anew: the stream says so, and the next snapshot publishes everything."""
        commands = Commands()
        commands.add("DEL", self._keys.mempool_published)
        commands.add("DEL", self._keys.mempool_resync)  # whoever asked for this beginning has it now
        await self.producer.publish([MempoolReset(cause=cause, node=node.name)], commands)
        self._published, self._fee, self._vsize = {}, 0, 0
        self._discard()

    async def snapshot(self, node: Node, contents: MempoolContents) -> int:
        """Publish the difference between the node's mempool and ours; returns how many transactions differed.

        Hints older than the snapshot are dropped from then on.
        """
        self._discard()
        if self.producer.seq == 0:
            await self.reset(node, "first start")
        present = set(contents.txids)
        gone = [txid for txid in self._published if txid not in present]
        new = [txid for txid in contents.txids if txid not in self._published]
        self._remove(TxRemoved(txid=txid, reason="unknown") for txid in gone)
        await self.commit()
        self.snapshot_done, self.snapshot_total = 0, len(new)
        parts = [new[start : start + SNAPSHOT_STEP] for start in range(0, len(new), SNAPSHOT_STEP)]
        async with contextlib.aclosing(_details(node, parts)) as answers:
            async for part, entries, raw in answers:
                for txid in part:
                    if txid in entries and txid in raw:
                        self._add(txid, entries[txid], parse(raw[txid]))
                await self.commit()
                self.snapshot_done += len(part)
        self._skip_below = self._next_sequence = contents.mempool_sequence
        return len(gone) + len(new)

    async def synced(self, info: MempoolInfo) -> None:
        """Say that the stream adds up to the node's mempool, which `info` was just seen to confirm."""
        count, vsize, fee = info.totals
        event = MempoolSynced(
            mempool_sequence=self._next_sequence,
            tx_count=count,
            vsize=vsize,
            total_fee=fee,
            min_fee_rate=info.min_fee_rate,
            usage=info.usage,
            max_usage=info.maxmempool,
            time_ms=int(time.time() * 1000),
        )
        await self.commit(last=event)


Part = tuple[list[str], dict[str, Entry], dict[str, bytes]]


async def _details(node: Node, parts: list[list[str]]) -> AsyncGenerator[Part, None]:
    """Entries and bytes part by part; the next part is on its way while the caller deals with one."""
    coming: asyncio.Task[tuple[dict[str, Entry], dict[str, bytes]]] | None = None
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

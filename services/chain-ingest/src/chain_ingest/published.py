"""What the stream says is in the mempool: a record a transaction, their totals, and the changes on their way.

The records are a hash in Redis, changed in the same commit as the events. So after any failure the difference to the
node is known, and it is all that is published.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from chain_ingest.answers import MempoolInfo
from shared import domains, layouts, redis
from shared.bus import PUBLISH_AT_ONCE, Producer
from shared.commit import Argument, Commands
from shared.events.base import Event
from shared.events.mempool import MempoolBlock, MempoolReset, MempoolSynced, TxAdded, TxRemoved
from shared.keys import Keys

_HEAD: Final = struct.Struct("<QII")  # fee in satoshi, vsize, time; the inputs' fingerprints follow
_SCAN: Final = 5_000

LAYOUT: Final = 1
"""Of the records. What another version of the software stored in another is not read: the mempool begins anew."""

Totals = tuple[int, int, int]
"""Count, virtual bytes, satoshi."""


class Record(NamedTuple):
    """One transaction."""

    fee: int
    vsize: int
    time: int
    inputs: bytes

    def packed(self) -> bytes:
        """As the hash holds it."""
        return _HEAD.pack(self.fee, self.vsize, self.time) + self.inputs


def unpack(raw: bytes) -> Record:
    """The record that these bytes hold."""
    fee, vsize, time = _HEAD.unpack_from(raw)
    return Record(fee, vsize, time, raw[_HEAD.size :])


def difference(totals: Totals, old: bytes | None, new: bytes | None) -> Totals:
    """The totals once a transaction's record is another; None: there is none."""
    count, vsize, fee = totals
    if old is not None:
        old_fee, old_vsize, _ = _HEAD.unpack_from(old)
        count, vsize, fee = count - 1, vsize - old_vsize, fee - old_fee
    if new is not None:
        new_fee, new_vsize, _ = _HEAD.unpack_from(new)
        count, vsize, fee = count + 1, vsize + new_vsize, fee + new_fee
    return count, vsize, fee


class Claim(NamedTuple):
    """What the node said of its whole mempool, to be found in the sum of the events."""

    info: MempoolInfo
    asked_ms: int  # by our steady clock
    time_ms: int  # by Redis' clock
    node_time_ms: int | None  # by the node's
    publish: bool  # whether `mempool.synced` is wanted

    def synced(self, sequence: int) -> MempoolSynced:
        """The event that says so. All its figures are of one moment."""
        count, vsize, fee = self.info.totals
        return MempoolSynced(
            mempool_sequence=sequence,
            tx_count=count,
            vsize=vsize,
            total_fee=fee,
            min_fee_rate=self.info.min_fee_rate,
            usage=self.info.usage,
            max_usage=self.info.maxmempool,
            time_ms=self.time_ms,
            node_time_ms=self.node_time_ms,
        )


class Published:
    """The records that were committed, and the changes to them that were not yet."""

    def __init__(self, client: redis.Client, keys: Keys, producer: Producer) -> None:
        self.producer = producer
        self.block = ""  # the last whose transactions left the mempool by our account
        self.unreadable = ""  # why nothing can be added to what is stored: it must begin anew
        self.next_sequence = 0  # of the node's mempool
        self.totals: Totals = (0, 0, 0)
        self._redis = client
        self._keys = keys
        self._records: dict[str, bytes] = {}
        self._block = ""  # as committed
        self._expected = 0  # how many there must be
        self._changes: list[tuple[Event, str, bytes | None]] = []  # event, transaction, and its record from then on
        self._overlay: dict[str, bytes | None] = {}  # what they make of `_records`; None removes
        self._ahead: Totals = (0, 0, 0)  # what they make of `totals`
        self._sought: Claim | None = None
        self._found: Claim | None = None

    async def load(self) -> None:
        """Read what was committed before."""
        await self.producer.load()
        fields = await self._redis.hmget(self._keys.producer(domains.TXS), "block", "count", layouts.LAYOUT)
        block, count, layout = fields
        self._block = block.decode() if block else ""
        self._records, self.totals, self.unreadable = {}, (0, 0, 0), ""
        stored = str(layouts.FIRST) if layout is None else layout.decode(errors="replace")
        if stored != str(LAYOUT):
            self.unreadable = f"{self._keys.published(domains.TXS)} is stored in layout {stored}, {LAYOUT} is expected"
            self._expected = int(count or 0)
            self.discard()
            return
        async for txid, record in self._redis.hscan_iter(self._keys.published(domains.TXS), count=_SCAN):
            self._set(txid.hex(), record)  # a scan may return a field twice
        self._expected = int(count) if count else len(self._records)
        self.discard()

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def get(self, txid: str) -> bytes | None:
        """A transaction's record with all changes; None where it is not in the mempool."""
        return self._overlay[txid] if txid in self._overlay else self._records.get(txid)

    async def lost(self) -> str:
        """What is gone of what was published, in words; empty where all is there."""
        if self.unreadable:
            return self.unreadable
        there = int(await self._redis.hlen(self._keys.published(domains.TXS)))
        if there != self._expected or len(self._records) != self._expected:
            return f"{self._keys.published(domains.TXS)} holds {there} transactions of {self._expected}"
        return await self.producer.lost()

    # --- changes ---------------------------------------------------------------------------------------

    def change(self, event: TxAdded | TxRemoved, record: bytes | None) -> None:
        """To be committed: this event, and the transaction's record from then on (None: it is gone)."""
        self._ahead = difference(self._ahead, self.get(event.txid), record)
        self._changes.append((event, event.txid, record))
        self._overlay[event.txid] = record
        self._look()

    def tell(self, event: MempoolBlock) -> None:
        """To be committed: this event, which changes nothing by itself."""
        self._changes.append((event, "", None))

    def discard(self) -> None:
        """Forget what is not committed, and what was sought."""
        self.block = self._block
        self._changes, self._overlay = [], {}
        self._ahead, self._sought, self._found = self.totals, None, None

    async def commit(self) -> None:
        """Publish what has gathered, PUBLISH_AT_ONCE events a commit, each commit with the records that it changes."""
        for start in range(0, len(self._changes), PUBLISH_AT_ONCE):
            part = self._changes[start : start + PUBLISH_AT_ONCE]
            records = {txid: record for _, txid, record in part if txid}
            commands = Commands()
            added: list[Argument] = []
            for txid, record in records.items():
                if record is not None:
                    added += (bytes.fromhex(txid), record)
            removed: list[Argument] = [bytes.fromhex(txid) for txid, record in records.items() if record is None]
            commands.spread("HSET", self._keys.published(domains.TXS), added)
            commands.spread("HDEL", self._keys.published(domains.TXS), removed)
            count = self._expected + sum(
                (record is not None) - (txid in self._records) for txid, record in records.items()
            )
            commands.add("HSET", self._keys.producer(domains.TXS), "count", count)
            if start + PUBLISH_AT_ONCE >= len(self._changes):
                commands.add("HSET", self._keys.producer(domains.TXS), "block", self.block)
            await self.producer.publish([event for event, _, _ in part], commands)
            for txid, record in records.items():
                self._set(txid, record)
            self._expected = count
        self._changes, self._overlay, self._block = [], {}, self.block

    async def begin_anew(self, cause: str, node: str) -> None:
        """Say that all that was published counts no more."""
        commands = Commands()
        commands.add("DEL", self._keys.published(domains.TXS))
        commands.add("DEL", self._keys.resync(domains.TXS))  # whoever asked for this beginning has it now
        commands.add("HSET", self._keys.producer(domains.TXS), "count", 0, layouts.LAYOUT, LAYOUT)
        await self.producer.publish([MempoolReset(cause=cause, node=node)], commands)
        self._records, self._expected, self.totals, self.unreadable = {}, 0, (0, 0, 0), ""
        self.discard()

    def _set(self, txid: str, record: bytes | None) -> None:
        self.totals = difference(self.totals, self._records.pop(txid, None), record)
        if record is not None:
            self._records[txid] = record

    # --- agreement -------------------------------------------------------------------------------------

    def seek(self, claim: Claim) -> None:
        """Look out for the moment at which the events add up to this.

        It may be now, or as hints are published that were on their way when the node was asked: the stream passes
        through the states that the node's mempool had. Whatever was sought before is given up.
        """
        self._sought, self._found = claim, None
        self._look()

    @property
    def seeking(self) -> bool:
        """Whether what is sought was not found yet."""
        return self._sought is not None

    def take_found(self) -> Claim | None:
        """What was sought and found, once it is committed; only one time."""
        if self._changes:
            return None
        found, self._found = self._found, None
        return found

    def _look(self) -> None:
        claim = self._sought
        if claim is None or claim.info.totals != self._ahead:
            return
        self._sought, self._found = None, claim
        if claim.publish:
            self._changes.append((claim.synced(self.next_sequence), "", None))

"""Mempool events -> state of the mempool. Synchronous, without I/O but for `restore`."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from mempool.expectations import FRESH_SECONDS, Expectations
from mempool.graph import Tx
from mempool.moments import Moments, node_ahead
from mempool.picture import DOUBT_MS, Picture
from mempool.recorders import DOMAIN, CongestionRecorder, FlowRecorder
from mempool.records import pack, unpack
from shared import domains, layouts, redis
from shared.clock import Moment
from shared.commit import Argument
from shared.errors import StreamGap
from shared.events.base import Event
from shared.events.derived import MempoolUpdated
from shared.events.mempool import MempoolBlock, MempoolReset, MempoolSynced, TxAdded, TxRemoved
from shared.fold import Changes
from shared.keys import Keys
from shared.series import segments_of

UPDATE_MS: Final = 1_000
"""Views are written at most once in this time, less often where they take long."""

SLOWEST_MS: Final = 4_000
"""But at least once in this time."""

DUTY: Final = 5
"""Making views takes at most about one part in this many of the time, as far as SLOWEST_MS allows."""

STATE_LAYOUT: Final = 1
"""Goes up by one with every change of mempool.records or of what the checkpoint holds (shared.layouts)."""

_SCAN: Final = 5_000


class MempoolFold:
    """The mempool as the stream tells it.

    While it was not compared with the node yet - at first, and after every `mempool.reset` - nothing is shown: part of
    a mempool is no figure, and what was shown before stays as it was.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._flow = FlowRecorder(keys)
        self._congestion = CongestionRecorder(keys)
        self.writers = {writer.series.name: writer for it in (self._flow, self._congestion) for writer in it.writers}
        self._expectations = Expectations(keys)
        self._moments = Moments()
        self._entry_ms = 0  # of the entry that is folded, by Redis' clock
        self._node_ahead = 0  # seconds
        self._count: int | None = None  # transactions that the checkpoint says the state holds
        self._empty()

    def _empty(self) -> None:
        """An empty mempool: every field but those of the past."""
        self._picture = Picture(self._node_ahead)
        self._synced: MempoolSynced | None = None
        self._written: set[bytes] = set()
        self._removed: set[bytes] = set()
        self._began_anew = self._doubted = False
        self._dirty = True
        self._synced_changed = False
        self._updated_ms: int | None = None  # by the steady clock
        self._interval_ms = UPDATE_MS

    def reset(self) -> None:
        """Forget every transaction, and have them deleted; of the past, what was committed is kept."""
        self._empty()
        self._began_anew = True
        self._flow.reset()
        self._congestion.reset()
        self._expectations.reset()

    async def restore(self, client: redis.Client) -> None:
        """Read the state that was committed last.

        Raises UnknownLayout where later code wrote it, ValueError where part of it is lost.
        """
        await layouts.of_state(client, self._keys.checkpoint(domains.MEMPOOL), STATE_LAYOUT)
        self._empty()
        segments = await segments_of(client, self._keys, DOMAIN)  # the past first: it outlives a state that is damaged
        cursor, synced, count = await client.hmget(self._keys.checkpoint(domains.MEMPOOL), "cursor", "synced", "count")
        if cursor is None and not segments and any(writer.known for writer in self._flow.writers):
            self._flow.reset()  # Redis has lost everything while we ran: what memory holds of the past is all there is
            self._congestion.reset()
            self._expectations.reset()
        else:
            await self._flow.load(client, segments)
            await self._congestion.load(client, segments)
            await self._expectations.load(client)
        self._count = None
        if synced is not None:
            self._synced = msgspec.json.decode(synced, type=MempoolSynced)
            self._tell_node_ahead(self._synced)
        seen: set[bytes] = set()
        async for txid, record in client.hscan_iter(self._keys.state(domains.MEMPOOL), count=_SCAN):
            if txid not in seen:  # a scan may return a field twice
                seen.add(txid)
                tx, parents = unpack(record)
                self._picture.add(txid, tx, parents, ())
        if count is not None:  # versions before did not count
            self._count = int(count)
            if self._count != len(seen):
                raise ValueError(f"{len(seen)} transactions are there, {self._count} were recorded")
        self._picture.relink()

    @property
    def count(self) -> int | None:
        """Transactions that the state holds, once everything is written; None where nobody recorded it yet."""
        return self._count

    @property
    def shown(self) -> bool:
        """Whether the views that are stored are of this mempool."""
        return self._synced is not None and self._updated_ms is not None

    def write_all(self) -> None:
        """State and views are in doubt: the next flush writes them anew."""
        self._doubted = self._dirty = True
        self._written, self._removed = set(self._picture.txs), set()
        self._updated_ms = None

    @property
    def expected_fields(self) -> int:
        """Fields of what was expected in blocks, once everything is written."""
        return self._expectations.fields

    def doubt_expected(self) -> None:
        """Some of it is lost: all of it is written anew with the next flush."""
        self._expectations.rewrite()

    def doubt_past(self) -> None:
        """Some of them is lost: all of it is written anew with the next flush."""
        self._flow.rewrite()
        self._congestion.reset()

    def dated(self, time_ms: int) -> None:
        """As shared.fold.Dated says."""
        self._entry_ms = time_ms
        self._expectations.heard(time_ms)

    def apply(self, event: Event) -> None:
        """Fold one event; raises StreamGap where the sum of the events is not what the node says."""
        if type(event) is TxAdded:
            self._add(event)
        elif type(event) is TxRemoved:
            txid = bytes.fromhex(event.txid)
            if not self._picture.remove(txid):
                raise StreamGap(f"{event.txid} is removed but was never added")
            self._written.discard(txid)
            self._removed.add(txid)
            self._flow.left(txid)
            if event.reason == "block":
                self._expectations.left(txid, event)
        elif type(event) is MempoolSynced:
            self._check(event)
        elif type(event) is MempoolBlock:
            self._expect(event)
            return  # nothing that is shown is another by it
        elif type(event) is MempoolReset:
            updated_ms = self._updated_ms
            self._empty()
            self._flow.begin_anew()
            self._expectations.interrupted()
            self._began_anew, self._updated_ms = True, updated_ms
        self._dirty = True

    def _add(self, event: TxAdded) -> None:
        txid = bytes.fromhex(event.txid)
        if txid in self._picture:
            raise StreamGap(f"{event.txid} is added but is there already")
        tx = Tx(event.fee, event.vsize, event.weight, event.size, event.value, event.time)
        parents = [bytes.fromhex(parent) for parent in event.parents]
        relinked = self._picture.add(txid, tx, parents, [bytes.fromhex(child) for child in event.children])
        self._written.add(txid)
        self._written.update(relinked)
        self._removed.discard(txid)
        self._flow.entered(txid, event)
        self._expectations.interrupted()

    def _expect(self, event: MempoolBlock) -> None:
        """What was expected in this block: the projection of now, where all of the mempool is known."""
        if not self._expectations.wants(event):
            return
        synced, now_ms = self._synced, self._entry_ms
        if synced is None or event.unseen is None or now_ms - synced.time_ms >= DOUBT_MS:
            self._expectations.unknown(event, now_ms)
            return
        # by the comparison itself, not by what was held before it: a restart must not make another record
        ahead_ms = 0 if synced.node_time_ms is None else synced.node_time_ms - synced.time_ms
        newest = (now_ms + ahead_ms) // 1000 - FRESH_SECONDS
        projected, txs = self._picture.expected(), self._picture.txs
        self._expectations.began(event, now_ms, projected, (txid for txid in projected if txs[txid].time > newest))

    def _check(self, event: MempoolSynced) -> None:
        ours = self._picture.totals
        theirs = (event.tx_count, event.vsize, event.total_fee)
        if ours != theirs:
            raise StreamGap(f"the mempool adds up to {ours}, the node says {theirs} (transactions, vB, sat)")
        self._synced, self._synced_changed = event, True
        self._tell_node_ahead(event)
        self._flow.synced(event)

    def _tell_node_ahead(self, event: MempoolSynced) -> None:
        self._node_ahead = self._picture.node_ahead = node_ahead(event, self._node_ahead)
        self._flow.clock(self._node_ahead)

    def due_ms(self, now: Moment) -> int | None:
        """When views should be written again: rates fall by themselves while nothing comes in."""
        if self._synced is None:
            return None
        if self._dirty or self._picture.incoming.busy(self._shown_ms(now) // 1000):
            return now.steady_ms if self._updated_ms is None else self._updated_ms + self._interval_ms
        return None

    def _shown_ms(self, now: Moment) -> int:
        """The moment as views name it: our own clock's where there is no better."""
        return self._moments.now_ms(now) or now.wall_ms

    def flush(self, now: Moment) -> Changes:
        """State that changed, and views where they are due."""
        changes = Changes()
        commands, keys = changes.commands, self._keys
        if self._synced_changed and self._synced is not None:
            self._moments.heard(self._synced, now)
        if self._began_anew or self._doubted:
            commands.add("DEL", keys.state(domains.MEMPOOL))
            commands.add("HDEL", keys.checkpoint(domains.MEMPOOL), "synced")
        if self._removed:
            commands.spread("HDEL", keys.state(domains.MEMPOOL), list(self._removed))
        if self._written:
            written: list[Argument] = []
            for txid in self._written:
                written += (txid, pack(self._picture.txs[txid]))
            commands.spread("HSET", keys.state(domains.MEMPOOL), written)
        if (self._synced_changed or self._doubted) and self._synced is not None:
            commands.add("HSET", keys.checkpoint(domains.MEMPOOL), "synced", msgspec.json.encode(self._synced))
        if self._began_anew or (self._count or 0) != len(self._picture.txs):
            self._count = len(self._picture.txs)
            commands.add("HSET", keys.checkpoint(domains.MEMPOOL), "count", self._count)
        if commands:
            layouts.mark_state(commands, keys.checkpoint(domains.MEMPOOL), STATE_LAYOUT)
        self._written, self._removed = set(), set()
        self._began_anew = self._doubted = self._synced_changed = False
        due = self.due_ms(now)
        if self._synced is not None and due is not None and now.steady_ms >= due:
            self._show(changes, self._synced, now)
        self._flow.flush(commands, self._moments.now_ms(now))
        self._congestion.flush(commands)
        self._expectations.flush(commands)
        return changes

    def _show(self, changes: Changes, synced: MempoolSynced, now: Moment) -> None:
        began = time.perf_counter()
        kept_ms = self._moments.now_ms(now)
        summary, fees, largest = self._picture.views(synced, self._shown_ms(now), trusted=kept_ms is not None)
        for name, view in (("mempool", summary), ("fees", fees), ("largest", largest)):
            changes.commands.add("HSET", self._keys.views(domains.MEMPOOL), name, msgspec.json.encode(view))
        changes.views = self._keys.views(domains.MEMPOOL)
        if kept_ms is not None:
            self._congestion.look(kept_ms, summary, fees.histogram)
        event = MempoolUpdated(
            count=summary.count,
            vsize=summary.vsize,
            total_fee=summary.total_fee,
            min_fee_rate=summary.min_fee_rate,
            recommended=fees.recommended,
            precise=fees.precise,
            next_block_full=fees.next_block_full,
            projected_blocks=fees.projected_blocks,
            histogram=fees.histogram,
        )
        changes.events.append(event)
        took_ms = (time.perf_counter() - began) * 1000
        self._dirty, self._updated_ms = False, now.steady_ms
        self._interval_ms = min(max(UPDATE_MS, int(took_ms * DUTY)), SLOWEST_MS)

"""Events of mempool and chain -> what happened to each transaction. No I/O but `restore` and the look at who watches.

Every moment is that at which an entry was published, by Redis' clock: folded again, or in other batches, it is the same
moment, and the same field is written. A stay in the mempool is written when it ends; until then the transaction waits
in the state.
"""

from __future__ import annotations

from typing import Final

import msgspec

from explorer.timeline import waits
from explorer.timeline.blocks import Blocks
from explorer.timeline.chapters import Chapters
from explorer.timeline.graph import Graph
from explorer.timeline.inflow import Inflow
from explorer.timeline.meta import Meta
from explorer.timeline.records import End, Stay, Waiting, Went
from explorer.timeline.waits import Waits
from explorer.timeline.watching import Status, Watching
from shared import layouts, redis
from shared.clock import Moment
from shared.domains import TIMELINE
from shared.events.base import Event
from shared.events.blocks import BlockConnected, BlockDisconnected
from shared.events.mempool import MempoolReset, MempoolSynced, RemovalReason, TxAdded, TxRemoved
from shared.explorer_views import TimelineView
from shared.fold import Changes
from shared.keys import Keys

STATE_LAYOUT: Final = 2
"""Goes up by one with every change of what is stored (shared.layouts). In 1 what waits has no band."""

LATE_MS: Final = 60_000
"""What the node accepted so long before it was told of was there before anybody looked."""

GONE_AT_ONCE: Final = 1_000
"""Transactions that left unseen, written by one commit."""

SHOW_MS: Final = 10_000
"""Views are written at most once in this time."""

TRIM_MS: Final = 50
"""Between two commits that delete what is not kept any more, while nothing else happens."""

_ENDS: Final[dict[RemovalReason, tuple[End, Status]]] = {
    "block": ("mined", "mined"),
    "replaced": ("replaced", "replaced"),
    "evicted": ("evicted", "evicted"),
    "expired": ("expired", "expired"),
    "conflict": ("conflict", "conflict"),
    "unknown": ("gone", "unknown"),
}


class TimelineFold:
    """One network's transactions."""

    def __init__(self, keys: Keys, days: int, memory: int) -> None:
        self._keys = keys
        self._days, self._memory = days, memory
        self._chapters = Chapters(keys, days, memory)
        self._blocks = Blocks(keys)
        self._watching = Watching(keys)
        self._waits = Waits(keys)
        self._empty()

    def _empty(self) -> None:
        self.meta = Meta()
        self._graph = Graph()
        self._inflow = Inflow()
        self._waits.reset()
        self._gone: dict[bytes, None] = {}  # they wait, and are known to be gone; not written yet
        self._meta_dirty = False
        self._now_ms = 0  # of the entry that is folded
        self._shown_ms: int | None = None  # by the steady clock
        self._news = True
        self._watching.discard()

    def reset(self) -> None:
        """As the base says. What was kept of the past stays: the streams cannot tell it again."""
        since_ms = self.meta.since_ms
        self._empty()
        self.meta.since_ms = since_ms
        self._chapters.discard()
        self._graph.anew = True

    async def restore(self, client: redis.Client) -> None:
        """As the base says; raises UnknownLayout where later code wrote it, ValueError where part of it is lost."""
        layout = await layouts.of_state(client, self._keys.checkpoint(TIMELINE), STATE_LAYOUT)
        self._empty()
        await self._chapters.load(client)
        await self._blocks.load(client, self._chapters.kept)
        stored = await client.hgetall(self._keys.state(TIMELINE))
        if (raw := stored.get(b"meta")) is not None:
            self.meta = msgspec.json.decode(raw, type=Meta)
        self._inflow.load(stored)
        if self.meta.newest_ms and await client.hget(self._keys.checkpoint(TIMELINE), layouts.LAYOUT) is None:
            raise ValueError("how far the streams were folded is lost")  # upon what is there all would count twice
        await self._waits.load(client)
        await self._graph.load(client, self._keys.timeline_waiting)
        if layout < STATE_LAYOUT:
            self._graph.rewrite()
        if len(self._graph) != self.meta.count:
            raise ValueError(f"{len(self._graph)} transactions wait, {self.meta.count} were recorded")
        self._find_gone()

    @property
    def count(self) -> int | None:
        """Transactions that the state holds; None where there is none yet."""
        return self.meta.count if self.meta.since_ms else None

    @property
    def waits(self) -> bool:
        """Whether it is recorded how long transactions wait."""
        return self._waits.stored

    @property
    def chapters(self) -> int:
        """Chapters of which something is stored."""
        return len(self._chapters.kept)

    def write_all(self) -> None:
        """What is stored is in doubt: the next flush writes it anew, but for what is over, which only Redis has."""
        self._meta_dirty = self._news = True
        self._shown_ms = None
        self._graph.rewrite()
        self._chapters.rewrite()
        self._blocks.rewrite()
        self._inflow.rewrite()
        self._waits.rewrite()

    async def look(self, client: redis.Client) -> None:
        """As shared.fold.Looking says: who is watched."""
        await self._watching.look(client)

    # --- events ----------------------------------------------------------------------------------------

    def dated(self, time_ms: int) -> None:
        """As shared.fold.Dated says."""
        self._now_ms = time_ms
        meta = self.meta
        meta.since_ms = meta.since_ms or time_ms
        if self._graph.anew or not meta.newest_ms:
            self._inflow.broken(time_ms)
        meta.newest_ms = max(meta.newest_ms, time_ms)
        self._meta_dirty = self._news = True

    def apply(self, event: Event) -> None:
        """As the base says. An event that does not fit tells of a gap, which is stepped over."""
        if type(event) is TxAdded:
            self._add(event)
        elif type(event) is TxRemoved:
            self._remove(event)
        elif type(event) is MempoolSynced:
            self._compared(event)
        elif type(event) is MempoolReset:
            self._write_gone(len(self._gone))
            self.meta.generation += 1
            self._inflow.broken(self._now_ms)
        elif type(event) is BlockConnected:
            news = self._turned(event, connected=True)
            self._watching.of_block(news, "mined", but=self._graph)  # what waits is told of when it leaves
        elif type(event) is BlockDisconnected:
            self._watching.of_block(self._turned(event, connected=False), "disconnected")

    def _turned(self, event: BlockConnected | BlockDisconnected, *, connected: bool) -> set[bytes]:
        chapter = self._chapters.newest(self._now_ms)
        block_hash = bytes.fromhex(event.hash)
        return self._blocks.turned(block_hash, event.height, self._now_ms, chapter, connected=connected)

    def _add(self, event: TxAdded) -> None:
        self._waits.heard(self._now_ms)
        txid = bytes.fromhex(event.txid)
        there, generation = self._graph.get(txid), self.meta.generation
        if there is not None and txid not in self._gone:
            self._graph.touch(txid, generation)
            return
        if there is not None:
            self._end_gone(txid)
        accepted_ms = event.time * 1000 - self.meta.node_ahead_ms
        late = self._now_ms - accepted_ms > LATE_MS
        parents = tuple(bytes.fromhex(parent) for parent in event.parents)
        band = waits.entry(event, counted=not late and not self._waits.was_mined(txid))
        self._graph.add(txid, Waiting(generation, self._now_ms, event.time if late else 0, parents, band))
        for one in event.children:
            self._graph.adopt(txid, bytes.fromhex(one))
        self._waits.came(self._graph, txid, self._now_ms)
        if not late:
            self._inflow.came(self._now_ms, waits.rate_of(event), event.vsize)
        self._tell(txid, "added")

    def _remove(self, event: TxRemoved) -> None:
        txid = bytes.fromhex(event.txid)
        end, status = _ENDS[event.reason]
        if txid in self._gone:
            self._end_gone(txid)
        self._tell(txid, status)
        waiting = self._graph.remove(txid)
        self._waits.ended(txid, waiting, end, self._now_ms, bytes.fromhex(event.block or ""))
        ref, after_ms = b"", None
        if event.replaced_by is not None:
            ref = bytes.fromhex(event.replaced_by)
            self._chapters.went(ref, Went(self._now_ms, txid))
        elif event.block is not None:
            chapter, _ = self._chapters.current(self._now_ms)
            ref = self._blocks.named(bytes.fromhex(event.block), chapter, txid if end == "mined" else None)
            ref += bytes.fromhex(event.conflicts_with or "")
        if end == "gone" and waiting is not None:
            after_ms = max(waiting.seen_ms, self.meta.agreed_ms)
        self._end(txid, waiting, end, self._now_ms, after_ms, ref)

    def _compared(self, event: MempoolSynced) -> None:
        meta = self.meta
        if event.node_time_ms is not None:
            meta.node_ahead_ms = event.node_time_ms - event.time_ms
        if meta.settled != meta.generation:
            self._write_gone(len(self._gone))
            meta.settled, meta.gone_ms, meta.gone_after_ms = meta.generation, self._now_ms, meta.agreed_ms
            self._find_gone()
            for txid in self._gone:
                self._tell(txid, "unknown")
        if len(self._graph) - len(self._gone) == event.tx_count:
            meta.agreed_ms = self._now_ms
        self._inflow.compared(self._now_ms)

    def _tell(self, txid: bytes, status: Status) -> None:
        if self._watching:
            self._watching.changed(txid, status)
            self._watching.near(self._graph.relatives(txid))

    # --- ends ------------------------------------------------------------------------------------------

    def _find_gone(self) -> None:
        """What was not told of again before the mempool was whole."""
        settled = self.meta.settled
        self._gone = dict.fromkeys(sorted(txid for txid, one in self._graph.items() if one.generation < settled))

    def _write_gone(self, most: int) -> None:
        for txid in list(self._gone)[:most]:
            self._end_gone(txid)

    def _end_gone(self, txid: bytes) -> None:
        del self._gone[txid]
        waiting = self._graph.remove(txid)
        if waiting is not None:
            after_ms = max(waiting.seen_ms, self.meta.gone_after_ms)
            self._end(txid, waiting, "gone", self.meta.gone_ms, after_ms, b"")

    def _end(
        self, txid: bytes, waiting: Waiting | None, end: End, end_ms: int, after_ms: int | None, ref: bytes
    ) -> None:
        seen_ms = accepted = None
        if waiting is not None:
            seen_ms, accepted = waiting.seen_ms, waiting.accepted or None
        self._chapters.stay(txid, Stay(end, end_ms, seen_ms, accepted, after_ms, ref))

    # --- what follows ----------------------------------------------------------------------------------

    def due_ms(self, now: Moment) -> int | None:
        """As the base says."""
        if self._gone or self._chapters.going:
            return now.steady_ms + TRIM_MS
        if not (self._news and self.meta.since_ms):
            return None
        return now.steady_ms if self._shown_ms is None else self._shown_ms + SHOW_MS

    def flush(self, now: Moment) -> Changes:
        """As the base says."""
        changes = Changes(events=self._watching.take())
        commands, keys = changes.commands, self._keys
        self._write_gone(GONE_AT_ONCE)
        self._graph.flush(commands, keys.timeline_waiting)
        # one clock that is wrong, Redis' or this machine's, must not be enough to make everything too old
        if dropped := self._chapters.trim(min(self.meta.newest_ms, now.wall_ms)):
            self._blocks.dropped(dropped)
            self._news = True
        self._chapters.flush(commands)
        self._blocks.flush(commands)
        self._inflow.flush(commands, keys.state(TIMELINE))
        self._waits.flush(commands)
        if self._meta_dirty or self.meta.count != len(self._graph):
            self.meta.count = len(self._graph)
            commands.add("HSET", keys.state(TIMELINE), "meta", msgspec.json.encode(self.meta))
        if self._news and self.meta.since_ms and (self._shown_ms is None or now.steady_ms >= self._shown_ms + SHOW_MS):
            self._show(changes, now)
        if commands:
            layouts.mark_state(commands, keys.checkpoint(TIMELINE), STATE_LAYOUT)
        self._meta_dirty = False
        return changes

    def _show(self, changes: Changes, now: Moment) -> None:
        meta, kept = self.meta, self._chapters.kept
        view = TimelineView(
            since_ms=meta.since_ms,
            oldest_ms=max(meta.since_ms, min(kept, default=0) * 1000),
            records=sum(chapter.count for chapter in kept.values()),
            waiting=len(self._graph),
            bytes=self._chapters.total,
            days=self._days,
            memory=self._memory,
        )
        changes.views = self._keys.views(TIMELINE)
        inflow = self._inflow.view(meta.newest_ms)
        waited = self._waits.view(meta.newest_ms, (one for _, one in self._graph.items()))
        for name, one in (("timeline", view), ("inflow", inflow), ("waits", waited)):
            changes.commands.add("HSET", changes.views, name, msgspec.json.encode(one))
        self._shown_ms, self._news = now.steady_ms, False

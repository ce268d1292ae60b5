"""The one fold loop: read a stream in order, fold in memory, commit state, events, checkpoint and acknowledgement.

States of a replica: standby (another holds the lease) -> restoring (state and checkpoint are read) -> folding.
Any failure leads back to the start; what was not committed is read again, what was committed is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

import prometheus_client
from redis.exceptions import ResponseError

from shared import clock, redis
from shared.checkpoint import Position
from shared.commit import Commands, Cursor
from shared.errors import Fenced, StreamGap, UnknownLayout
from shared.events.base import entry_fields
from shared.events.ops import GapDetected
from shared.fold import Fold, Source
from shared.inbox import Inbox
from shared.keys import FOLDED_SEQ, LEASE_MS, OPS_KEEP
from shared.lease import Lease
from shared.logging import Trouble
from shared.service import Service

BATCH: Final = 1_000
"""Entries folded and committed together at most."""

DELIVERIES: Final = 5
"""Attempts at an entry before it goes to the dead letters."""

FOLDED = prometheus_client.Counter("dashboard_folded_entries_total", "Stream entries folded and committed", ["stream"])
COMMIT_SECONDS = prometheus_client.Histogram("dashboard_commit_seconds", "Time of a guarded commit", ["stream"])
DEAD = prometheus_client.Counter("dashboard_dead_entries_total", "Entries moved to the dead letters", ["stream"])

Entry = tuple[bytes, dict[bytes, bytes]]


class Consumer:
    """Runs one fold for one service."""

    def __init__(self, service: Service, source: Source, fold: Fold) -> None:
        keys = service.keys
        self._service = service
        self._source = source
        self._fold = fold
        self._group = service.name
        self._dead_key = keys.dead(source.domain)
        self._lease = Lease(
            service.redis, keys.lease(source.domain, service.name), keys.fence(source.domain, service.name)
        )
        self._cursor = Cursor(service.redis, source.checkpoint)
        self._inbox: Inbox | None = None
        if source.inbox is not None and source.inbox_family is not None:
            self._inbox = Inbox(service.redis, source.inbox, self._group, source.inbox_family)
        self._position = Position()
        self._in_memory = False  # whether the fold's memory is what `_position` says
        self._gap = ""  # why everything is skipped until the stream begins anew
        self._asked = False  # whether the producer was told of that gap
        self._doubted: Position | None = None  # where a gap was seen once
        self._trouble = Trouble(service.log, "redis")
        self._unknown = Trouble(service.log, "layout")

    async def run(self) -> None:
        """Fold until the service is told to stop."""
        reader = self._service.blocking_redis()
        try:
            while not self._service.stopping.is_set():
                try:
                    if await self._take_lease():
                        await self._lease.hold(self._folding(reader))
                except Fenced as error:
                    self._in_memory = False
                    self._service.log.warning("fold_fenced", error=str(error))
                except StreamGap as error:
                    self._in_memory = False
                    if self._doubted == self._position:
                        self._gap, self._asked = str(error), False
                        self._report()
                    self._doubted = self._position  # read again first: one replaced in its sleep may hold our entries
                except UnknownLayout as error:
                    await self._wait_for_newer(error)
                except redis.LOST as error:
                    self._trouble.failed(error)
                    self._service.health.degraded(f"Redis does not answer: {error}")
                    await self._pause(0.3)
        finally:
            await reader.aclose()
            with contextlib.suppress(*redis.LOST):
                await self._lease.release()

    async def _wait_for_newer(self, error: UnknownLayout) -> None:
        """Touch nothing, and leave the lease to a replica of the version that wrote what is stored."""
        self._in_memory = False
        self._unknown.failed(error)
        self._service.health.degraded(str(error))
        with contextlib.suppress(*redis.LOST):
            await self._lease.release()
        await self._pause(LEASE_MS / 1_000)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._service.stopping.wait(), seconds)

    async def _take_lease(self) -> bool:
        if await self._lease.try_acquire():
            return True
        self._service.health.standby()
        await self._pause(LEASE_MS / 12_000)
        return False

    async def _restore(self) -> None:
        stored = Position.parse(await self._cursor.load())
        if self._in_memory and stored == self._position:
            return  # only the connection was lost
        self._in_memory = False
        started = time.monotonic()
        if stored.seq == 0:
            self._fold.reset()
        else:
            await self._read_state()
        self._position, self._in_memory = stored, True
        self._unknown.ended()
        self._service.log.info("fold_restored", seq=stored.seq, seconds=round(time.monotonic() - started, 3))

    async def _read_state(self) -> None:
        try:
            await self._fold.restore(self._service.redis)
        except (*redis.LOST, UnknownLayout):
            raise
        except Exception as error:  # damaged, or written by another version: nothing that a restart would mend
            self._fold.reset()
            if not self._gap:
                raise StreamGap(f"the state beside {self._source.checkpoint} cannot be read: {error!r}") from error

    async def _align_group(self) -> None:
        """Make the group deliver exactly what follows the checkpoint.

        A stream that was deleted, or that lost its end in a failover, may number its next entries below the
        checkpoint: then all that it holds is delivered, and `seq` tells whether it follows.
        """
        stream, position = self._source.stream, self._position
        try:
            await self._service.redis.xgroup_create(
                stream, self._group, id=position.entry, mkstream=True, entries_read=position.seq
            )
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
            await self._service.redis.xgroup_setid(stream, self._group, id=position.entry, entries_read=position.seq)
        info = await self._service.redis.xinfo_stream(stream)
        if position.is_beyond(info["last-generated-id"].decode()):
            await self._service.redis.xgroup_setid(stream, self._group, id="0-0", entries_read=0)
        if self._inbox is not None:
            await self._inbox.align()

    async def _folding(self, reader: redis.Client) -> None:
        await self._ask_for_resync()
        await self._restore()
        await self._align_group()
        self._report(stream=self._source.stream)
        while not self._service.stopping.is_set():
            entries, letters = await self._read(reader)
            self._trouble.ended()
            if entries:
                await self._fold_entries(entries)
            if self._inbox is not None and letters:
                await self._fold_letter(self._inbox, *letters[0])
            if not entries and not letters:
                await self._commit(self._position, ())
            self._report(seq=self._position.seq)

    def _report(self, **details: str | int) -> None:
        if self._gap:
            self._service.health.degraded(f"rebuilding: {self._gap}", **details)
        else:
            self._service.health.ok(**details)

    async def _read(self, reader: redis.Client) -> list[list[Entry]]:
        """What is next: up to BATCH entries of the stream; of the inbox at most one, once the stream is silent."""
        now = clock.now()
        due = self._fold.due_ms(now)
        block = redis.BLOCK_MS if due is None else min(max(due - now.steady_ms, 1), redis.BLOCK_MS)
        stream, inbox = self._source.stream, self._inbox
        try:
            if inbox is None:
                return [*await self._read_group(reader, (stream,), BATCH, block), []]
            [entries] = await self._read_group(reader, (stream,), BATCH, None)
            return [entries, []] if entries else await self._read_group(reader, (stream, inbox.stream), 1, block)
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):  # Redis 7.0 says UNBLOCKED to who waits
                raise
            # the stream was deleted: the producer's cursor tells whether entries of it are gone
            await self._align_group()
            return [[], []]

    async def _read_group(
        self, reader: redis.Client, streams: tuple[str, ...], count: int, block: int | None
    ) -> list[list[Entry]]:
        wanted = dict.fromkeys(streams, ">")
        reply = await reader.xreadgroup(self._group, self._group, wanted, count=count, block=block) or {}
        return [reply.get(stream.encode(), []) for stream in streams]

    async def _fold_entries(self, entries: Sequence[Entry]) -> None:
        self._in_memory = False  # until the commit: a failure on the way must lead to a restore
        seq, gap = self._position.seq, self._gap
        try:
            for at, (entry_id, fields) in enumerate(entries):
                try:
                    seq = self._apply(entry_id, fields, seq)
                except Exception as error:
                    self._gap = gap
                    await self._restore()
                    if at:  # what comes before is folded all the same, or a gap behind a beginning would never end
                        await self._fold_entries(entries[:at])
                    if isinstance(error, StreamGap):
                        raise
                    await self._failed(entry_id, fields, error)
                    return
            position = Position(entries[-1][0].decode(), seq, self._position.derived_seq)
            await self._commit(position, [entry_id for entry_id, _ in entries])
        except redis.LOST:
            self._gap = gap  # a beginning that was not committed is still to come
            raise

    def _apply(self, entry_id: bytes, fields: dict[bytes, bytes], seq: int) -> int:
        """Fold one entry that must follow `seq`; returns the sequence reached."""
        entry_seq = int(fields[b"seq"])
        kind = fields[b"type"]
        begins_anew = kind == self._source.beginning
        if entry_seq != seq + 1 and not begins_anew:
            if self._gap:
                return seq
            raise StreamGap(
                f"{self._source.stream}: expected entry {seq + 1} but {entry_seq} follows, at {entry_id.decode()}"
            )
        if self._gap and not begins_anew:
            return seq
        event = self._source.family.decode(kind, fields[b"data"])
        if event is not None:
            self._fold.apply(event)
        if begins_anew:
            self._gap = ""
        return entry_seq

    async def _fold_letter(self, inbox: Inbox, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        """Fold one entry of the inbox. One that fails is put aside at once: whoever sent it will send it again."""
        self._in_memory = False
        try:
            event = inbox.decode(fields)
            if event is not None and not self._gap:
                self._fold.apply(event)
        except Exception as error:
            self._service.log.exception("letter_failed", stream=inbox.stream, id=entry_id.decode())
            await self._restore()
            commands = Commands()
            commands.add("XADD", self._dead_key, "MAXLEN", "~", OPS_KEEP, "*", *_letter(entry_id, fields, error))
            inbox.done(commands, [entry_id])
            await self._cursor.commit(self._lease.key, self._lease.token, str(self._position), commands)
            DEAD.labels(inbox.stream).inc()
            return
        await self._commit(self._position, (), [entry_id])

    async def _commit(self, position: Position, acknowledged: Sequence[bytes], letters: Sequence[bytes] = ()) -> None:
        changes = self._fold.flush(clock.now())
        if position == self._position and not changes.commands and not changes.events and not letters:
            return
        self._in_memory = False
        commands = changes.commands
        derived_seq = position.derived_seq
        limit = ("MAXLEN", "~", self._source.derived_keep)
        for event in changes.events:
            derived_seq += 1
            commands.add("XADD", self._source.derived, *limit, "*", *entry_fields(event, derived_seq))
        if changes.views:
            commands.add("HSET", changes.views, FOLDED_SEQ, position.seq)
        commands.spread("XACK", self._source.stream, list(acknowledged), lead=(self._group,))
        if self._inbox is not None:
            self._inbox.done(commands, letters)
        position = Position(position.entry, position.seq, derived_seq)
        with COMMIT_SECONDS.labels(self._source.stream).time():
            await self._cursor.commit(self._lease.key, self._lease.token, str(position), commands)
        FOLDED.labels(self._source.stream).inc(len(acknowledged))
        self._position, self._in_memory = position, True

    async def _failed(self, entry_id: bytes, fields: dict[bytes, bytes], error: Exception) -> None:
        """The entry after the checkpoint cannot be folded: count the attempt, in the end put it aside."""
        field_name = f"attempts:{entry_id.decode()}"
        attempts = await self._service.redis.hincrby(self._source.checkpoint, field_name, 1)
        self._service.log.error(
            "entry_failed", stream=self._source.stream, id=entry_id.decode(), attempt=attempts, error=repr(error)
        )
        if attempts < DELIVERIES:
            await self._pause(0.05 * 2**attempts)
        else:
            commands = Commands()
            commands.add("XADD", self._dead_key, "MAXLEN", "~", OPS_KEEP, "*", *_letter(entry_id, fields, error))
            commands.add("HDEL", self._source.checkpoint, field_name)
            commands.add("XACK", self._source.stream, self._group, entry_id)
            follows = fields.get(b"seq") == str(self._position.seq + 1).encode()  # or the producer never wrote it
            skipped = Position(entry_id.decode(), self._position.seq + follows, self._position.derived_seq)
            await self._cursor.commit(self._lease.key, self._lease.token, str(skipped), commands)
            self._position = skipped
            DEAD.labels(self._source.stream).inc()
            self._service.log.error("entry_dead", stream=self._source.stream, id=entry_id.decode())
        await self._align_group()

    async def _ask_for_resync(self) -> None:
        """Entries are lost: have the producer begin anew. What comes before that beginning is skipped."""
        if self._gap and not self._asked:
            await self._service.redis.set(self._source.resync, self._gap)
            self._asked = True
            await self._service.say(GapDetected, self._gap)


def _letter(entry_id: bytes, fields: dict[bytes, bytes], error: Exception) -> list[bytes]:
    """The fields of a dead letter: the entry's own, its id, and what was wrong."""
    letter = [part for pair in fields.items() for part in pair]
    return [*letter, b"id", entry_id, b"error", repr(error).encode()]

"""The one fold loop: read a stream in order, fold in memory, commit state, events, checkpoint and acknowledgement.

For state that follows from a stream; from several, in any slots, where each entry says what holds from then on
(shared.feeds). What has no input stream is a poller, what needs neither order nor state is work.

States of a replica: standby (another holds the lease) -> restoring (state and checkpoint are read) -> folding.
Any failure leads back to the start; what was not committed is read again, what was committed is not.

What fails between reading and committing is the fault of an entry, and is traced to it by reading again, fewer at a
time. The entry alone is tried DELIVERIES times, a beginning from the second time on upon an empty state, and then put
aside. What Redis refuses is nobody's fault: it is waited out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared import clock, redis
from shared.backoff import Backoff
from shared.checkpoint import Position
from shared.errors import StreamGap, TooNew
from shared.events.ops import GapDetected
from shared.feeds import Feeds
from shared.fold import Dated, Feed, Fold, Looking, Wiring
from shared.inbox import Inbox
from shared.inputs import Batch, Inputs
from shared.lease import Lease
from shared.leased import Leased
from shared.letters import DeadLetters, Entry
from shared.resync import Resync
from shared.service import Service
from shared.standing import Fault, Standing
from shared.tasks import pause
from shared.watch import Stored, Watch

BATCH: Final = 1_000
"""Entries folded and committed together at most."""

DELIVERIES: Final = 5
"""Attempts at an entry before it goes to the dead letters, and at a state before it is made anew."""

GAP_SECONDS: Final = (1.0, 300.0)
"""Gaps that are stepped over are announced once, and again where none came for the longer time."""


class Consumer:
    """Runs one fold for one service."""

    def __init__(self, service: Service, wiring: Wiring, fold: Fold, stored: Stored | None = None) -> None:
        keys, client, group = service.keys, service.redis, service.name
        self._service = service
        self._wiring = wiring
        self._fold = fold
        self._dated = fold if isinstance(fold, Dated) else None
        self._looking = fold if isinstance(fold, Looking) else None
        self._lease = Lease(client, keys.lease(wiring.domain, group), keys.fence(wiring.domain, group))
        self._inputs = (
            Feeds(client, [feed.stream for feed in wiring.feeds], group)
            if wiring.by_position
            else Inputs(client, wiring, group)
        )
        read = [*(feed.stream for feed in wiring.feeds), *([wiring.inbox] if wiring.inbox else [])]
        self._letters = DeadLetters(client, keys.dead(wiring.domain), wiring.checkpoint, service.log, read)
        self._standing = Standing(client, wiring, group, fold, self._lease, self._letters, service.log)
        self._resync = Resync(service, wiring.resync, wiring.stream)
        self._watch = None if stored is None else Watch(service, stored)
        self._aligned = False  # whether the group delivers what follows where we stand
        self._step = BATCH  # entries read at once: fewer while it is found out which of them fails
        self._state_faults = 0  # failures in a row that no entry caused
        self._gaps = Backoff(*GAP_SECONDS, quiet=GAP_SECONDS[1])  # that were stepped over
        self._gap = ""  # of the batch that is being folded
        self._doubted: Position | None = None  # where a gap was seen once
        self._leased = Leased(service, self._lease, name="fold", lost=self._forget)

    async def run(self) -> None:
        """Fold until the service is told to stop."""
        reader = self._service.blocking_redis()
        try:
            await self._leased.run(lambda: self._held(reader))
        finally:
            await reader.aclose()

    def _forget(self) -> None:
        self._standing.in_memory = False

    async def _pause(self, seconds: float) -> None:
        await pause(self._service.stopping, seconds)

    async def _held(self, reader: redis.Client) -> None:
        """Fold under the lease, which is taken anew where something is missing: one that was replaced ends there."""
        try:
            await self._folding(reader)
        except StreamGap as error:  # only where a new beginning can be asked for
            self._forget()
            position = self._standing.position
            if self._doubted == position or self._standing.spoilt:
                self._resync.needed(str(error))
                self._report()
            self._doubted = position  # read again first: one replaced in its sleep may hold our entries

    async def _folding(self, reader: redis.Client) -> None:
        self._aligned = False
        try:
            while not self._service.stopping.is_set():
                try:
                    await self._turn(reader)
                except Fault as fault:
                    await self._state_failed(fault.error)
        finally:
            await self._inputs.end()

    async def _turn(self, reader: redis.Client) -> None:
        if not self._aligned:
            await self._standing.restore()
            await self._inputs.align(self._standing.position)
            self._aligned = True
        await self._resync.tend(self._standing.position)
        await self._look()
        place, entries, letters = await self._read(reader)
        if entries:
            await self._fold_entries(place, entries)
        if self._inputs.inbox is not None and letters and self._aligned:
            await self._fold_letter(self._inputs.inbox, letters[0])
        if not entries and not letters:
            await self._standing.commit(self._standing.position, (), None)
        if self._aligned:
            self._leased.well()
            self._state_faults = 0
            await self._inputs.tell(self._standing.position)
            self._report(**self._stands())

    def _stands(self) -> dict[str, str | int]:
        """Which streams are folded, and how far each."""
        feeds, position = self._wiring.feeds, self._standing.position
        if len(feeds) == 1:
            return {"stream": feeds[0].stream, "seq": position.seq}
        reached = [str(position.of(place)[1]) for place in range(len(feeds))]
        return {"stream": ", ".join(feed.stream for feed in feeds), "seq": ", ".join(reached)}

    async def _look(self) -> None:
        """Have made again what Redis lost; while the fold waits for a beginning, that will tell everything anew."""
        if self._watch is None or self._resync.cause:
            return
        try:
            await self._watch.look()
        except Exception as error:
            raise Fault(error) from error

    def _report(self, **details: str | int) -> None:
        if self._resync.count:
            details["resyncs"] = self._resync.count
        if self._resync.cause:
            self._service.health.degraded(f"rebuilding: {self._resync.cause}", **details)
        else:
            self._service.health.ok(**details)

    async def _read(self, reader: redis.Client) -> Batch:
        """What is next, waited for until the fold has something to say by itself."""
        now = clock.now()
        try:
            due = self._fold.due_ms(now)
        except Exception as error:
            raise Fault(error) from error
        block = redis.BLOCK_MS if due is None else min(max(due - now.steady_ms, 1), redis.BLOCK_MS)
        return await self._inputs.read(reader, self._standing.position, self._step, block)

    async def _fold_entries(self, place: int, entries: Sequence[Entry]) -> None:
        standing, feed = self._standing, self._wiring.feeds[place]
        if self._looking is not None:
            await self._looking.look(self._service.redis)
        standing.in_memory = False  # until the commit: a failure on the way must lead to a restore
        self._gap = ""
        skipping, (_, seq) = bool(self._resync.cause), standing.position.of(place)
        try:
            for at, entry in enumerate(entries):
                try:
                    seq, skipping = self._apply(feed, entry, seq, skipping)
                except Exception as error:
                    raise Fault(error, at) from error
            position = standing.position.moved(place, entries[-1][0].decode(), seq)
            await standing.commit(position, [entry_id for entry_id, _ in entries], None, place=place)
        except Fault as fault:
            self._aligned = False  # they are read again
            await self._trace(place, entries, fault)
            return
        await self._tell_gap()
        self._step = min(2 * self._step, BATCH)
        if self._resync.cause and not skipping:
            self._resync.answered()
            standing.spoilt = ""

    async def _tell_gap(self) -> None:
        """Say what was stepped over; what comes back is only logged."""
        if not self._gap:
            return
        if self._gaps.tried():
            await self._service.say(GapDetected, self._gap)
        else:
            self._service.log.warning("gap_stepped_over", detail=self._gap)

    def _apply(self, feed: Feed, entry: Entry, seq: int, skipping: bool) -> tuple[int, bool]:
        """Fold one entry that must follow `seq`; returns the sequence reached, and whether the next is skipped."""
        entry_id, fields = entry
        entry_seq = int(fields[b"seq"])
        kind = fields[b"type"]
        begins_anew = kind == self._wiring.beginning
        if skipping and not begins_anew:
            return seq, True
        if entry_seq != seq + 1 and not begins_anew:
            said = f"{feed.stream}: expected entry {seq + 1} but {entry_seq} follows, at {entry_id.decode()}"
            if self._wiring.resync:
                raise StreamGap(said)
            self._gap = said if seq else ""  # what came before the first that we see is no loss
        event = feed.family.decode(kind, fields[b"data"], fields.get(b"v", b"1"))
        if event is not None:
            if begins_anew and entry_id == self._letters.blamed:
                self._fold.reset()  # it did not fit what was there: whether it fits nothing at all is seen now
            if self._dated is not None:
                self._dated.dated(int(entry_id.partition(b"-")[0]))
            self._fold.apply(event)
        return entry_seq, False

    async def _fold_letter(self, inbox: Inbox, entry: Entry) -> None:
        """Fold one entry of the inbox, also while the stream has a gap: it has no place in the stream's order.

        One that fails is put aside at once: whoever sent it will send it again.
        """
        standing = self._standing
        standing.in_memory = False
        try:
            try:
                event = inbox.decode(entry[1])
                if event is not None:
                    self._fold.apply(event)
            except Exception as error:
                raise Fault(error, 0) from error
            await standing.commit(standing.position, (), inbox, [entry[0]])
        except Fault as fault:
            self._aligned = False
            if isinstance(fault.error, TooNew):
                raise fault.error from None
            await standing.acquit(fault)
            await standing.skip_letter(inbox, entry, fault.error)

    async def _trace(self, place: int, entries: Sequence[Entry], fault: Fault) -> None:
        """Entries could not be folded: what comes before the one that fails is, then that one alone is tried."""
        good = len(entries) // 2 if fault.at is None else fault.at
        if good:
            self._step = good
            return
        entry, error = entries[0], fault.error
        beginning = entry[1].get(b"type") == self._wiring.beginning
        if isinstance(error, TooNew) or (isinstance(error, StreamGap) and self._wiring.resync and not beginning):
            raise error
        if beginning:
            await self._standing.restore()
        else:
            stood = self._standing.position
            await self._standing.acquit(fault)
            if self._standing.position != stood:
                return  # the state is made anew, from entries before this one
        attempts = await self._letters.attempts(self._wiring.feeds[place].stream, entry, error)
        if attempts < DELIVERIES:
            await self._pause(0.05 * 2**attempts)
        else:
            await self._standing.skip(entry, error, place=place)

    async def _state_failed(self, error: Exception) -> None:
        """The fold fails without any entry: wait, and where that does not help, have the state made anew."""
        self._standing.in_memory = self._aligned = False
        self._state_faults += 1
        said = f"the state beside {self._wiring.checkpoint} cannot be shown: {error!r}"
        if self._state_faults >= DELIVERIES and not self._standing.spoilt:
            self._standing.spoilt = said
            if self._wiring.resync:
                self._resync.needed(said)
        await self._leased.wait(said)

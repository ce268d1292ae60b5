"""A fold's memory beside the checkpoint that says what it contains: restored together, committed together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import prometheus_client
from redis.exceptions import DataError

from shared import clock, redis
from shared.checkpoint import Position
from shared.commit import Commands, Cursor
from shared.errors import StreamGap, UnknownLayout
from shared.events.base import entry_fields
from shared.fold import Changes, Fold, Wiring
from shared.inbox import Inbox
from shared.keys import FOLDED_SEQ
from shared.lease import Lease
from shared.letters import DeadLetters, Entry

FOLDED: Final = prometheus_client.Counter(
    "dashboard_folded_entries_total", "Stream entries folded and committed", ["stream"]
)
COMMIT_SECONDS: Final = prometheus_client.Histogram("dashboard_commit_seconds", "Time of a guarded commit", ["stream"])


class Fault(Exception):
    """Folding itself failed, at the entry `at` of the batch; None: at any of them, or at the state."""

    def __init__(self, error: Exception, at: int | None = None) -> None:
        super().__init__(repr(error))
        self.error = error
        self.at = at


class Standing:
    """Where one fold stands, and the only one who moves it."""

    def __init__(
        self, client: redis.Client, wiring: Wiring, group: str, fold: Fold, lease: Lease, letters: DeadLetters, log: Any
    ) -> None:
        self.position = Position()
        self.in_memory = False  # whether the fold's memory is what `position` says
        self.spoilt = ""  # what is wrong with the stored state, which then is not read any more
        self._client = client
        self._wiring = wiring
        self._group = group
        self._fold = fold
        self._lease = lease
        self._letters = letters
        self._log = log
        self._cursor = Cursor(client, wiring.checkpoint)

    async def restore(self) -> None:
        """Read checkpoint and state, unless memory is what the checkpoint says.

        A state without its checkpoint counts: only the record of where it stands was lost, and what follows is a
        beginning, or contradicts it. Raises StreamGap where a state cannot be read that a checkpoint tells of: from
        then on it counts as spoilt, and as empty. Where nobody can be asked to begin anew, what the streams still hold
        is folded again instead.
        """
        stored = await self._stored()
        if self.in_memory and stored == self.position:
            return  # only the connection was lost
        self.in_memory = False
        started = time.monotonic()
        self.position = stored
        if not self.spoilt:
            try:
                await self._read_state()
            except StreamGap:
                if stored.seq and self._wiring.resync:
                    raise
                if not stored.seq and not self._wiring.by_position:
                    self.spoilt = ""  # there never was one, as far as anybody knows
                self._fold.reset()
        else:
            self._fold.reset()
        if self.spoilt and not self._wiring.resync:
            self._log.error("state_made_anew", cause=self.spoilt)
            self.position, self.spoilt = Position(derived_seq=stored.derived_seq), ""
        self.in_memory = True
        self._log.info("fold_restored", seq=stored.seq, seconds=round(time.monotonic() - started, 3))

    async def _stored(self) -> Position:
        cursor = await self._cursor.load()
        try:
            return Position.parse(cursor)
        except ValueError:
            self._log.error("checkpoint_unreadable", key=self._wiring.checkpoint, cursor=cursor[:100])
            return Position()

    async def _read_state(self) -> None:
        try:
            await self._fold.restore(self._client)
        except (*redis.TROUBLE, UnknownLayout):
            raise
        except Exception as error:  # damaged, or written by another version: nothing that a restart would mend
            self.spoilt = f"the state beside {self._wiring.checkpoint} cannot be read: {error!r}"
            raise StreamGap(self.spoilt) from error

    async def commit(
        self,
        position: Position,
        acknowledged: Sequence[bytes],
        inbox: Inbox | None,
        letters: Sequence[bytes] = (),
        *,
        place: int = 0,
    ) -> None:
        """Write what the fold changed, and that it now contains all up to `position`; raises Fault where it cannot.

        `acknowledged` are the entries that it contains more than before, of the stream at `place`.
        """
        try:
            changes = self._fold.flush(clock.now())
            if position == self.position and not changes.commands and not changes.events and not letters:
                return
            position = self._complete(changes, position, acknowledged)
            if inbox is not None:
                inbox.done(changes.commands, letters)
        except Exception as error:
            raise Fault(error) from error
        self.in_memory = False
        try:
            with COMMIT_SECONDS.labels(self._wiring.stream).time():
                await self._cursor.commit(self._lease.key, self._lease.token, str(position), changes.commands)
        except (DataError, UnicodeError) as error:  # the client cannot put it into bytes
            raise Fault(error) from error
        FOLDED.labels(self._wiring.feeds[place].stream).inc(len(acknowledged))
        self.position, self.in_memory = position, True

    def _complete(self, changes: Changes, position: Position, acknowledged: Sequence[bytes]) -> Position:
        """Add to what the fold wants written what is ours; returns the position with the derived events counted."""
        commands, derived_seq = changes.commands, position.derived_seq
        limit = ("MAXLEN", "~", self._wiring.derived_keep)
        for event in changes.events:
            derived_seq += 1
            seq = 0 if self._wiring.derived_several else derived_seq
            commands.add("XADD", self._wiring.derived, *limit, "*", *entry_fields(event, seq))
        if changes.views:
            commands.add("HSET", changes.views, FOLDED_SEQ, position.seq)
        if not self._wiring.by_position:
            commands.spread("XACK", self._wiring.stream, list(acknowledged), lead=(self._group,))
        if acknowledged:
            self._letters.forget(commands, acknowledged[0])
        return replace(position, derived_seq=derived_seq)

    async def acquit(self, fault: Fault) -> None:
        """Restore, and make sure that it is not the state of before that cannot be written; raises its own fault."""
        await self.restore()
        if fault.at is not None:
            return
        self.in_memory = False
        try:
            self._fold.flush(clock.now())
        except Exception as error:
            raise Fault(error) from error
        await self.restore()

    async def skip(self, entry: Entry, error: Exception, *, place: int = 0) -> None:
        """Put the next entry of a stream aside: the fold goes on behind it."""
        entry_id, fields = entry
        commands = Commands()
        if not self._wiring.by_position:
            commands.add("XACK", self._wiring.stream, self._group, entry_id)
        _, seq = self.position.of(place)
        follows = fields.get(b"seq") == str(seq + 1).encode()  # or the producer never wrote it
        position = self.position.moved(place, entry_id.decode(), seq + follows)
        await self._put_aside(commands, position, self._wiring.feeds[place].stream, entry, error)

    async def skip_letter(self, inbox: Inbox, entry: Entry, error: Exception) -> None:
        """Put an entry of the inbox aside."""
        commands = Commands()
        inbox.done(commands, [entry[0]])
        await self._put_aside(commands, self.position, inbox.stream, entry, error)

    async def _put_aside(
        self, commands: Commands, position: Position, stream: str, entry: Entry, error: Exception
    ) -> None:
        self._letters.add(commands, entry, error)
        await self._cursor.commit(self._lease.key, self._lease.token, str(position), commands)
        self.position = position
        self._letters.told(stream, entry, error)

"""Dead letters: entries that could not be folded, kept with what was wrong, and the count of attempts before that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import prometheus_client

from shared import redis
from shared.commit import Commands
from shared.keys import OPS_KEEP

DEAD = prometheus_client.Counter("dashboard_dead_entries_total", "Entries moved to the dead letters", ["stream"])

Entry = tuple[bytes, dict[bytes, bytes]]


class DeadLetters:
    """Those of one fold, at `key`. Attempts are counted in the hash of its checkpoint."""

    def __init__(self, client: redis.Client, key: str, checkpoint: str, log: Any, streams: Iterable[str] = ()) -> None:
        self.blamed = b""  # the entry that failed last
        self._client = client
        self._key = key
        self._checkpoint = checkpoint
        self._log = log
        for stream in streams:
            DEAD.labels(stream)  # counted from zero: a rise from nothing would not be seen

    async def attempts(self, stream: str, entry: Entry, error: Exception) -> int:
        """Count one more attempt at the entry, which failed; returns how many there were."""
        self.blamed = entry[0]
        attempts: int = await self._client.hincrby(self._checkpoint, self._field(entry[0]), 1)
        self._log.error("entry_failed", stream=stream, id=entry[0].decode(), attempt=attempts, error=repr(error))
        return attempts

    def add(self, commands: Commands, entry: Entry, error: Exception) -> None:
        """Commands that add the entry to the letters: its own fields, its id, and what was wrong."""
        entry_id, fields = entry
        letter = [part for pair in fields.items() for part in pair]
        said = repr(error).encode(errors="replace")
        commands.add("XADD", self._key, "MAXLEN", "~", OPS_KEEP, "*", *letter, b"id", entry_id, b"error", said)
        self.forget(commands, entry_id)

    def told(self, stream: str, entry: Entry, error: Exception) -> None:
        """That is committed: count it, and say so."""
        DEAD.labels(stream).inc()
        self._log.error("entry_dead", stream=stream, id=entry[0].decode(), error=repr(error))

    def forget(self, commands: Commands, entry_id: bytes) -> None:
        """The command that ends the count of attempts at the entry, where there is one."""
        if entry_id == self.blamed:
            commands.add("HDEL", self._checkpoint, self._field(entry_id))

    def _field(self, entry_id: bytes) -> str:
        return f"attempts:{entry_id.decode()}"

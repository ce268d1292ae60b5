"""The one way to write what must not be written twice: a Lua script behind a lease and a cursor.

A fold or a producer keeps a cursor in a hash beside its state. The script carries the commands out only while the
caller holds the lease and the cursor still reads what the caller last saw; then it moves the cursor. So a repeated
commit after a lost reply does nothing, and a writer that was replaced is refused. Needs Redis 7.0 or Valkey.

The script's first write changes nothing: a server that has no memory left refuses it, and so the whole script, before
deletions among the commands are carried out alone.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from shared.errors import Fenced
from shared.redis import LOST, Client

_SCRIPT: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 'fenced' end
local cursor = redis.call('HGET', KEYS[1], 'cursor') or ''
if cursor ~= ARGV[2] then
  if cursor == ARGV[3] then return 'repeated' end
  return 'stale'
end
redis.call('HSET', KEYS[1], 'cursor', cursor)
local at = 4
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  redis.call(ARGV[at + 1], KEYS[tonumber(ARGV[at + 2])], unpack(ARGV, at + 3, at + count))
  at = at + count + 1
end
redis.call('HSET', KEYS[1], 'cursor', ARGV[3])
return 'ok'
"""

_ARGUMENTS_AT_ONCE: Final = 2_000
"""Lua's stack holds 8,000 values; longer lists are cut into several commands."""

RETRY_SECONDS: Final = 30.0
"""How long a commit is tried again when the connection was lost; a failover takes about 2.3 s."""

Argument = str | bytes | int | float


class Commands:
    """Commands that one script carries out together. Their keys lie in one cluster slot."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.arguments: list[Argument] = []
        self._index: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.arguments)

    def _key(self, key: str) -> int:
        index = self._index.get(key)
        if index is None:
            self.keys.append(key)
            index = self._index[key] = len(self.keys) + 2  # KEYS[1] and KEYS[2] are cursor and lease
        return index

    def add(self, command: str, key: str, *arguments: Argument) -> None:
        """One command whose first argument is its key."""
        self.arguments += (len(arguments) + 2, command, self._key(key))
        self.arguments += arguments

    def spread(self, command: str, key: str, arguments: list[Argument], *, lead: tuple[Argument, ...] = ()) -> None:
        """A command with any number of arguments, cut into several; `lead` stands before each part.

        The size of a part is even, so that field and value of an HSET stay together.
        """
        for start in range(0, len(arguments), _ARGUMENTS_AT_ONCE):
            self.add(command, key, *lead, *arguments[start : start + _ARGUMENTS_AT_ONCE])


class Cursor:
    """The cursor of one fold or producer, moved by guarded commits."""

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key
        self._script = client.register_script(_SCRIPT)
        self.value = ""

    async def load(self) -> str:
        """Read the stored cursor; empty where there is none."""
        self.value = await self._read()
        return self.value

    async def _read(self) -> str:
        stored: bytes | None = await self._client.hget(self._key, "cursor")
        return stored.decode() if stored else ""

    async def commit(self, lease_key: str, token: str, new: str, commands: Commands) -> None:
        """Carry the commands out and move the cursor to `new`, exactly once.

        A lost connection is retried for RETRY_SECONDS: the cursor tells whether the commit was carried out.
        Raises Fenced when somebody else moved on, or what the connection said last.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                outcome: bytes = await self._script(
                    keys=[self._key, lease_key, *commands.keys], args=[token, self.value, new, *commands.arguments]
                )
            except LOST:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
                continue
            if outcome in {b"fenced", b"stale"}:
                raise Fenced(f"{self._key}: commit refused as {outcome.decode()} at cursor {self.value!r}")
            self.value = new
            return

"""The one way to write what must not be written twice: a Lua script behind a lease and a cursor.

A fold or a producer keeps a cursor in a hash beside its state, with a count of the commits that moved it or left it
where it was. The script carries the commands out only while the caller holds the lease and both still read what the
caller last saw. So a repeated commit after a lost reply does nothing, and a writer that was replaced is refused. Needs
Redis 7.0 or Valkey.

Redis does not take back what a script wrote before it failed. So everything that may refuse a command is asked before
the first of them: whether each key has the type that the commands need, and whether the user may run them there. The
script's first write changes nothing: a server that has no memory left, or takes no writes, refuses that one, and so
the whole script.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from shared.errors import Fenced
from shared.redis import LOST, Client

_SCRIPT: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 'fenced' end
local stored = redis.call('HMGET', KEYS[1], 'cursor', 'commits')
local cursor, commits = stored[1] or '', tonumber(stored[2] or 0) or 0
local seen = tonumber(ARGV[3])
if commits == seen + 1 and cursor == ARGV[4] then return 'repeated' end
if commits ~= seen or cursor ~= ARGV[2] then return 'stale' end
local at = 6
for _ = 1, tonumber(ARGV[5]) do
  local command, key, expected = ARGV[at], KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2]
  if expected ~= '' then
    local found = redis.call('TYPE', key)['ok']
    if found ~= expected and found ~= 'none' then
      return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', expected a ' .. expected)
    end
  end
  if not redis.acl_check_cmd(command, key) then
    return redis.error_reply('NOPERM no permission to run ' .. command .. ' on ' .. key)
  end
  at = at + 3
end
redis.call('HSET', KEYS[1], 'cursor', cursor)
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  redis.call(ARGV[at + 1], KEYS[tonumber(ARGV[at + 2])], unpack(ARGV, at + 3, at + count))
  at = at + count + 1
end
redis.call('HSET', KEYS[1], 'cursor', ARGV[4], 'commits', string.format('%.0f', seen + 1))
return 'ok'
"""

_TYPES: Final = {
    **dict.fromkeys(("HSET", "HDEL", "HINCRBY"), "hash"),
    **dict.fromkeys(("XADD", "XACK", "XDEL", "XTRIM"), "stream"),
    **dict.fromkeys(("LPUSH", "RPUSH", "LTRIM"), "list"),
    **dict.fromkeys(("SADD", "SREM"), "set"),
    **dict.fromkeys(("SETRANGE", "APPEND"), "string"),
    **dict.fromkeys(("DEL", "SET"), ""),  # whatever was there
}
"""What a key must hold for a command. A command that is not here must be added before it is used."""

_ARGUMENTS_AT_ONCE: Final = 2_000
"""Lua's stack holds 8,000 values; longer lists are cut into several commands."""

RETRY_SECONDS: Final = 4.0
"""How long a commit is tried again when the connection was lost: a failover takes about 2.3 s, and a stop 8 s."""

_PAUSE_SECONDS: Final = (0.05, 0.1, 0.2, 0.4)

Argument = str | bytes | int | float


class Commands:
    """Commands that one script carries out together. Their keys lie in one cluster slot."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.arguments: list[Argument] = []
        self._index: dict[str, int] = {}
        self._needs: dict[tuple[str, int], str] = {}  # command and key -> the type that the key must have before
        self._replaced: set[int] = set()  # keys that an earlier command empties or overwrites

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
        index = self._key(key)
        if (command, index) not in self._needs:
            needed = _TYPES[command]
            self._needs[command, index] = "" if index in self._replaced else needed
            if not needed:
                self._replaced.add(index)
        self.arguments += (len(arguments) + 2, command, index)
        self.arguments += arguments

    def spread(self, command: str, key: str, arguments: list[Argument], *, lead: tuple[Argument, ...] = ()) -> None:
        """A command with any number of arguments, cut into several; `lead` stands before each part.

        The size of a part is even, so that field and value of an HSET stay together.
        """
        for start in range(0, len(arguments), _ARGUMENTS_AT_ONCE):
            self.add(command, key, *lead, *arguments[start : start + _ARGUMENTS_AT_ONCE])

    def packed(self) -> list[Argument]:
        """What is asked before, and the commands, as the script takes them."""
        needs = [part for (command, index), needed in self._needs.items() for part in (command, index, needed)]
        return [len(self._needs), *needs, *self.arguments]


class Cursor:
    """The cursor of one fold or producer, moved by guarded commits."""

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key
        self._script = client.register_script(_SCRIPT)
        self._commits = 0
        self.value = ""

    async def load(self) -> str:
        """Read the stored cursor; empty where there is none."""
        value, commits = await self._client.hmget(self._key, "cursor", "commits")
        self.value = value.decode() if value else ""
        self._commits = int(commits) if commits and commits.isdigit() else 0
        return self.value

    async def lost(self) -> bool:
        """Whether nothing is stored any more."""
        return not await self._client.hexists(self._key, "cursor")

    async def commit(self, lease_key: str, token: str, new: str, commands: Commands) -> None:
        """Carry the commands out and move the cursor to `new`, which may be where it is, exactly once.

        A lost connection is retried for RETRY_SECONDS: the count of commits tells whether the commit was carried out.
        Raises Fenced when somebody else moved on, or what Redis or the connection said last.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        pauses = iter(_PAUSE_SECONDS)
        arguments = [token, self.value, self._commits, new, *commands.packed()]
        while True:
            try:
                outcome: bytes = await self._script(keys=[self._key, lease_key, *commands.keys], args=arguments)
            except LOST:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(next(pauses, _PAUSE_SECONDS[-1]))
                continue
            if outcome in {b"fenced", b"stale"}:
                raise Fenced(f"{self._key}: commit refused as {outcome.decode()} at cursor {self.value!r}")
            self.value, self._commits = new, self._commits + 1
            return

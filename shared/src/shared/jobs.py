"""Jobs that anyone may ask for and any replica may do, with an answer: the queue, as both sides see it.

A job is named by what it is about (`what`): asked for twice, it is done once. It is an entry of the stream `requests`
until it is done. One that failed leaves the stream and comes back as a new entry when its pause is over. Whoever works
changes something only while the entry is still his, all of it in one script; so what a worker says that was replaced,
and what is sent twice after a lost reply, does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, cast

import msgspec

from shared import redis
from shared.bus import ANNOUNCE
from shared.events.base import Event, entry_fields
from shared.keys import JOBS_CAP, OPS_KEEP, Keys
from shared.letters import Entry

LONGEST_NAME: Final = 200
"""Characters of what a job is about."""

CHANGES_KEEP: Final = 5_000
"""Notifications kept."""

Asked = Literal["answered", "waiting", "asked", "full"]

_ASK: Final = """
if redis.call('EXISTS', KEYS[4]) == 1 then return 'answered' end
local held = redis.call('HGET', KEYS[2], ARGV[2])
if held then
  if held:sub(1, 1) == '+' then
    if redis.call('ZSCORE', KEYS[3], ARGV[2]) then return 'waiting' end
  elseif redis.call('XRANGE', KEYS[1], held, held)[1] then
    return 'waiting'
  end
elseif redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[1]) then
  return 'full'
end
redis.call('HSET', KEYS[2], ARGV[2], redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3)))
return 'asked'
"""
"""An entry that is gone, as from a Redis that lost it, is asked for again."""

_HELD: Final = """
local function held()
  local found = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
  return not found.err and found[1]
end
"""

_END: Final = (
    _HELD
    + ANNOUNCE
    + """
if not held() then return 0 end
redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[6])
local letter, at = tonumber(ARGV[7]), 8
if letter > 0 then redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[at], '*', unpack(ARGV, at + 1, at + letter)) end
at = at + letter + 1
if ARGV[at] then announce(KEYS[5], unpack(ARGV, at)) end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[4])
return 1
"""
)

_DEFER: Final = (
    _HELD
    + """
if not held() then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[5]), ARGV[4])
redis.call('HSET', KEYS[2], ARGV[4], '+' .. cmsgpack.pack({unpack(ARGV, 6)}))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
return 1
"""
)

_TEND: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, what in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100)) do
  local entry = redis.call('HGET', KEYS[2], what)
  if entry and entry:sub(1, 1) == '+' then
    redis.call('HSET', KEYS[2], what, redis.call('XADD', KEYS[1], '*', unpack(cmsgpack.unpack(entry:sub(2)))))
  end
  redis.call('ZREM', KEYS[3], what)
end
local some = redis.call('HRANDFIELD', KEYS[2], 20, 'WITHVALUES')
for at = 1, #some, 2 do
  local entry, there = some[at + 1]
  if entry:sub(1, 1) == '+' then
    there = redis.call('ZSCORE', KEYS[3], some[at])
  else
    there = redis.call('XRANGE', KEYS[1], entry, entry)[1]
  end
  if not there then redis.call('HDEL', KEYS[2], some[at]) end
end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local about = {}
  for at = 1, #consumer, 2 do about[consumer[at]] = consumer[at + 1] end
  if about.pending == 0 and (about.idle > tonumber(ARGV[3]) or about.name == ARGV[4]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about.name)
  end
end
for at = 5, #ARGV do
  if redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[at], ARGV[at], 1, ARGV[2])[1] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[at], 'JUSTID')
  end
end
"""
"""What is due comes back; names whose entry is lost are forgotten, and workers that are gone; ours stays ours."""

GHOST_MS: Final = 600_000
"""A worker that has nothing and was not heard of for so long is gone."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job."""

    status: Literal["done", "failed"]
    data: msgspec.Raw = msgspec.Raw(b"null")  # JSON, of the service's own
    error: str = ""  # why it failed, for a person
    time_ms: int  # Unix milliseconds, by Redis' clock


class Jobs:
    """The jobs of one domain, for those who ask."""

    def __init__(self, client: redis.Client, keys: Keys, domain: str) -> None:
        self._client = client
        self._keys = keys
        self._domain = domain
        self._three = [keys.requests(domain), keys.jobs(domain), keys.retries(domain)]
        self._ask = client.register_script(_ASK)

    async def ask(self, what: str, job: Event) -> Asked:
        """Have the job done, unless its answer is there, or it waits already, or JOBS_CAP others do.

        `what` must not be a secret: it is part of a key. Raises one of TROUBLE, and may be repeated then.
        """
        if not 0 < len(what) <= LONGEST_NAME:
            raise ValueError(f"a job about {len(what)} characters: expected 1 to {LONGEST_NAME}")
        keys = [*self._three, self._keys.answer(self._domain, what)]
        outcome: bytes = await self._ask(keys=keys, args=[JOBS_CAP, what, *_fields(what, 0, entry_fields(job, 0))])
        return cast("Asked", outcome.decode())

    async def answer(self, what: str) -> Answer | None:
        """The answer; None where there is none (yet, or any more)."""
        raw: bytes | None = await self._client.get(self._keys.answer(self._domain, what))
        return None if raw is None else msgspec.json.decode(raw, type=Answer)


class Held:
    """The jobs of one domain, for one worker of `group`. Each raises one of TROUBLE, and may be repeated then."""

    def __init__(self, client: redis.Client, keys: Keys, domain: str, group: str, worker: str, changes: str) -> None:
        self.requests = keys.requests(domain)
        self._keys = keys
        self._domain = domain
        self._who = [group, worker]
        self._changes = changes or self.requests
        self._end = client.register_script(_END)
        self._defer = client.register_script(_DEFER)
        self._tend = client.register_script(_TEND)

    async def end(
        self, entry: Entry, answer: Answer, keep_ms: int, told: Event | None, error: Exception | None = None
    ) -> bool:
        """It is done, or (with an error) goes to the dead letters; False where it is somebody else's by now."""
        entry_id, fields = entry
        letter: list[Any] = []
        if error is not None:
            said = repr(error).encode(errors="replace")
            letter = [OPS_KEEP, *(part for pair in fields.items() for part in pair), b"id", entry_id, b"error", said]
        news = () if told is None else (CHANGES_KEEP, *told.fields())
        domain, what = self._domain, name_of(entry)
        keys = [self.requests, self._keys.jobs(domain), self._keys.answer(domain, what), self._keys.dead(domain)]
        arguments = [*self._who, entry_id, what, msgspec.json.encode(answer), keep_ms, max(0, len(letter) - 1)]
        return bool(await self._end(keys=[*keys, self._changes], args=[*arguments, *(letter or [0]), *news]))

    async def defer(self, entry: Entry, attempts: int, delay_ms: int) -> bool:
        """It comes back after a while, as attempted so often; False as in `end`."""
        entry_id, fields = entry
        flat = (part for name in (b"type", b"v", b"seq", b"data") if name in fields for part in (name, fields[name]))
        keys = [self.requests, self._keys.jobs(self._domain), self._keys.retries(self._domain)]
        what = name_of(entry)
        arguments = [*self._who, entry_id, what, delay_ms, *_fields(what, attempts, flat)]
        return bool(await self._defer(keys=keys, args=arguments))

    async def tend(self, ours: Iterable[bytes], gone: str = "") -> None:
        """What any worker does for all now and then; `ours` are the entries at work, `gone` a worker that ends."""
        keys = [self.requests, self._keys.jobs(self._domain), self._keys.retries(self._domain)]
        await self._tend(keys=keys, args=[*self._who, GHOST_MS, gone, *ours])


def name_of(entry: Entry) -> str:
    """What the job is about; empty where nobody of ours asked for it."""
    return entry[1].get(b"what", b"").decode(errors="replace")


def attempts_at(entry: Entry) -> int:
    """How often it failed before it became this entry."""
    said = entry[1].get(b"attempts", b"")
    return int(said) if said.isdigit() else 0


def _fields(what: str, attempts: int, event: Iterable[bytes]) -> list[Any]:
    return ["what", what, "attempts", attempts, *event]

"""Whether a source may be asked now: its budget, its own wish to be left alone, and its circuit, in Redis for all.

All replicas share it. A request is counted before it is sent, so that no replica and no kill exceeds the budget; in any
span of a limit, and somewhat beyond it, there are never more requests than the limit says. What Redis loses of it, the
process that asked still knows. A source that fails is left
alone for a pause that doubles; after FAILURES in a row its circuit is open: nobody asks, until one trial may.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from shared import redis
from shared.errors import OutsideNotNow
from shared.keys import Keys
from shared.outside.provider import Provider

MARGIN: Final = 1.05
LATE_MS: Final = 250
"""What a span is lengthened by: requests take their time to arrive, one longer than the next, most of all while a
replica starts on a busy machine.
"""

FAILURES: Final = 5
"""Failures in a row that open a circuit."""

PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 60_000
"""Left alone after a failure, doubled at each, give or take half."""

OPEN_MS: Final = 60_000
LONGEST_OPEN_MS: Final = 900_000
"""How long a circuit stays open, doubled after each trial that fails."""

TRIAL_MS: Final = 60_000
"""Nobody else tries meanwhile."""

LONGEST_WISH: Final = 86_400.0
"""Seconds that a source may ask to be left alone for; more is taken for a mistake."""

_BEGIN: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(stored) -- nil for what was never written here
  return stored and #stored <= 15 and string.find(stored, '^%d+$') and tonumber(stored) or nil
end
local function field(name) return whole(redis.call('HGET', KEYS[1], name)) or 0 end
local function text(number) return string.format('%.0f', number) end
local function count(name)
  local counted = field(name) + 1
  redis.call('HSET', KEYS[1], name, text(counted))
  return counted
end
"""

_ASK: Final = (
    _BEGIN
    + """
local back = field('asked_ms') > now -- the clock was set back since
local function until_when(name, longest) -- a moment further ahead than any is set was told by another clock
  local moment = field(name)
  return (back or moment > now + longest) and math.min(moment, 1) or moment
end
local alone = until_when('left_alone_ms', __LONGEST__)
local open, trial = until_when('open_ms', __LONGEST_OPEN__), until_when('trial_ms', __TRIAL__)
if open > 0 and math.max(open, trial) > now then return {'open', math.max(open, trial) - now} end
if alone > now then return {'alone', alone - now} end
local most, longest = 0, 0
for at = 1, #ARGV, 2 do
  most, longest = math.max(most, tonumber(ARGV[at])), math.max(longest, tonumber(ARGV[at + 1]))
end
local times, wrong = {}, false
for at, stored in ipairs(redis.call('LRANGE', KEYS[2], 0, most - 1)) do
  local asked = whole(stored)
  if not asked or asked > now then asked, wrong = now, true end -- nobody knows how long ago: just now at the worst
  times[at] = asked
end
if wrong then
  table.sort(times, function(one, other) return one > other end)
  redis.call('DEL', KEYS[2])
  for _, asked in ipairs(times) do redis.call('RPUSH', KEYS[2], text(asked)) end
  redis.call('PEXPIRE', KEYS[2], longest)
end
for at = 1, #ARGV, 2 do
  local span = tonumber(ARGV[at + 1])
  local since = now - (times[tonumber(ARGV[at])] or 0)
  if since < span then return {'budget', span - since} end
end
while #times > 0 and now - times[#times] >= longest do -- only the past that counts may come to be just now
  redis.call('RPOP', KEYS[2])
  table.remove(times)
end
redis.call('LPUSH', KEYS[2], text(now))
redis.call('LTRIM', KEYS[2], 0, most - 1)
redis.call('PEXPIRE', KEYS[2], longest)
redis.call('HSET', KEYS[1], 'asked_ms', text(now), 'left_alone_ms', 0, 'open_ms', text(math.min(open, now)),
  'trial_ms', open > 0 and text(now + __TRIAL__) or 0)
count('asked')
return {'go', 0}
""".replace("__TRIAL__", str(TRIAL_MS))
    .replace("__LONGEST__", str(int(LONGEST_WISH * 1000)))
    .replace("__LONGEST_OPEN__", str(LONGEST_OPEN_MS))
)
"""KEYS: standing, times of requests. ARGV: requests and milliseconds of each limit."""

_ANSWERED: Final = (
    _BEGIN
    + """
redis.call('HSET', KEYS[1], 'failures', 0, 'left_alone_ms', 0, 'open_ms', 0, 'trial_ms', 0, 'well_ms', text(now),
  'asked_ms', text(math.min(field('asked_ms'), now)))
count('answered')
"""
)

_FAILED: Final = (
    _BEGIN
    + """
local failures = count('failures')
local function doubled(first, longest, times) return math.min(first * 2 ^ math.min(times, 30), longest) end
local pause = doubled(__PAUSE__, __LONGEST_PAUSE__, failures - 1) * tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'error', ARGV[1], 'error_ms', text(now), 'trial_ms', 0,
  'left_alone_ms', text(now + math.max(pause, tonumber(ARGV[2]))), 'asked_ms', text(math.min(field('asked_ms'), now)))
if failures >= __FAILURES__ then
  local open = doubled(__OPEN__, __LONGEST_OPEN__, failures - __FAILURES__)
  redis.call('HSET', KEYS[1], 'open_ms', text(now + open))
end
count('failed')
""".replace("__PAUSE__", str(PAUSE_MS))
    .replace("__LONGEST_PAUSE__", str(LONGEST_PAUSE_MS))
    .replace("__FAILURES__", str(FAILURES))
    .replace("__OPEN__", str(OPEN_MS))
    .replace("__LONGEST_OPEN__", str(LONGEST_OPEN_MS))
)
"""ARGV: the error in words, milliseconds that the source wants to be left alone, the pause's jitter."""

_DIGITS: Final = 15
"""No number of a record is longer: what is, was never written here."""

_WHY: Final = {
    "open": "it has failed too often and is tried again in",
    "alone": "it failed, or asked to be left alone, and is asked again in",
    "budget": "its budget is spent; it is asked again in",
}


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a source's answers. Times are Unix milliseconds by Redis' clock; 0: never."""

    asked: int = 0
    answered: int = 0
    failed: int = 0
    failures: int = 0  # in a row, up to now
    asked_ms: int = 0
    well_ms: int = 0  # when it last answered as it should
    error: str = ""  # the last one
    error_ms: int = 0
    left_alone_ms: int = 0  # until when
    open_ms: int = 0  # until when its circuit is open; 0: closed


class Allowance:
    """Asks Redis before a source is asked, and tells how it went."""

    def __init__(self, client: redis.Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._ask = client.register_script(_ASK)
        self._answered = client.register_script(_ANSWERED)
        self._failed = client.register_script(_FAILED)
        self._own: dict[str, deque[float]] = {}  # steady seconds of what this process asked, newest first, by source

    async def ask(self, provider: Provider) -> None:
        """Count one request. Raises OutsideNotNow where it may not be made.

        What this process asked itself it knows without Redis, which may have lost it.
        """
        spans = [int(limit.seconds * 1000 * MARGIN) + LATE_MS for limit in provider.limits]
        limits = [part for limit, span in zip(provider.limits, spans, strict=True) for part in (limit.requests, span)]
        keys = [self._keys.outside_record(provider.name), self._keys.outside_asked(provider.name)]
        own = self._own.setdefault(provider.name, deque(maxlen=max(limits[::2])))
        wait_ms = max(_wait_ms(own, many, span) for many, span in zip(limits[::2], limits[1::2], strict=True))
        verdict = b"budget"
        if wait_ms <= 0:
            verdict, wait_ms = await self._ask(keys=keys, args=limits)
        if verdict != b"go":
            wait = int(wait_ms) / 1000
            raise OutsideNotNow(f"{provider.title} is not asked: {_WHY[verdict.decode()]} {wait:.1f} s", wait)
        own.appendleft(time.monotonic())

    async def answered(self, provider: Provider) -> None:
        """It answered as it should."""
        await self._answered(keys=[self._keys.outside_record(provider.name)])

    async def failed(self, provider: Provider, error: str, wish: float | None = None) -> None:
        """It did not; `wish`: seconds that it wants to be left alone."""
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - spreads requests, no secret
        wish_ms = int(min(max(wish or 0.0, 0.0), LONGEST_WISH) * 1000)
        await self._failed(keys=[self._keys.outside_record(provider.name)], args=[error[:300], wish_ms, jitter])

    async def records(self, providers: Sequence[Provider]) -> list[Record]:
        """What is known of each. One round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for provider in providers:
            pipeline.hgetall(self._keys.outside_record(provider.name))
        return [_record(fields) for fields in await pipeline.execute()]


def _wait_ms(own: Sequence[float], many: int, span_ms: int) -> float:
    """Milliseconds until another request fits into a limit, by what this process asked; 0 or less: none."""
    return 0.0 if len(own) < many else span_ms - (time.monotonic() - own[many - 1]) * 1000


def _record(fields: dict[bytes, bytes]) -> Record:
    found: dict[str, Any] = {}
    for name in Record.__struct_fields__:
        value = fields.get(name.encode(), b"")
        if name == "error":
            found[name] = value.decode(errors="replace")
        else:
            found[name] = int(value) if value.isdigit() and len(value) <= _DIGITS else 0
    return Record(**found)

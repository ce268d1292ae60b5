"""Publishing: a guarded producer for the streams that must be gapless, and announcements for the operators' stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import prometheus_client
import structlog
from redis.exceptions import ResponseError

from shared import inputs
from shared.clock import RedisClock
from shared.commit import Commands, Cursor
from shared.domains import FOLDS
from shared.events.base import Event, entry_fields
from shared.events.ops import OpsEvent
from shared.keys import OPS_KEEP
from shared.lease import Lease
from shared.redis import TROUBLE, Client

UNREAD: Final = prometheus_client.Gauge(
    "dashboard_unread_entries", "Entries of a stream that a fold has not folded yet", ["stream", "group"]
)

_STRANGERS: Final = 100
"""Groups that are not ours, told about at most."""

PUBLISH_AT_ONCE: Final = 1_000
"""Events that one commit carries at most."""

ANNOUNCE: Final = """
local function announce(stream, keep, kind, version, data)
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  local seq = 1
  if last[1] then
    for at = 1, #last[1][2], 2 do
      if last[1][2][at] == 'seq' then seq = tonumber(last[1][2][at + 1]) + 1 end
    end
  end
  return redis.call('XADD', stream, 'MAXLEN', '~', keep, '*', 'type', kind, 'v', version, 'seq', seq, 'data', data)
end
"""
"""Lua: an entry of a stream that many write, numbered after its last one."""

_ANNOUNCE: Final = ANNOUNCE + "return announce(KEYS[1], unpack(ARGV))"

_CONFIRM: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local was = string.format('%.0f', now - tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'time_ms', was, 'node', ARGV[3], 'incomplete', ARGV[4])
return now
"""


class Producer:
    """The one writer of a stream. `seq` counts its entries from 1, without a hole, across restarts."""

    def __init__(self, client: Client, lease: Lease, stream: str, cursor_key: str, confirmed_key: str) -> None:
        self.stream = stream
        self._client = client
        self._lease = lease
        self._cursor = Cursor(client, cursor_key)
        self._confirmed_key = confirmed_key
        self._confirm = client.register_script(_CONFIRM)
        self._strangers: set[str] = set()  # groups that were told about
        self._log: Any = structlog.get_logger()
        self._before = 0  # entries of the stream, where the cursor that counted them is lost
        self._ahead: int | None = None  # how far `seq` is ahead of what Redis says was added to the stream

    @property
    def seq(self) -> int:
        """Sequence of the last entry published."""
        return int(self._cursor.value or self._before)

    async def load(self) -> None:
        """Continue where the last producer stopped; where its cursor is lost, after the stream's last entry."""
        await self._cursor.load()
        self._before, self._ahead = 0, None
        if not self._cursor.value:
            for _, fields in await self._client.xrevrange(self.stream, count=1):
                seq = fields.get(b"seq", b"")
                self._before = int(seq) if seq.isdigit() else 0

    async def publish(self, events: Sequence[Event], commands: Commands | None = None) -> None:
        """Append the events and carry out the commands, all of it once or none.

        At most PUBLISH_AT_ONCE events; none is allowed too. Raises Fenced when another producer took over.
        """
        if len(events) > PUBLISH_AT_ONCE:
            raise ValueError(f"{len(events)} events at once: expected at most {PUBLISH_AT_ONCE}")
        together = commands or Commands()
        seq = self.seq
        for event in events:
            seq += 1
            together.add("XADD", self.stream, "*", *entry_fields(event, seq))
        await self._cursor.commit(self._lease.key, self._lease.token, str(seq), together)

    async def confirm(self, node: str, incomplete: str = "", *, ago_ms: int = 0) -> int:
        """Say that what is published up to now is what the node had `ago_ms` before this moment, by Redis' clock.

        `incomplete` says why that is not what its figures are called, in words for a person. Without the lease nothing
        is written. Returns Redis' clock, Unix milliseconds; 0 without the lease.
        """
        keys = [self._confirmed_key, self._lease.key]
        now: int = await self._confirm(keys=keys, args=[self._lease.token, self.seq, node, incomplete, ago_ms])
        return now

    async def lost(self) -> str:
        """What is gone of the stream that nobody cut, or of its record, in words; empty where both are whole.

        Where the record is gone, the next commit makes it again.
        """
        if self.seq and await self._cursor.lost():
            await self.load()
            return f"the record of what {self.stream} has was deleted"
        try:
            added = int((await self._client.xinfo_stream(self.stream))["entries-added"])
        except ResponseError:  # no such stream
            added = 0
        ahead, before = self.seq - added, self._ahead
        self._ahead = ahead
        if self.seq and (not added or (before is not None and ahead > before)):
            self._ahead = None
            return f"the stream {self.stream} was deleted"
        return ""

    async def trim(self, keep: int, cap: int) -> int:
        """Cut what every fold has acknowledged, but keep the newest `keep`; returns unread entries cut (0 is healthy).

        Entries that a fold has not read are kept up to `cap` in all: beyond it they are lost, and the fold that
        missed them notices by `seq` and asks for a resynchronisation. A group that is nobody's of ours is told about,
        and not waited for.
        """
        unread = 0
        try:
            groups = await self._client.xinfo_groups(self.stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return 0
        for group in groups:
            name = group["name"].decode(errors="replace")
            if name not in FOLDS:
                self._tell_of(name)
                continue
            lag = inputs.lag_of(group)
            waiting = cap if lag is None else lag + int(group["pending"])
            UNREAD.labels(self.stream, name).set(waiting)
            unread = max(unread, waiting)
        await self._client.xtrim(self.stream, maxlen=min(max(keep, unread), cap), approximate=True)
        return max(0, unread - cap)

    def _tell_of(self, stranger: str) -> None:
        if stranger not in self._strangers and len(self._strangers) < _STRANGERS:
            self._strangers.add(stranger)
            self._log.warning("unknown_group", stream=self.stream, group=stranger, unread_entries="not kept for it")


class Announcer:
    """Says on the operators' stream what happens to this service. Best effort: never retried, never in the way."""

    def __init__(self, client: Client, stream: str, service: str, instance: str, time: RedisClock) -> None:
        self._client = client
        self._time = time
        self._stream = stream
        self._service = service
        self._instance = instance
        self._script = client.register_script(_ANNOUNCE)

    async def say(self, kind: type[OpsEvent], detail: str) -> bool:
        """Publish one operational event; False where Redis could not be reached, or refused it."""
        event = kind(service=self._service, instance=self._instance, detail=detail, time_ms=self._time.now_ms)
        try:
            await self._script(keys=[self._stream], args=[OPS_KEEP, *event.fields()])
        except TROUBLE:
            return False
        return True

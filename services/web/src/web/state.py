"""Holds what web knows: reads the folds' views when an event says that they changed, and the heartbeats every 2 s.

While Redis does not answer, the last state stays, and says so; once it answers again, everything is read anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import structlog
from redis.exceptions import RedisError

from shared.keys import Keys
from shared.logging import Trouble
from shared.views import CHAIN_VIEWS, HISTORY_VIEWS, MEMPOOL_VIEWS, Health, View
from web import conditions, survey
from web.cursor import EntryId
from web.snapshot import PARTS, Notice, Part, Snapshot
from web.tail import Entry, cancelled

REFRESH: Final = 2.0
"""Seconds between two readings of the heartbeats, and between attempts while Redis does not answer."""

READ_LIMIT: Final = 4.0
"""Seconds within which Redis must answer one reading."""

_VIEWS: Final[dict[Part, dict[str, type[View]]]] = {
    "chain": CHAIN_VIEWS,
    "history": HISTORY_VIEWS,
    "mempool": MEMPOOL_VIEWS,
}
_health_decoder: Final = msgspec.json.Decoder(Health)
_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    name: msgspec.json.Decoder(view) for views in _VIEWS.values() for name, view in views.items()
}
_PARTS_OF_STREAM: Final[dict[str, Part]] = {"metrics": "chain", "series": "history", "fees": "mempool"}


class State:
    """The snapshot of now. `subscribe` tells who shows a part that it changed; nobody waits for anybody."""

    def __init__(self, snapshot: Snapshot, keys: Keys, redis: Any, log: structlog.stdlib.BoundLogger) -> None:
        self.snapshot = snapshot
        self._keys = keys
        self._redis = redis
        self._log = log
        self._trouble = Trouble(log, "state_read")
        self._keys_of_views = {"chain": keys.chain_views, "history": keys.history_views, "mempool": keys.mempool_views}
        self._views: dict[Part, dict[str, bytes]] = {part: {} for part in _VIEWS}
        self._unreadable: dict[str, str] = {}
        self._subscribers: dict[Part, list[Callable[[], None]]] = {part: [] for part in PARTS}
        self._after: list[Callable[[], None]] = []
        self._notices = conditions.notices(snapshot, time.time())
        self._dirty: set[Part] = {*_VIEWS, "status"}
        self._wake = asyncio.Event()
        self.changes = dict.fromkeys(PARTS, 0)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What is wrong now, as of the last reading."""
        return self._notices

    def subscribe(self, parts: Iterable[Part], changed: Callable[[], None]) -> None:
        """Call `changed` whenever one of the parts is another than before."""
        for part in parts:
            self._subscribers[part].append(changed)

    def after_change(self, callback: Callable[[], None]) -> None:
        """Call this once after all subscribers of whatever changed were told."""
        self._after.append(callback)

    # --- a listener of the tails of `metrics`, `series`, `fees` and `ops` ----------------------------------------

    def entries(self, stream: str, batch: Sequence[Entry]) -> None:
        """A fold or a service said that something changed: read that part."""
        del batch
        self._dirty.add(_PARTS_OF_STREAM.get(stream, "status"))
        self._wake.set()

    def interrupted(self, stream: str, reason: str, position: EntryId) -> None:
        """Events were lost; the state itself is in the views, so reading it again makes up for them."""
        self._log.warning("events_lost", stream=stream, reason=reason, position=str(position))
        self.entries(stream, ())

    # --- reading -------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Read what is due, until cancelled."""
        loop = asyncio.get_running_loop()
        next_status = loop.time()
        while not cancelled():
            if loop.time() >= next_status:
                self._dirty.add("status")
                next_status = loop.time() + REFRESH
            await self.refresh()
            if self._trouble.lasting:
                await asyncio.sleep(REFRESH / 4)
                continue
            try:
                async with asyncio.timeout_at(next_status):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def refresh(self) -> None:
        """Read the parts that are due, and tell who shows them."""
        self._wake.clear()
        due, self._dirty = self._dirty, set()
        before = self.snapshot
        changed: set[Part] = set()
        try:
            async with asyncio.timeout(READ_LIMIT):
                for part in _VIEWS:
                    if part in due and await self._read_views(part):
                        changed.add(part)
                if "status" in due:
                    await self._read_status()
                    changed.add("status")
        except (RedisError, OSError, TimeoutError) as error:
            self._dirty |= {*_VIEWS, "status"}
            self._lost(error)
            changed.add("status")
        else:
            self._trouble.ended()
            self.snapshot = replace(self.snapshot, redis_error="", redis_lost_at=None, read_at=time.time())
            if before.redis_error or not before.read_at:
                changed |= set(PARTS)
        self._judge(changed)
        self._announce(changed)

    def _lost(self, error: BaseException) -> None:
        self._trouble.failed(error)
        text = str(error).strip().rstrip(".") or "No answer in time"
        since = self.snapshot.redis_lost_at or time.time()
        self.snapshot = replace(self.snapshot, redis_error=text, redis_lost_at=since)

    def _judge(self, changed: set[Part]) -> None:
        notices = conditions.notices(self.snapshot, time.time())
        if notices != self._notices:
            self._notices = notices
            changed.add("notices")

    def _announce(self, changed: set[Part]) -> None:
        callbacks: dict[Callable[[], None], None] = {}
        for part in PARTS:
            if part in changed:
                self.changes[part] += 1
                callbacks.update(dict.fromkeys(self._subscribers[part]))
        for callback in (*callbacks, *(self._after if changed else ())):
            callback()

    async def _read_views(self, part: Part) -> bool:
        raw = {name.decode(): value for name, value in (await self._redis.hgetall(self._keys_of_views[part])).items()}
        names = _VIEWS[part]
        known = self._views[part]
        updates: dict[str, View | None] = {}
        for name in names:
            if raw.get(name) == known.get(name):
                continue
            self._unreadable.pop(name, None)
            updates[name] = self._decode(name, raw[name]) if name in raw else None
        self._views[part] = {name: raw[name] for name in names if name in raw}
        if updates:
            unreadable = tuple(self._unreadable.values())
            self.snapshot = replace(self.snapshot, unreadable=unreadable, **updates)  # type: ignore[arg-type]
        return bool(updates)

    def _decode(self, name: str, raw: bytes) -> View | None:
        try:
            view: View = _decoders[name].decode(raw)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            self._unreadable[name] = f"{name}: {error}"
            self._log.error("view_unreadable", view=name, error=str(error))
            return None
        return view

    async def _read_status(self) -> None:
        services = []
        for field, value in sorted((await self._redis.hgetall(self._keys.health)).items()):
            try:
                services.append(_health_decoder.decode(value))
            except (msgspec.ValidationError, msgspec.DecodeError) as error:
                self._log.warning("heartbeat_unreadable", field=field.decode(errors="replace"), error=str(error))
        redis, streams, dead = await survey.take(self._redis, self._keys)
        self.snapshot = replace(self.snapshot, services=tuple(services), redis=redis, streams=streams, dead=dead)

"""Holds what web knows: reads the folds' views when an event says that they changed, and the heartbeats every 2 s.

While Redis does not answer, the last state stays, and says so; once it answers again, everything is read anew. What
cannot be read at one key, or of one view, is told, and the rest goes on: nothing that Redis holds ends the reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import structlog
from redis.exceptions import ResponseError

from shared import domains
from shared.clock import TIME, RedisClock
from shared.clock import now as moment
from shared.events.lookups import LookupDone
from shared.keys import FOLDED_SEQ, Keys
from shared.logging import Trouble
from shared.redis import TROUBLE, words
from shared.tasks import ending
from shared.views import MempoolView, View
from web.state import conditions, survey
from web.state.held import VIEWS, Held
from web.state.snapshot import PARTS, Notice, Part, Snapshot
from web.state.truth import CONFIRMED_BY, Witness

REFRESH: Final = 2.0
"""Seconds between two readings of the heartbeats, and between attempts while Redis does not answer."""

WORTH: Final = 10.0
"""Seconds between two changes of what amounts are worth: the price itself is told at once."""

READ_LIMIT: Final = 4.0
"""Seconds within which Redis must answer one reading."""

_READING: Final = "reading"
"""What a reading is called that failed as a whole, though Redis answers."""

_TOLD_BY: Final = {
    stream: tuple(domain.name for domain in domains.DOMAINS if domain.announces.called == stream)
    for stream in dict.fromkeys(domain.announces.called for domain in domains.DOMAINS)
}
"""The domains whose views may be others, by the stream that says so."""

TELLING: Final = (*_TOLD_BY, domains.OPS.called)
"""The streams whose entries say that something changed."""

_ANSWERED: Final = f"event: {LookupDone.TYPE}\n".encode()
"""How an entry begins that tells whoever asked of an answer: no view is another for it, and there are many."""


class Told(Protocol):
    """An entry of a stream, as type and data of a message."""

    @property
    def content(self) -> bytes:
        """`event: TYPE`, and what follows."""


class State:
    """The snapshot of now. `subscribe` tells who shows a part that it changed; nobody waits for anybody."""

    def __init__(self, snapshot: Snapshot, keys: Keys, redis: Any, log: structlog.stdlib.BoundLogger) -> None:
        self.snapshot = snapshot
        self._keys = keys
        self._redis = redis
        self._log = log
        self.clock = RedisClock()
        self._trouble = Trouble(log, "state_read")
        self._fault = Trouble(log, "state")
        self._faults = 0
        self._worth_at = 0.0  # when it was last told what bitcoin is worth
        self._keys_of_views = {domain.name: keys.views(domain) for domain in domains.DOMAINS}
        self._held = Held(log)
        self._mempool: dict[type[View], View | None] = dict.fromkeys(domains.MEMPOOL.views.values())
        self._witnesses = {domain: Witness() for domain in CONFIRMED_BY}
        self._subscribers: dict[Part, list[Callable[[], None]]] = {part: [] for part in PARTS}
        self._after: list[Callable[[], None]] = []
        self._notices = conditions.notices(snapshot, self.now)
        self._dirty: set[Part] = {*VIEWS, "status"}
        self._wake = asyncio.Event()
        self.changes = dict.fromkeys(PARTS, 0)

    @property
    def now(self) -> float:
        """Unix seconds by Redis' clock, counted on by the steady clock."""
        return self.clock.now_ms / 1000

    def age(self, names: Iterable[str]) -> float | None:
        """Seconds since what there is of these domains was last known to be true; None where that is not known."""
        snapshot = self.snapshot
        ages = [snapshot.truth[domain].age(self.now) for domain in names if snapshot.has(domain)]
        known = [age for age in ages if age is not None]
        return max(known, default=None) if len(known) == len(ages) else None

    def pulse(self) -> dict[str, Any]:
        """What an open page is told regularly: Redis' clock, when each domain was last known to be true, the node."""
        return conditions.pulse(self.snapshot, self.clock.now_ms)

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

    # --- a listener of the tails of TELLING -------------------------------------------------------------

    def entries(self, stream: str, batch: Sequence[Told]) -> None:
        """A fold or a service said that something changed: read that part."""
        if batch and all(entry.content.startswith(_ANSWERED) for entry in batch):
            return
        self._dirty.update(_TOLD_BY.get(stream, ("status",)))
        self._wake.set()

    def interrupted(self, stream: str, reason: str, position: object) -> None:
        """Events were lost; the state itself is in the views, so reading it again makes up for them."""
        self._log.warning("events_lost", stream=stream, reason=reason, position=str(position))
        self.entries(stream, ())

    # --- reading -------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Read what is due, until cancelled."""
        loop = asyncio.get_running_loop()
        next_status = loop.time()
        while not ending():
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
        """Read the parts that are due, and tell who shows them. Raises nothing but a cancellation."""
        self._wake.clear()
        due, self._dirty = self._dirty, set()
        before, faults = self.snapshot, self._faults
        changed: set[Part] = set()
        try:
            async with asyncio.timeout(READ_LIMIT):
                changed |= await self._read_figures(due)
                if "status" in due:
                    await self._read_status()
                    changed.add("status")
        except TROUBLE as error:
            self._dirty |= {*VIEWS, "status"}
            self._lost(error)
            changed.add("status")
        except Exception as error:  # whatever Redis holds: it is told, and the next reading follows
            self._dirty |= due
            self._failed("reading", error)
            self._held.unreadable[_READING] = f"{_READING}: {type(error).__name__}: {error}"
            self._answered()
        else:
            self._held.unreadable.pop(_READING, None)
            self._answered()
            self.snapshot = replace(self.snapshot, read_at=self.now)
            if before.redis_error or not before.read_at:
                changed |= set(PARTS)
        if domains.MARKET.name in changed and abs(self.now - self._worth_at) >= WORTH:
            self._worth_at = self.now
            changed.add("worth")
        self._safely("notices", lambda: self._judge(changed))
        self._announce(changed)
        if self._faults == faults:
            self._fault.ended()

    def _answered(self) -> None:
        self._trouble.ended()
        if self.snapshot.redis_error:
            self.snapshot = replace(self.snapshot, redis_error="", redis_lost_at=None)

    def _lost(self, error: BaseException) -> None:
        self._trouble.failed(error)
        text = words(error).strip().rstrip(".")
        since = self.snapshot.redis_lost_at or self.now
        self.snapshot = replace(self.snapshot, redis_error=text, redis_lost_at=since)

    def _failed(self, what: str, error: Exception) -> None:
        self._faults += 1
        self._fault.failed(error, what=what)

    def _safely(self, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # of one who shows it: the others are told all the same
            self._failed(what, error)

    def _judge(self, changed: set[Part]) -> None:
        unreadable = tuple(self._held.unreadable.values())
        if unreadable != self.snapshot.unreadable:
            self.snapshot = replace(self.snapshot, unreadable=unreadable)
        notices = conditions.notices(self.snapshot, self.now)
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
            self._safely(getattr(callback, "__qualname__", "a page"), callback)

    async def _read_figures(self, due: set[Part]) -> set[Part]:
        """Views that are due, or that another entry was folded into than we saw, and what was confirmed of them."""
        changed: set[Part] = set()
        behind = await self._read_views(due, changed)
        if behind:  # no event told us
            await self._read_views(behind, changed)
        if self._show(self._known_of_mempool()):
            changed.add(domains.MEMPOOL.name)
        return changed

    async def _read_views(self, due: set[Part], changed: set[Part]) -> set[Part]:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.execute_command("EVAL", TIME, 1, self._keys.stream(domains.OPS))  # that of the heartbeats
        for slot in domains.SLOTS:
            pipeline.hgetall(self._keys.confirmed(slot))
        for domain, key in self._keys_of_views.items():
            if domain in due:
                pipeline.hgetall(key)
            else:
                pipeline.hget(key, FOLDED_SEQ)
        asked = moment().steady_ms
        told, *replies = await survey.answered(pipeline)
        if isinstance(told, ResponseError):  # what refuses even this refuses everything, or leaves us without a clock
            raise told
        seconds, micros = told
        self.clock.heard(int(seconds) * 1000 + int(micros) // 1000, asked, moment().steady_ms)
        behind: set[Part] = set()
        for domain, reply in zip(VIEWS, replies[len(domains.SLOTS) :], strict=True):
            raw = self._held.checked(self._keys_of_views[domain], reply)
            if domain in due and raw is not None:
                self._take_views(domain, raw, changed)
            elif raw is not None and self._held.count(domain, raw) != self._held.folded.get(domain):
                behind.add(domain)
        for slot, reply in zip(domains.SLOTS, replies, strict=False):
            self._take_confirmed(slot, reply, changed)
        return behind

    def _take_views(self, domain: str, raw: Mapping[bytes, bytes], changed: set[Part]) -> None:
        updates = self._held.views(domain, raw)
        if domain == domains.MEMPOOL.name:
            self._mempool.update(updates)
        elif self._show(updates):
            changed.add(domain)

    def _known_of_mempool(self) -> dict[type[View], View | None]:
        """Its views, or none: what was never compared with the node, or the node does not have whole, is not known."""
        pool = self._mempool[MempoolView]
        compared = isinstance(pool, MempoolView) and pool.synced_ms is not None
        known = compared and not self.snapshot.truth[domains.MEMPOOL.name].incomplete
        return {kind: view if known else None for kind, view in self._mempool.items()}

    def _show(self, updates: Mapping[type[View], View | None]) -> bool:
        """Put these views into the snapshot, and take out those that are None; whether it is another one then."""
        views = self.snapshot.views
        if all(views.get(kind) is view for kind, view in updates.items()):
            return False
        known = {kind: view for kind, view in {**views, **updates}.items() if view is not None}
        self.snapshot = replace(self.snapshot, views=known)
        return True

    def _take_confirmed(self, slot: str, reply: Any, changed: set[Part]) -> None:
        key = self._keys.confirmed(slot)
        now_ms = self.clock.now_ms
        found = self._held.confirmed(key, self._held.checked(key, reply), now_ms)
        truth = {
            name: self._witnesses[name].heard(found, self._held.folded.get(name), now_ms)
            for name, by in CONFIRMED_BY.items()
            if by == slot
        }
        known = {**self.snapshot.truth, **truth}
        if known != self.snapshot.truth:
            self.snapshot = replace(self.snapshot, truth=known)
            changed.add("truth")

    async def _read_status(self) -> None:
        found = await survey.take(self._redis, self._keys)
        for key in (self._keys.health, "INFO server", "INFO memory"):
            self._held.checked(key, found.troubles.get(key))
        services = self._held.heartbeats(found.health, self.clock.now_ms)
        self.snapshot = replace(
            self.snapshot, services=services, redis=found.redis, streams=found.streams, dead=found.dead
        )

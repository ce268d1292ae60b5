"""Asks the explorer, waits for what it answers, and keeps that for as long as it holds.

A question that several have at the same time is asked once. An answer is kept until it ends in Redis, or until the
explorer tells that something about it changed; a new block makes another question of it (`tip`), and so does a change:
what is still being worked out from before it is nobody's answer any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
import structlog

from shared import redis
from shared.domains import CHANGES
from shared.events.base import Event
from shared.events.lookups import AddressWanted, Asked, LookupDone
from shared.jobs import Answer, Jobs
from shared.keys import Keys
from shared.logging import Trouble
from shared.lookups.address import Working
from shared.scripts.hashes import scripthash
from web.push.cursor import EntryId
from web.push.tail import Entry

T = TypeVar("T")

KEPT: Final = 2_000
"""Answers kept at most."""

PATIENCE: Final = 4.0
"""Seconds that a request waits for its answer; whoever asks again finds it, or goes on waiting."""

LOOK: Final = 0.5
"""Seconds between two looks for an answer whose notification may have been lost."""

AT_ONCE: Final = 32
"""Commands of look-ups on their way to Redis; a client has a hundred connections, and fails where it needs more."""

TIP: Final = 16
"""Digits of the newest block's hash in the name of a question."""

CHANGES_KEPT: Final = 20_000
"""Changes that are remembered at most, the newest."""

CHANGED_SECONDS: Final = 130.0
"""How long a change makes another question: after that no answer from before it is left in Redis."""

UNANSWERED_SECONDS: Final = 60.0
"""How long a question that was not answered in time is asked as it was, whatever changes meanwhile."""

_DATA: Final = b"\ndata: "
_WORKING: Final = msgspec.json.Decoder(Working)


class Held(msgspec.Struct, Generic[T], frozen=True):
    """An answer, and when it was given (Unix milliseconds, by Redis' clock)."""

    answer: T
    time_ms: int


class Pending(Exception):
    """The answer is not there yet; it is being worked on, or waits for its turn."""

    def __init__(self, name: str, working: Working | None = None) -> None:
        super().__init__(name)
        self.working = working  # how far a scan is that it waits for; None: it is none, or that is not known


class Failed(Exception):
    """There is no answer; the message says why, in words for the operator."""


class Full(Exception):
    """So much is asked for that nobody takes more."""


class Lookups:
    """Questions to the explorer. A listener of the stream of changes, whose tail must run."""

    def __init__(self, client: Any, keys: Keys, tip: Callable[[], str], log: structlog.stdlib.BoundLogger) -> None:
        """`tip` tells the hash of the newest block that is shown; empty where none is known."""
        self._redis = client
        self._keys = keys
        self._tip = tip
        self._jobs = Jobs(client, keys, CHANGES.slot)
        self._trouble = Trouble(log, "lookups")
        self._kept: OrderedDict[str, tuple[float, Held[Any]]] = OrderedDict()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._heard: list[Callable[[str], None]] = []
        self._missed: list[Callable[[], None]] = []
        self._ended: list[Callable[[str], None]] = []
        self._changes: OrderedDict[str, tuple[float, str]] = OrderedDict()  # what -> until when, and which change
        self._unanswered: OrderedDict[str, tuple[float, str]] = OrderedDict()  # question -> until when, and its name
        self._since = (0.0, "")  # until when, and from where on nothing was missed
        self.asked = 0
        """Questions that went to the explorer's queue, for whoever measures."""

    # --- questions -----------------------------------------------------------------------------------

    def now(self, question: str) -> str:
        """The question as it is asked now: about the chain up to the newest block, and what changed since.

        All replicas of web name a change alike: as its entry in the stream.
        """
        name, now = f"{question}:{self._tip()[-TIP:]}", time.monotonic()
        about = question.split(":", 2)[1:2]
        until, change = self._changes.get(about[0], self._since) if about else self._since
        if until < now:
            until, change = self._since
        return f"{name}:{change}" if until >= now else name

    async def ask(self, question: str, wanted: Asked, kind: Any, patience: float = PATIENCE) -> Held[Any]:
        """The answer, as a union of `kind`. Raises Pending, Full, Failed; RedisError and OSError as they come."""
        name = self.now(question)
        kept = self._kept.get(name)
        if kept is not None and time.monotonic() < kept[0]:
            self._kept.move_to_end(name)
            return kept[1]
        until, before = self._unanswered.get(question, (0.0, name))
        if time.monotonic() < until:
            name = before  # what changes all the time, and takes long, would never be answered otherwise
        try:
            async with asyncio.timeout(patience):
                held = await self._wait(name, wanted, kind)
                self._unanswered.pop(question, None)
                if (again := self.now(question)) != name:  # it changed meanwhile, and this may be from before
                    name = again
                    held = await self._wait(name, wanted, kind)
                return held
        except TimeoutError:
            if name != before or time.monotonic() >= until:
                self._unanswered[question] = time.monotonic() + UNANSWERED_SECONDS, name
                if len(self._unanswered) > KEPT:
                    self._unanswered.popitem(last=False)
            raise Pending(name, await self._working(wanted)) from None

    async def _working(self, wanted: Asked) -> Working | None:
        if not isinstance(wanted, AddressWanted):
            return None
        with contextlib.suppress(*redis.TROUBLE, msgspec.MsgspecError):  # who waits is told less
            raw = await self._redis.get(self._keys.progress(scripthash(bytes.fromhex(wanted.script))))
            return None if raw is None else _WORKING.decode(raw)
        return None

    async def _wait(self, name: str, wanted: Asked, kind: Any) -> Held[Any]:
        job = msgspec.structs.replace(wanted, tip=self._tip())
        woken = asyncio.Event()
        waiting = self._waiting.setdefault(name, set())
        waiting.add(woken)
        try:
            return await self._answer(name, job, kind, woken)
        finally:
            waiting.discard(woken)
            if not waiting:
                self._waiting.pop(name, None)

    async def _answer(self, name: str, job: Event, kind: Any, woken: asyncio.Event) -> Held[Any]:
        while True:
            async with self._turn:
                outcome = await self._jobs.ask(name, job)
            if outcome == "full":
                raise Full(name)
            if outcome != "answered":
                self.asked += outcome == "asked"
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await woken.wait()
                woken.clear()
            found = await self._read(name, kind)
            if found is not None:
                return found

    async def _read(self, name: str, kind: Any) -> Held[Any] | None:
        key = self._keys.answer(CHANGES.slot, name)
        async with self._turn, self._redis.pipeline(transaction=False) as pipe:
            pipe.get(key)
            pipe.pttl(key)
            raw, left_ms = await pipe.execute()
        if raw is None:
            return None
        answer = msgspec.json.decode(raw, type=Answer)
        if answer.status == "failed":
            raise Failed(answer.error)
        held = Held(msgspec.json.decode(bytes(answer.data), type=kind), answer.time_ms)
        self._kept[name] = (time.monotonic() + max(0, left_ms) / 1000, held)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return held

    # --- changes -------------------------------------------------------------------------------------

    def changed_lately(self, about: str, seconds: float) -> bool:
        """Whether something about this changed within this time, or may have, at most CHANGED_SECONDS."""
        until = max(self._changes.get(about, self._since)[0], self._since[0])
        return until - time.monotonic() > CHANGED_SECONDS - seconds

    def on_change(self, heard: Callable[[str], None]) -> None:
        """Tell of each thing that changed, by what the explorer calls it: a txid, a script hash."""
        self._heard.append(heard)

    def on_missed(self, missed: Callable[[], None]) -> None:
        """Tell that changes may have been missed."""
        self._missed.append(missed)

    def on_done(self, ended: Callable[[str], None]) -> None:
        """Tell of each question that was answered, whoever asked it."""
        self._ended.append(ended)

    def forget(self, about: str) -> None:
        """No answer about this holds any longer."""
        for name in [one for one in self._kept if about in one]:
            del self._kept[name]

    def entries(self, stream: str, batch: Sequence[Entry]) -> None:
        """What the explorer tells."""
        for entry in batch:
            if entry.content.startswith(b"event: lookup.done"):
                self._done(entry.content)
            else:
                self._changed(entry)

    def interrupted(self, stream: str, reason: str, position: EntryId) -> None:
        """Some of it was lost: nothing that is kept is certain, and who waits looks for himself."""
        self._kept.clear()
        self._changes.clear()
        self._since = time.monotonic() + CHANGED_SECONDS, str(position)
        for missed in self._missed:
            missed()
        for waiting in self._waiting.values():
            for woken in waiting:
                woken.set()

    def _done(self, content: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            done = msgspec.json.decode(content.partition(_DATA)[2], type=LookupDone)
            for woken in self._waiting.get(done.key, ()):
                woken.set()
            for ended in self._ended:
                ended(done.key)

    def _changed(self, entry: Entry) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            about = msgspec.json.decode(entry.content.partition(_DATA)[2], type=_Changed).key
            self._changes[about] = time.monotonic() + CHANGED_SECONDS, str(entry.id)
            self._changes.move_to_end(about)
            if len(self._changes) > CHANGES_KEPT:
                self._changes.popitem(last=False)
            self.forget(about)
            for heard in self._heard:
                heard(about)


class _Changed(msgspec.Struct):
    """What `tx.changed` and `address.changed` have in common."""

    key: str


TROUBLE: Final = redis.TROUBLE
"""What `ask` raises where Redis does not answer."""

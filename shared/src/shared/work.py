"""Stateless work: any number of replicas do the jobs of one domain (shared.jobs), each job by one of them.

For what is asked for from outside, takes long, and leaves nothing behind but its answer: a look-up, a delivery. What
must keep an order, or a state, is a fold (shared.consumer).

A worker that died is replaced within LEASE_MS: it renews what it is at, and what is not renewed is taken over. A job
that fails is tried again after a pause that doubles, ATTEMPTS times in all; one that takes its worker with it counts as
well. Then it goes to the dead letters, and its answer says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
import prometheus_client
from redis.exceptions import ResponseError

from shared import redis
from shared.errors import BadEntry, TooNew
from shared.events.base import Event, Family
from shared.jobs import Answer, Held, attempts_at, name_of
from shared.keys import LEASE_MS
from shared.leased import Leased
from shared.letters import DEAD, Entry
from shared.service import Service
from shared.tasks import end
from shared.trouble import RedisTrouble

T = TypeVar("T")

WAITED: Final = prometheus_client.Histogram(
    "dashboard_job_wait_seconds",
    "Time from the question until a replica begins with it, by Redis' clock",
    ["domain"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60),
)

ATTEMPTS: Final = 5
"""Attempts at a job, whether it fails or its worker does not come back."""

RETRY_MS: Final = 1_000
LONGEST_RETRY_MS: Final = 300_000
"""Pause before a job is tried again: doubled at each."""

TEND_SECONDS: Final = 1.0
"""Between two looks at what is due, and at what a worker that died has left."""

STOP_SECONDS: Final = 3.0
"""How long jobs may take to end when the service is to stop; what is left is given back."""

Alive = Callable[[], None]
"""To be called by a job whenever something came of it: its deadline is one of silence."""

Do = Callable[[Event, Alive], Awaitable[Any]]
"""Does a job; returns what is its answer, as JSON. Whatever it raises is a failure."""

Tell = Callable[[str, str], Event]
"""The notification that a job (about what, and with which status) ended."""


class Worker:
    """One replica. `silence` in seconds; an answer is kept for `keep_ms`, that of a failure for `failed_ms`.

    `keep_ms` may be told by the answer itself.
    """

    def __init__(
        self,
        service: Service,
        domain: str,
        family: Family,
        do: Do,
        *,
        at_once: int = 8,
        silence: float = 30.0,
        keep_ms: int | Callable[[Any], int] = 60_000,
        failed_ms: int = 10_000,
        changes: str = "",
        tell: Tell | None = None,
    ) -> None:
        self._service = service
        self._group = service.name
        self._name = f"{service.instance}-{secrets.token_hex(4)}"  # two of one host are not the same
        self._family = family
        self._do = do
        self._at_once = at_once
        self._silence = silence
        self._keep_ms = keep_ms if callable(keep_ms) else lambda _: keep_ms
        self._failed_ms = failed_ms
        self._tell = tell
        self._held = Held(service.redis, service.keys, domain, self._group, self._name, changes)
        self._working = Leased(service, name="work")  # without a lease: any number of replicas work
        self._waited = WAITED.labels(domain)
        DEAD.labels(self._held.requests)  # counted from zero
        self._trouble = RedisTrouble(service)  # of jobs that cannot be ended
        self._jobs: dict[bytes, tuple[Entry, asyncio.Task[None]]] = {}  # what we are at, by the entry's id
        self._scan: bytes | str = "0-0"  # where the look for what others left goes on
        self._tend_at = 0.0

    async def run(self) -> None:
        """Work until the service is told to stop."""
        reader = self._service.blocking_redis()
        try:
            await self._working.run(lambda: self._work(reader))
        finally:
            await self._leave()
            await reader.aclose()

    async def _work(self, reader: redis.Client) -> None:
        await self._align()
        await self._take(reader, "0")  # what was delivered to us, and never arrived
        while not self._service.stopping.is_set():
            self._reap()
            if time.monotonic() >= self._tend_at:
                self._tend_at = time.monotonic() + TEND_SECONDS
                await self._tend()
            if len(self._jobs) < self._at_once:
                await self._take(reader, ">")
            else:
                at_work = [task for _, task in self._jobs.values()]
                await asyncio.wait(at_work, timeout=TEND_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            self._working.well()
            self._service.health.ok(jobs=len(self._jobs))

    async def _align(self) -> None:
        try:
            await self._service.redis.xgroup_create(self._held.requests, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _take(self, reader: redis.Client, after: str) -> None:
        count = self._at_once - len(self._jobs) if after == ">" else 2 * self._at_once  # those that we are at come, too
        stream, block = self._held.requests, min(redis.BLOCK_MS, int(TEND_SECONDS * 1_000))
        try:
            reply = await reader.xreadgroup(self._group, self._name, {stream: after}, count=count, block=block) or {}
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
            await self._align()  # the stream was deleted: who still wants an answer asks again
            return
        self._begin(reply.get(stream.encode(), []), new=after == ">")

    async def _tend(self) -> None:
        """Renew what is ours, bring back what is due, take over what a worker that died has left."""
        try:
            await self._held.tend(self._jobs)
            free = self._at_once - len(self._jobs)
            if free:
                self._scan, entries, *_ = await self._service.redis.xautoclaim(
                    self._held.requests, self._group, self._name, LEASE_MS, self._scan, count=free
                )
                self._begin(entries)
        except ResponseError as error:
            if "NOGROUP" not in str(error) and "no such key" not in str(error):
                raise
            await self._align()

    def _begin(self, entries: list[Entry], *, new: bool = False) -> None:
        """`new`: nobody was given them before, so that nobody has to be asked how often that was."""
        for entry in entries:
            if len(self._jobs) >= self._at_once:
                return  # it is delivered again
            if entry[0] not in self._jobs and entry[1]:  # nothing in it: it was cut from the stream meanwhile
                self._jobs[entry[0]] = entry, asyncio.create_task(self._one(entry, new), name="job")
                if new:
                    asked_ms = int(entry[0].partition(b"-")[0])
                    self._waited.observe(max(0, self._service.clock.now_ms - asked_ms) / 1_000)

    def _reap(self) -> None:
        for entry_id, (_, task) in list(self._jobs.items()):
            if task.done():
                del self._jobs[entry_id]
                task.result()

    async def _leave(self) -> None:
        """Let what goes on end, and give back the rest."""
        if self._jobs:
            await asyncio.wait([task for _, task in self._jobs.values()], timeout=STOP_SECONDS)
        left = [entry for entry, task in self._jobs.values() if not task.done()]
        for ended in await end(*(task for _, task in self._jobs.values())):
            if isinstance(ended, Exception) and not isinstance(ended, redis.TROUBLE):
                raise ended
        with contextlib.suppress(*redis.TROUBLE):  # then another takes them over
            async with asyncio.timeout(1.0):
                for entry in left:
                    await self._held.defer(entry, attempts_at(entry), 0)
                await self._held.tend((), gone=self._name)

    async def _one(self, entry: Entry, new: bool) -> None:
        """Do one job, whatever comes of it."""
        deliveries = 1 if new else await self._surely(lambda: self._deliveries(entry[0]))
        attempt = attempts_at(entry) + deliveries
        try:
            done = await self._attempt(entry, attempt)
        except BadEntry as error:
            later = isinstance(error, TooNew)  # a worker of the newer version may have it
            await self._failed(entry, attempt if later else ATTEMPTS, error)
        except Exception as error:
            await self._failed(entry, attempt, error)
        else:
            await self._ended(entry, "done", msgspec.Raw(msgspec.json.encode(done)), self._keep_ms(done))

    async def _attempt(self, entry: Entry, attempt: int) -> Any:
        fields = entry[1]
        if attempt > ATTEMPTS:
            raise BadEntry(f"{attempt - 1} workers were given it, and none came back")
        job = self._family.decode(fields.get(b"type", b""), fields.get(b"data", b""), fields.get(b"v", b"1"))
        if job is None or not name_of(entry):
            raise BadEntry(f"no job that is known here: {fields.get(b'type', b'')[:80]!r}")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._silence) as limit:
                return await self._do(job, lambda: limit.reschedule(loop.time() + self._silence))
        except TimeoutError as error:
            if limit.expired():
                raise TimeoutError(f"nothing came of it within {self._silence:g} s") from error
            raise

    async def _failed(self, entry: Entry, attempt: int, error: Exception) -> None:
        log = self._service.log
        log.warning("job_failed", id=entry[0].decode(), attempt=attempt, error=repr(error))
        if attempt < ATTEMPTS:
            delay_ms = min(RETRY_MS * 2 ** (attempt - 1), LONGEST_RETRY_MS)
            await self._surely(lambda: self._held.defer(entry, attempt, delay_ms))
        elif await self._ended(entry, "failed", error, self._failed_ms):
            DEAD.labels(self._held.requests).inc()
            log.error("job_dead", id=entry[0].decode(), error=repr(error))

    async def _ended(self, entry: Entry, status: str, came: Any, keep_ms: int) -> bool:
        now_ms = self._service.clock.now_ms
        error = came if isinstance(came, Exception) else None
        if error is not None:
            answer = Answer(status="failed", error=str(error) or type(error).__name__, time_ms=now_ms)
        else:
            answer = Answer(status="done", data=came, time_ms=now_ms)
        told = None if self._tell is None else self._tell(name_of(entry), status)
        return await self._surely(lambda: self._held.end(entry, answer, keep_ms, told, error))

    async def _deliveries(self, entry_id: bytes) -> int:
        """How many workers were given this entry, we included."""
        found = await self._service.redis.xpending_range(self._held.requests, self._group, entry_id, entry_id, 1)
        return int(found[0]["times_delivered"]) if found else 1

    async def _surely(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What Redis answers about a job that we hold, waited for as long as that takes: it stays ours meanwhile."""
        while True:
            try:
                answer = await ask()
            except redis.TROUBLE as error:
                if self._service.stopping.is_set():
                    raise
                await self._trouble.wait_out(error)
            else:
                self._trouble.ended()
                return answer

"""The smallest fold that shows whether each entry counts exactly once, and what it takes to run it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from redis.exceptions import ResponseError

from shared import domains, redis, settings
from shared.bus import Producer
from shared.clock import Moment
from shared.consumer import Consumer
from shared.errors import StreamGap
from shared.events.base import Event, Family, entry_fields
from shared.fold import Changes, Wiring
from shared.keys import Keys
from shared.lease import Lease
from shared.service import Service
from shared.tasks import end

KEYS = Keys("regtest")


class Begun(Event, frozen=True, kw_only=True, gc=False):
    TYPE: ClassVar[str] = "begun"

    upon: str = "anything"  # what it can be applied to: "nothing" or "no gap" (an empty ledger alone), "never"


class Counted(Event, frozen=True, kw_only=True, gc=False):
    TYPE: ClassVar[str] = "counted"

    number: int


class Noted(Event, frozen=True, kw_only=True, gc=False):
    TYPE: ClassVar[str] = "noted"

    total: int


FAMILY = Family(Begun, Counted)

WIRING = replace(Wiring.of(domains.CHAIN, KEYS), family=FAMILY, derived_keep=1_000_000, beginning=b"begun")

WITH_INBOX = replace(WIRING, inbox=KEYS.stream(domains.BACKFILL), inbox_family=FAMILY)

POISON = -666
CONTRADICTION = -667
UNWRITABLE = -668
UNPACKABLE = -669


class Ledger:
    """Adds numbers up. Redis is told by increments: whatever is committed twice shows."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._new: list[int] = []
        self._anew = False
        self.restores = 0
        self.resets = 0
        self.broken = ""  # why nothing can be written, whatever comes

    async def restore(self, client: redis.Client) -> None:
        self.restores += 1
        self.numbers = [int(raw) for raw in await client.lrange(KEYS.state(domains.CHAIN), 0, -1)]
        self._new, self._anew = [], False

    def reset(self) -> None:
        self.numbers, self._new, self._anew = [], [], False
        self.resets += 1

    def apply(self, event: Event) -> None:
        match event:
            case Counted(number=number) if number == POISON:
                raise ValueError("an event that this fold cannot take")
            case Counted(number=number) if number == CONTRADICTION:
                raise StreamGap("an event that contradicts the state")
            case Counted(number=number):
                self.numbers.append(number)
                self._new.append(number)
            case Begun(upon=upon):
                if upon == "never" or (upon == "nothing" and self.numbers):
                    raise ValueError("a beginning that does not fit")
                if upon == "no gap" and self.numbers:
                    raise StreamGap("a beginning that contradicts the state")
                self.reset()
                self._anew = True

    def flush(self, now: Moment) -> Changes:
        changes = Changes()
        if self._anew:
            changes.commands.add("DEL", KEYS.state(domains.CHAIN))
            changes.commands.add("DEL", KEYS.views(domains.CHAIN))
        if self.broken:
            raise ArithmeticError(self.broken)
        for number in self._new:
            if number == UNWRITABLE:
                raise OverflowError("a number that no record holds")
            if number == UNPACKABLE:
                changes.commands.add("HSET", KEYS.views(domains.CHAIN), "x", None)  # type: ignore[arg-type]  # on purpose
            changes.commands.add("RPUSH", KEYS.state(domains.CHAIN), number)
            changes.commands.add("HINCRBY", KEYS.views(domains.CHAIN), "sum", number)
            changes.events.append(Noted(total=number))
        self._new, self._anew = [], False
        return changes

    def due_ms(self, now: Moment) -> int | None:
        return None


def service(url: str, name: str = "ledger", **env: str) -> Service:
    """A service as its main would make it, on this server."""
    config = settings.load({"REDIS_URL": url, "BITCOIN_NETWORK": "regtest", **env}, Path("no-such-folder"))
    return Service(name, config)


@contextlib.asynccontextmanager
async def running(
    url: str, run: Callable[[Service], Awaitable[None]], name: str = "ledger", **env: str
) -> AsyncIterator[Service]:
    """Run a service's `run` beside the test; stopped as by a signal at the end, which must not take long."""
    it = service(url, name, **env)
    task = asyncio.ensure_future(run(it))
    try:
        yield it
        it.stopping.set()
        await asyncio.wait_for(task, 8)
    finally:
        [ended] = await end(task)
        if isinstance(ended, Exception):
            print(f"{name} ended with {ended!r}")
        await it.close()


def fold(ledger: Ledger, wiring: Wiring = WIRING) -> Callable[[Service], Awaitable[None]]:
    """A `run` that folds the ledger's stream."""

    async def run(it: Service) -> None:
        await Consumer(it, wiring, ledger).run()

    return run


async def send(client: redis.Client, numbers: list[int]) -> None:
    """Put numbers into the inbox."""
    for number in numbers:
        flat = list(entry_fields(Counted(number=number), 0))
        await client.xadd(KEYS.stream(domains.BACKFILL), dict(zip(flat[::2], flat[1::2], strict=True)))


async def producer(client: redis.Client) -> Producer:
    """The producer of the ledger's stream, loaded; it takes the lease from whoever has it."""
    lease = Lease(client, KEYS.lease("chain", "writer"), KEYS.fence("chain", "writer"))
    for _ in range(100):
        await client.delete(lease.key)
        if await lease.try_acquire():
            break  # else somebody else took it between our deletion and our grasp
    else:
        raise AssertionError("the lease is never ours")
    made = Producer(client, lease, KEYS.stream(domains.BLOCKS), KEYS.producer(domains.BLOCKS), KEYS.confirmed("chain"))
    await made.load()
    return made


def counted(numbers: range | list[int]) -> list[Event]:
    return [Counted(number=number) for number in numbers]


async def sequence(client: redis.Client, stream: str) -> list[int]:
    """`seq` of every entry, in order."""
    return [int(fields[b"seq"]) for _, fields in await client.xrange(stream)]


async def folded(client: redis.Client) -> list[int]:
    """The numbers that the state in Redis holds."""
    return [int(raw) for raw in await client.lrange(KEYS.state(domains.CHAIN), 0, -1)]


async def total(client: redis.Client) -> int:
    """The sum that the increments made."""
    return int(await client.hget(KEYS.views(domains.CHAIN), "sum") or 0)


async def pending(client: redis.Client, group: str = "ledger") -> int:
    """Entries delivered but not acknowledged."""
    try:
        found: dict[Any, Any] = await client.xpending(KEYS.stream(domains.BLOCKS), group)
    except ResponseError:
        return 0
    return int(found["pending"])

"""Jobs that go well, fail, hang or take long, and a worker that does them, also as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from shared import redis
from shared.events.base import Event, Family
from shared.jobs import Jobs
from shared.keys import Keys
from shared.service import Service
from shared.work import Alive, Worker
from support.ledger import service

KEYS = Keys("regtest")
DOMAIN = "explorer"
STARTED = "{regtest:explorer}:test-started"
CHANGES = "{regtest:explorer}:test-changes"


class Wanted(Event, frozen=True, kw_only=True, gc=False):
    TYPE: ClassVar[str] = "wanted"

    number: int
    how: str = "well"


class Ended(Event, frozen=True, kw_only=True, gc=False):
    TYPE: ClassVar[str] = "lookup.done"

    key: str
    status: str


FAMILY = Family(Wanted)


class Labour:
    """Counts in Redis how often each job was begun, and how many went on at the same time at most."""

    def __init__(self, client: redis.Client) -> None:
        self._client = client
        self.running = self.most = 0

    async def do(self, job: Event, alive: Alive) -> Any:
        assert isinstance(job, Wanted)
        times = await self._client.hincrby(STARTED, job.number, 1)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            match job.how:
                case "fails":
                    raise ValueError("a job that nobody can do")
                case "fails twice" if times < 3:
                    raise ConnectionError("the source is away")
                case "hangs once" if times == 1:
                    await asyncio.sleep(3_600)
                case "hangs":
                    await asyncio.sleep(3_600)
                case "slowly":
                    for _ in range(30):
                        await asyncio.sleep(0.1)
                        alive()
                case _:
                    await asyncio.sleep(0.01)
        finally:
            self.running -= 1
        return {"twice": 2 * job.number}


def work(**options: Any) -> Callable[[Service], Awaitable[None]]:
    """A `run` that does such jobs."""

    async def run(it: Service) -> None:
        labour = options.pop("labour", None) or Labour(it.redis)
        tell = {"changes": CHANGES, "tell": lambda key, status: Ended(key=key, status=status)}
        await Worker(it, DOMAIN, FAMILY, labour.do, **{**tell, **options}).run()

    return run


def jobs(client: redis.Client) -> Jobs:
    """Where one asks for them."""
    return Jobs(client, KEYS, DOMAIN)


async def _main(url: str) -> None:
    it = service(url, "explorer", INSTANCE="process")
    await work()(it)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))

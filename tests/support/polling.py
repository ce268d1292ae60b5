"""Sources that count, and a poller that publishes what they say, also as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from shared import domains, redis
from shared.errors import DashboardError
from shared.fold import Changes
from shared.poller import Polled, Poller
from shared.service import Service
from support.ledger import KEYS, Counted, service


class Counting:
    """Says the next number each time. Redis is told by increments: whatever is committed twice shows."""

    def __init__(self) -> None:
        self.number = self.polls = self.restores = 0
        self.fails = ""
        self.hangs = False
        self.silent = False
        self.amiss = ""

    async def restore(self, client: redis.Client) -> None:
        self.restores += 1
        self.number = int(await client.hget(KEYS.state(domains.CHAIN), "number") or 0)

    async def poll(self) -> Polled:
        self.polls += 1
        if self.hangs:
            await asyncio.sleep(3_600)
        if self.fails:
            raise DashboardError(self.fails)
        if self.silent:
            return Polled(source="a counter")
        self.number += 1
        changes = Changes(views=KEYS.views(domains.CHAIN))
        changes.commands.add("HSET", KEYS.state(domains.CHAIN), "number", self.number)
        changes.commands.add("HINCRBY", KEYS.views(domains.CHAIN), "sum", self.number)
        changes.events.append(Counted(number=self.number))
        return Polled(changes, "a counter", self.amiss)


def poll(
    sources: Counting, every: float = 0.02, limit: float = 5, keep: int = 1_000
) -> Callable[[Service], Coroutine[Any, Any, None]]:
    """A `run` that asks them."""

    async def run(it: Service) -> None:
        await Poller(
            it,
            "chain",
            KEYS.stream(domains.BLOCKS),
            KEYS.producer(domains.BLOCKS),
            sources,
            every=every,
            limit=limit,
            keep=keep,
        ).run()

    return run


if __name__ == "__main__":
    asyncio.run(poll(Counting())(service(sys.argv[1], "counter", INSTANCE="process")))

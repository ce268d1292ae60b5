"""One web and two: pages a second, and how long an event takes to the last of many clients."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Final

import aiohttp

from bench.clients_load import Reader
from bench.figures import Figure
from bench.http_load import wrk
from local_run.ports import pick
from shared.tasks import end
from support.spending import Built, send
from support.stack import Stack, until

PAGE: Final = "/"
CLIENTS: Final = 1_000
EVENTS: Final = 20
"""Transactions sent to them, one after the other: `transactions` has as many for each number of webs."""


async def measure(stack: Stack, transactions: list[Built]) -> list[Figure]:
    """Both webs, the client and everything else share this machine's cores: figures of two show what it has left."""
    figures: list[Figure] = []
    listening = [stack.web_port]
    for webs in (1, 2):
        if webs == 2:
            listening.append(await _second(stack))
        rates = await asyncio.gather(*(wrk(f"http://127.0.0.1:{port}{PAGE}", 16) for port in listening))
        mine = transactions[(webs - 1) * EVENTS : webs * EVENTS]
        slowest = await _told(stack, listening, mine)
        whole = f"{webs} web{'s' * (webs > 1)}"
        figures += [
            Figure(f"{PAGE} of {whole}", sum(rate for rate, _ in rates), "requests/s"),
            Figure(f"event to the last of {CLIENTS:,} clients of {whole}, p50", statistics.median(slowest), "ms"),
            Figure(f"event to the last of {CLIENTS:,} clients of {whole}, slowest", max(slowest), "ms"),
        ]
    return figures


async def _second(stack: Stack) -> int:
    port, operators = pick(2)
    await stack.start("web-2", WEB_PORT=str(port), ADMIN_PORT=str(operators))

    async def serves() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    await until(serves, 30, "the second web answers")
    return port


async def _told(stack: Stack, listening: list[int], transactions: list[Built]) -> list[float]:
    """Milliseconds from sending each transaction until every client has got something of it."""
    opened = asyncio.Semaphore(50)
    readers = [Reader() for _ in range(CLIENTS)]
    path = "/api/v1/events?streams=txs"
    tasks = [
        asyncio.create_task(one.run(listening[place % len(listening)], path, opened))
        for place, one in enumerate(readers)
    ]
    try:

        async def greeted() -> bool:
            return min(one.received for one in readers) > 0

        await until(greeted, 60, "every client was sent something")

        async def told() -> bool:
            return all(reader.first is not None for reader in readers)

        slowest = []
        for one in transactions:
            for reader in readers:
                reader.first = None
            began = time.perf_counter()
            await send(stack.node, [one])
            await until(told, 30, "every client was told of a transaction")
            slowest.append(max(reader.first or 0.0 for reader in readers) * 1_000 - began * 1_000)
            await asyncio.sleep(0.2)  # what follows of it is another's
        return slowest
    finally:
        await end(*tasks)

"""What a web costs by clients of its streams, while transactions flow: `python tests/bench/clients_load.py`.

Processor time, memory and bytes for one client more, from runs with more and more of them. For docs/scale.md.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared import domains
from shared.tasks import end
from support.spending import Built, build, fan_out, mined_coins, send
from support.stack import Stack, until

RATE = 7.0
"""Transactions a second, as on mainnet."""

SECONDS = 20.0
CLIENTS = (0, 500, 1_000, 2_000)
PATHS = (
    "/live?pages=overview&currency=USD&language=en",
    "/api/v1/events?streams=blocks,fees,metrics,prices",
    "/api/v1/events?streams=txs",
)


@dataclass
class Reader:
    """One client: reads and counts."""

    received: int = 0
    first: float | None = None
    """When something came first since this was None, by the clock of `time.perf_counter`."""

    async def run(self, port: int, path: str, opened: asyncio.Semaphore) -> None:
        """Read until cancelled."""
        async with opened:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())
            await reader.read(64)
        while part := await reader.read(65_536):
            self.received += len(part)
            self.first = self.first or time.perf_counter()


async def flow(stack: Stack, transactions: list[Built]) -> None:
    """Send at RATE for SECONDS."""
    began = time.monotonic()
    for number, one in enumerate(transactions[: int(RATE * SECONDS)]):
        await send(stack.node, [one])
        await asyncio.sleep(max(0.0, began + (number + 1) / RATE - time.monotonic()))


async def measure(stack: Stack, path: str, count: int, transactions: list[Built]) -> tuple[float, float, float]:
    """Per cent of a core, resident MB, and bytes a second for each client."""
    opened = asyncio.Semaphore(50)
    readers = [Reader() for _ in range(count)]
    tasks = [asyncio.create_task(one.run(stack.web_port, path, opened)) for one in readers]

    async def greeted() -> bool:
        return not any(not one.received for one in readers)

    await until(greeted, 60, "every client was sent something")
    await asyncio.sleep(1)  # what is sent at the beginning is no cost of staying
    web = psutil.Process(stack.pid("web"))
    before, got = web.cpu_times(), sum(one.received for one in readers)
    began = time.monotonic()
    await flow(stack, transactions)
    took = time.monotonic() - began
    after = web.cpu_times()
    bytes_each = (sum(one.received for one in readers) - got) / count / took if count else 0.0
    memory = web.memory_info().rss / 2**20
    await end(*tasks)
    return 100 * (after.user + after.system - before.user - before.system) / took, memory, bytes_each


async def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        async with Stack(Path(folder)) as stack:
            stack.extra_env["LOG_LEVEL"] = "info"
            runs = len(PATHS) * len(CLIENTS)
            coins = await fan_out(stack.node, await mined_coins(stack.node, 1), int(RATE * SECONDS + 1) * runs)
            spends = [build([coin], [coin.value - 1_000]) for coin in coins]
            await stack.start()
            await stack.synced(60)
            await stack.serves()
            print(f"{'path':<52}{'clients':>8}{'% of a core':>13}{'MB':>7}{'bytes/s each':>14}", flush=True)
            for path in PATHS:
                for count in CLIENTS:
                    mine, spends = spends[: int(RATE * SECONDS)], spends[int(RATE * SECONDS) :]
                    core, memory, each = await measure(stack, path, count, mine)
                    print(f"{path:<52}{count:>8}{core:>13.1f}{memory:>7.0f}{each:>14.0f}", flush=True)
            stream = stack.keys.stream(domains.TXS)
            entries, size = await stack.redis.xlen(stream), await stack.redis.memory_usage(stream, samples=0)
            print(f"{stream}: {entries} entries, {size / entries:.0f} bytes each (MEMORY USAGE)")


if __name__ == "__main__":
    asyncio.run(main())

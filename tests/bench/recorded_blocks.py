"""What one backfill worker makes of real blocks of mainnet, where the node costs nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from bench.figures import Figure
from local_run import child
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.keys import Keys
from support.recorded_node import RecordedNode, recorded
from support.standin_history import StandInHistory

TIMES = 60


async def measure(folder: Path) -> list[Figure]:
    """Blocks a second of a worker as a process of its own; nothing where no blocks are beside the checkout."""
    blocks = recorded()
    if not blocks:
        sys.stdout.write("no recorded blocks of mainnet beside the checkout (shared/data/blocks): left out\n")
        return []
    async with EmbeddedValkey(folder) as valkey, RecordedNode(blocks, TIMES) as node:
        client = redis.connect(valkey.url)
        try:
            history = StandInHistory(client, node, Keys("regtest"))
            await history.begin()
            kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
            env = {
                **kept, **node.env(), "REDIS_URL": valkey.url, "ENV_DIR": str(folder / "no-env"), "BACKFILL_LOAD": "100"
            }  # fmt: skip
            worker = await child.start([sys.executable, "-m", "chain_ingest.backfill"], env=env)
            try:
                seconds, count = await _rate(history)
            finally:
                await child.stop(worker, grace=10)
        finally:
            await client.aclose()
    size = sum(map(len, blocks)) / len(blocks)
    rate = count / seconds
    name = (
        f"backfill of {count} real blocks ({size / 1e6:.2f} MB each on average), one worker, a node that costs nothing"
    )
    return [Figure(name, rate, "blocks/s"), Figure("the same in bytes", rate * size / 1e6, "MB/s")]


async def _rate(history: StandInHistory) -> tuple[float, int]:
    """Seconds from the first blocks that came to the last, and how many came meanwhile."""
    began, before = 0.0, 0
    deadline = time.monotonic() + 300
    while not history.complete:
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(history.missing)} blocks are missing after 300 s")
        await history.fold()
        if not began and history.measured:
            began, before = time.perf_counter(), len(history.measured)
        await asyncio.sleep(0.005)
    return time.perf_counter() - began, len(history.measured) - before

"""What one backfill worker makes of real blocks of mainnet, where the node costs nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import psutil

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
                seconds, count, cpu = await _rate(history, psutil.Process(worker.pid))
            finally:
                await child.stop(worker, grace=10)
        finally:
            await client.aclose()
    size = sum(map(len, blocks)) / len(blocks)
    rate = count / seconds
    name = (
        f"backfill of {count} real blocks ({size / 1e6:.2f} MB each on average), one worker, a node that costs nothing"
    )
    return [
        Figure(name, rate, "blocks/s"),
        Figure("the same in bytes", rate * size / 1e6, "MB/s"),
        Figure("the worker's processor time for one of them", 1000 * cpu / count, "ms"),
    ]


async def _rate(history: StandInHistory, worker: psutil.Process) -> tuple[float, int, float]:
    """From the first blocks to the last: seconds, how many came, the worker's processor time in seconds."""
    began = cpu = 0.0
    before = 0
    deadline = time.monotonic() + 300
    while not history.complete:
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(history.missing)} blocks are missing after 300 s")
        await history.fold()
        if not began and history.measured:
            began, before, cpu = time.perf_counter(), len(history.measured), _cpu(worker)
        await asyncio.sleep(0.005)
    return time.perf_counter() - began, len(history.measured) - before, _cpu(worker) - cpu


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)

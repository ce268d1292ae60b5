"""`make bench`: everything is measured on real parts in one run, each figure beside a baseline of the same run.

Prints a table and writes bench-TIME.json. Needs wrk for web and explorer (apt-get install wrk).
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import (
    busy_address,
    explorer_load,
    full_block,
    history_load,
    http_load,
    latency,
    market_load,
    mempool_load,
    recorded_blocks,
    web_replicas,
)
from bench.figures import Figure, table, write
from support.spending import build, fan_out, mined_coins
from support.stack import SERVICES, Stack, memory

PARTS = ("latency", "size", "mempool", "web", "webs", "history", "blocks", "market", "explorer", "busy")
OF_THE_STACK = ("latency", "size", "mempool", "web", "webs")
MEMORY_TARGET = 120.0
"""Megabytes a service."""


async def _run(only: set[str], folder: Path) -> list[Figure]:
    def wanted(part: str) -> bool:
        return not only or part in only

    figures: list[Figure] = []
    if wanted("history"):
        (folder / "history").mkdir()
        figures += await history_load.backfill(folder / "history")
        figures += await history_load.million(folder / "million")
    if wanted("market"):
        figures += await market_load.measure(folder / "market")
    if wanted("explorer"):
        figures += await explorer_load.measure(folder / "explorer")
    if "busy" in only:  # takes a minute more: asked for by its name alone
        figures += await busy_address.measure(folder / "busy")
    if wanted("blocks"):
        figures += await recorded_blocks.measure(folder / "recorded")
    if any(map(wanted, OF_THE_STACK)):
        figures += await _of_the_stack(wanted, folder)
    return figures


async def _of_the_stack(wanted: Callable[[str], bool], folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    async with Stack(folder) as stack:
        stack.extra_env["LOG_LEVEL"] = "info"
        # a coin for each chain of the burst and for each measured transaction
        coins = await fan_out(stack.node, await mined_coins(stack.node, 4), 500)
        await stack.start()
        await stack.synced()
        await stack.serves()
        if wanted("latency"):
            figures += await latency.measure(stack, coins[1_000:])
        if wanted("mempool"):
            figures += await mempool_load.burst(stack, coins)
            figures += await mempool_load.fold_rate(stack)
            figures += await mempool_load.cold_start(stack)
        if wanted("web"):
            if shutil.which("wrk") is None:
                raise SystemExit("wrk is not installed: expected it for the web part (apt-get install wrk)")
            figures += await http_load.measure(stack, folder)
        if wanted("webs"):
            spends = [build([coin], [coin.value - 1_000]) for coin in coins[-2 * web_replicas.EVENTS :]]
            figures += await web_replicas.measure(stack, spends)
        for name in filter(stack.runs, SERVICES):
            figures.append(Figure(f"memory of {name}", memory(stack.pid(name)) / 1e6, "MB", MEMORY_TARGET))
        if wanted("size"):
            figures += await full_block.measure(stack, coins[1_500 : -2 * web_replicas.EVENTS])
    return figures


def main() -> int:
    """Measure and tell; the exit code says whether it could be measured, not whether targets were reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", help=f"only these parts of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.part) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}: expected {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        figures = asyncio.run(_run(set(arguments.part), Path(folder)))
    path = Path(f"bench-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json")
    write(figures, path)
    sys.stdout.write(f"{table(figures)}\n\nwritten to {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The backfill on regtest, and what a million blocks cost: memory of Redis, time and bytes of the largest page."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bench.figures import Figure, percentile
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.keys import Keys
from shared.views import HistoryView
from support import check, series_samples
from support.spending import chain, fan_out, mine, mined_coins, send
from support.stack import Stack, until
from support.web_harness import serving
from web.app import keep

HEADERS = 40_000
"""Blocks of the regtest chain."""

BUSY = 40
"""Blocks of it that hold transactions."""

BUSY_TRANSACTIONS = 500

MILLION = 1_000_000
MEMORY_TARGET_MB = 300.0
PAGE = "/charts/difficulty?range=all"
FIRST_TARGET_MS, AGAIN_TARGET_MS = 50.0, 5.0
PAGE_TARGET_KB = 150.0
TIMES = 200


async def backfill(folder: Path) -> list[Figure]:
    """Headers and block statistics a second, with nothing held back, on a chain of its own."""
    async with Stack(folder) as stack:
        stack.extra_env["LOG_LEVEL"] = "info"
        node = stack.node
        coins = await fan_out(node, await mined_coins(node, 1), BUSY * BUSY_TRANSACTIONS // 20)
        for start in range(0, HEADERS, 1_000):
            await mine(node, min(1_000, HEADERS - start))
        for place in range(BUSY):
            part = coins[place * BUSY_TRANSACTIONS // 20 : (place + 1) * BUSY_TRANSACTIONS // 20]
            await send(node, [built for coin in part for built in chain(coin, 20, [3, 20, 1.5, 60])])
            await mine(node)
        bare_headers = await _bare_headers(node)
        bare_blocks = await _bare_blocks(node)
        await stack.start(*check.LIVE)
        await stack.synced()
        before = await _history(stack)
        await stack.start("backfill", BACKFILL_LOAD="100")
        headers = await _rate(stack, before.first_header, lambda first, _: before.first_header - first)
        total = await node.rpc("getblockcount") + 1
        blocks = await _rate(stack, total - before.measured, lambda _, measured: measured - before.measured)
        await check.history_complete(stack)
    return [
        Figure(
            f"backfill of {before.first_header:,} headers",
            headers,
            "headers/s",
            baseline=bare_headers,
            baseline_name="headers/s read over REST and dropped",
        ),
        Figure(
            f"backfill of {total - before.measured:,} blocks, one worker, load 100",
            blocks,
            "blocks/s",
            baseline=bare_blocks,
            baseline_name="getblockstats and getblock a second, one after the other, dropped",
        ),
    ]


async def _history(stack: Stack) -> HistoryView:
    async def there() -> HistoryView | None:
        return await stack.view(HistoryView)

    found = await until(there, 30, "chain-history has views")
    assert found is not None
    return found


async def _rate(stack: Stack, count: int, done: Callable[[int, int], int]) -> float:
    """From the first commit that is seen to the last, so that the start of the process does not count.

    `done` is told the lowest header and the blocks measured, as the fold's state has them.
    """
    began, first = 0.0, 0
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        raw = await stack.redis.hget(stack.keys.state(domains.HISTORY), "state")
        floor, _, _, _, measured, *_ = msgspec.msgpack.decode(raw)
        so_far = done(floor, sum(last - begin + 1 for begin, last in measured))
        if so_far and not began:
            began, first = time.perf_counter(), so_far
        if so_far >= count:
            assert count > first, "all of it was there at the first look"
            return (count - first) / (time.perf_counter() - began)
        await asyncio.sleep(0.001)
    raise AssertionError("the backfill does not come to its end")


async def _bare_headers(node: RegtestNode) -> float:
    count, height = 0, 0
    began = time.perf_counter()
    async with aiohttp.ClientSession() as session:
        tip = await node.rpc("getblockcount")
        while height <= tip:
            first = await node.rpc("getblockhash", height)
            async with session.get(f"{node.rpc_url}/rest/headers/2000/{first}.bin") as response:
                count += len(await response.read()) // 80
            height += 2_000
    return count / (time.perf_counter() - began)


async def _bare_blocks(node: RegtestNode, count: int = 400) -> float:
    tip = await node.rpc("getblockcount")
    began = time.perf_counter()
    for height in range(tip, tip - count, -1):
        block_hash = await node.rpc("getblockhash", height)
        await node.rpc("getblockstats", block_hash)
        await node.rpc("getblock", block_hash, 0)
    return count / (time.perf_counter() - began)


async def million(folder: Path) -> list[Figure]:
    """A million generated blocks: memory, then the difficulty page with all of them."""
    async with EmbeddedValkey(folder, extra=["--appendonly", "no", "--save", ""]) as valkey:
        client = redis.connect(valkey.url)
        try:
            empty = (await client.info("memory"))["used_memory"]
            await series_samples.fill(client, Keys("main"), blocks=MILLION)
            used = (await client.info("memory"))["used_memory"] - empty
        finally:
            await client.aclose()
        figures = [
            Figure(f"series of {MILLION:,} blocks in Redis", used / 1e6, "MB", MEMORY_TARGET_MB),
        ]
        async with serving(valkey.url) as site, aiohttp.ClientSession(site.url) as session:
            keep()  # as the service does
            await until_history(site)
            first, again = [], []
            for _ in range(TIMES):
                site.site.state.changes["history"] += 1  # as after an event that says that series changed
                first.append(await _get(session))
                again.append(await _get(session))
            size, parts = await _weight(session)
    name = f"{PAGE} over {MILLION:,} blocks"
    return [
        *figures,
        Figure(f"{name}, from state, p50 of {TIMES}", 1000 * percentile(first, 50), "ms"),
        Figure(f"{name}, from state, p99 of {TIMES}", 1000 * percentile(first, 99), "ms", FIRST_TARGET_MS),
        Figure(f"{name}, again, p99 of {TIMES}", 1000 * percentile(again, 99), "ms", AGAIN_TARGET_MS),
        Figure(f"{name}: bytes with everything ({parts} parts), gzip", size / 1e3, "kB", PAGE_TARGET_KB),
    ]


async def until_history(site: Any) -> None:
    """Wait until web has read the history's views."""

    async def there() -> bool:
        return site.site.state.snapshot[HistoryView] is not None

    await until(there, 10, "web knows the history")


async def _get(session: aiohttp.ClientSession) -> float:
    began = time.perf_counter()
    async with session.get(PAGE) as response:
        await response.read()
        assert response.status == 200
    return time.perf_counter() - began


async def _weight(session: aiohttp.ClientSession) -> tuple[int, int]:
    """Compressed bytes of the page, of everything that it names, and of the data that its script asks for."""
    async with session.get(PAGE) as response:
        html = await response.text()
    found = re.findall(r'(?:src|href)="(/static/[^"]+)"', html)
    paths = [PAGE, *dict.fromkeys(found), "/api/v1/charts/difficulty?range=all"]
    total = 0
    for path in paths:
        async with session.get(path, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as response:
            assert response.status == 200, path
            raw = await response.read()
            packed = response.headers.get("Content-Encoding") == "gzip"
            total += len(raw)
            assert packed or len(raw) <= len(gzip.compress(raw)) + 1_024, f"{path} is not compressed"
    return total, len(paths)

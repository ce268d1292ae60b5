"""Requests a second of web's hottest paths, beside a bare aiohttp handler that returns the same bytes."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import aiohttp

from bench.figures import Figure
from local_run import child
from local_run.ports import pick
from support.stack import Stack

SECONDS = 5
PATHS = ("/", "/api/v1/overview", "/api/v1/fees/recommended")
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


async def wrk(url: str, connections: int) -> tuple[float, float]:
    """Requests a second and p99 in ms."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output = (await process.communicate())[0].decode()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if process.returncode or rate is None or slowest is None or "Non-2xx" in output:
        raise RuntimeError(f"wrk {url}: {output}")
    return float(rate[1]), float(slowest[1]) * _UNITS[slowest[2]]


async def measure(stack: Stack, folder: Path) -> list[Figure]:
    """Both servers run at once, and are loaded one after the other."""
    figures = []
    async with aiohttp.ClientSession() as session:
        for path in PATHS:
            async with session.get(stack.url + path, headers={"Accept-Encoding": "identity"}) as response:
                body, content_type = await response.read(), response.headers["Content-Type"]
            file, port = folder / "body", pick()[0]
            file.write_bytes(body)
            baseline = Path(__file__).with_name("http_baseline.py")
            bare = await child.start(
                [sys.executable, str(baseline), str(file), content_type, str(port)], output=asyncio.subprocess.PIPE
            )
            try:
                assert bare.stdout is not None
                await asyncio.wait_for(bare.stdout.readline(), 10)
                for connections in (1, 16):
                    bare_rate, bare_slowest = await wrk(f"http://127.0.0.1:{port}/", connections)
                    rate, slowest = await wrk(stack.url + path, connections)
                    name = f"{path} ({len(body):,} B), {connections} connection{'s' * (connections > 1)}"
                    figures += [
                        Figure(name, rate, "requests/s", 0.6 * bare_rate, "more", bare_rate, "requests/s bare handler"),
                        Figure(f"{name}, p99", slowest, "ms", baseline=bare_slowest, baseline_name="ms bare handler"),
                    ]
            finally:
                await child.stop(bare, grace=5)
    return figures

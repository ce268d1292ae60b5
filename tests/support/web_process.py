"""Web as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp


@asynccontextmanager
async def process(url: str, port: int, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m web`, killed at the end if it is still there."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "web",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "REDIS_URL": url,
            "WEB_PORT": str(port),
            "ENV_DIR": "/nonexistent",
            "BITCOIN_NETWORK": "main",
            **env,
        },
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def answers(url: str) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            async with aiohttp.ClientSession() as http, http.get(url) as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)

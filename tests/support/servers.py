"""The servers that must all serve: Valkey, Redis 7, Redis 8."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from local_run import child
from local_run.bitcoind import find_redis_8
from local_run.errors import SetupError

KINDS = ("valkey", "redis-7", "redis-8")


async def binary(kind: str) -> Path | None:
    """The program of this kind, None for the Valkey that comes as a package; SetupError says why there is none."""
    if kind == "valkey":
        return None
    if kind == "redis-8":
        return await find_redis_8()
    found = shutil.which("redis-server")
    if found is None:
        raise SetupError("there is no redis-server on the PATH; expected Redis 7")
    process = await child.start([found, "--version"], output=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    version = re.search(rb"v=(\d+)", output)
    if version is None or version[1] != b"7":
        raise SetupError(f"redis-server on the PATH is {output.decode().strip()}; expected Redis 7")
    return Path(found)


async def binary_or_skip(kind: str) -> Path | None:
    """As `binary`; a test that needs one that is not there is skipped."""
    try:
        return await binary(kind)
    except SetupError as error:
        pytest.skip(f"no {kind}: {error}")

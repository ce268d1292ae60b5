"""A service as a process of its own, its log and its end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from local_run import child


class Process:
    """`python -m MODULE ARGUMENTS` with only these variables."""

    def __init__(self, module: str, log: Path, env: dict[str, str], arguments: Sequence[str] = ()) -> None:
        self.module = module
        self.arguments = arguments
        self.path = log
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
        self.env = {**kept, "BITCOIN_NETWORK": "regtest", "ENV_DIR": str(log.parent / "no-env"), **env}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> asyncio.subprocess.Process:
        with self.path.open("ab") as output:
            command = [sys.executable, "-m", self.module, *self.arguments]
            self.process = await child.start(command, env=self.env, output=output)
        return self.process

    @property
    def log(self) -> str:
        return self.path.read_text() if self.path.exists() else ""

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]


@asynccontextmanager
async def started(module: str, log: Path, *, arguments: Sequence[str] = (), **env: str) -> AsyncIterator[Process]:
    it = Process(module, log, env, arguments)
    process = await it.start()
    try:
        yield it
    finally:
        await child.kill(process)


async def ended(it: Process, limit: float) -> int:
    assert it.process is not None
    return await asyncio.wait_for(it.process.wait(), limit)

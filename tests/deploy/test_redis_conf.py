"""The Redis of one machine starts with the file that it is given, lets in whom the list names, and keeps it all."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, OutOfMemoryError

from local_run import child
from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import redis
from support.stack import until

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy/kubernetes/overlays/one-machine/redis.conf"


async def started(folder: Path, port: int) -> asyncio.subprocess.Process:
    """Valkey with that file; only where it is and where its folders are is another."""
    users = folder / "users.acl"
    users.write_text("user web on >secret ~* &* +@all\nuser default off resetpass resetkeys -@all\n")
    text = CONFIGURATION.read_text()
    for name, value in (("port", str(port)), ("dir", str(folder)), ("aclfile", str(users))):
        text, count = re.subn(rf"^{name} .*$", f"{name} {value}", text, flags=re.MULTILINE)
        assert count == 1
    written = folder / "redis.conf"
    written.write_text(f"{text}\nbind 127.0.0.1\n")
    command = [str(EmbeddedValkey(folder).binary), str(written)]
    with open(folder / "log", "ab") as log:  # noqa: ASYNC230 - a local file, opened once
        return await child.start(command, env={}, output=log)


async def test_it_starts_keeps_and_refuses(tmp_path: Path) -> None:
    [port] = pick(1)
    client = redis.connect(f"redis://web:secret@127.0.0.1:{port}/0")
    stranger = redis.connect(f"redis://127.0.0.1:{port}/0")

    async def answers() -> bool:
        try:
            return bool(await client.ping())
        except redis.LOST:
            return False

    process = await started(tmp_path, port)
    try:
        await until(answers, 10, (tmp_path / "log").read_text())
        with pytest.raises(AuthenticationError):
            await stranger.ping()
        assert await redis.eviction(client) == ""
        assert int((await client.info("memory"))["maxmemory"]) == 2 * 2**30
        await client.config_set("appendfsync", "always")  # as if the second had passed
        await client.set("key", b"value")
        await child.kill(process)
        process = await started(tmp_path, port)
        await until(answers, 10, "it comes back")
        assert await client.get("key") == b"value"
        await client.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            await client.set("another", b"value")
        await client.config_set("maxmemory", 0)
        assert await client.get("key") == b"value"
    finally:
        await child.kill(process)
        await client.aclose()
        await stranger.aclose()

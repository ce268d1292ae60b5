"""State as earlier code recorded it: every key of a fold's domain, in a file beside its tests."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec

from shared import redis

Recorded = dict[str, Any]


def read(path: Path) -> Recorded:
    """Values by key: bytes of a string, fields of a hash, a list of the members of a set."""
    recorded: Recorded = msgspec.msgpack.decode(gzip.decompress(path.read_bytes()))
    return recorded


async def write(client: redis.Client, recorded: Recorded) -> None:
    """Into an empty Redis."""
    await client.flushall()
    for key, value in recorded.items():
        if isinstance(value, dict):
            await client.hset(key, mapping=value)
        elif isinstance(value, list):
            await client.sadd(key, *value)
        else:
            await client.set(key, value)


async def dumped(client: redis.Client, domain: str) -> Recorded:
    """What is there now, of the keys that begin so."""
    found: Recorded = {}
    async for raw in client.scan_iter(match=f"{domain}*"):
        kind = await client.type(raw)
        if kind == b"string":
            found[raw.decode()] = await client.get(raw)
        elif kind == b"hash":
            found[raw.decode()] = await client.hgetall(raw)
        elif kind == b"set":
            found[raw.decode()] = sorted(await client.smembers(raw))
    return {key: value for key, value in found.items() if "lease" not in key and "fence" not in key}

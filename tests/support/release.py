"""A release as it was left: its chain, its mempool, and everything that it had in Redis; recorded, and set up again.

`PYTHONPATH=tests python -m support.release` records what the checkout's own code leaves; see docs/upgrading.md.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from local_run.node import RegtestNode
from shared import domains, redis
from shared.keys import Keys
from support.spending import OTHER_SCRIPT, chain, fan_out, mine, mined_coins
from support.stack import CHAIN, Stack, until

ROOT: Final = Path(__file__).parents[2]
RECORDED: Final = ROOT / "tests/upgrade/recorded/release.msgpack.gz"

FOREVER: Final = ("-mempoolexpiry=8760000", "-maxtipage=8760000000")
"""Hours and seconds: what was recorded is not too old for the node, however long ago that was."""

SERVICES: Final = (*CHAIN, "explorer")
"""What is recorded: all that follows the node. What others say is asked again anyway."""


class Stream(msgspec.Struct, frozen=True):
    """A stream with the groups that read it."""

    entries: list[tuple[bytes, dict[bytes, bytes]]]
    last: bytes
    added: int
    groups: list[tuple[bytes, bytes]]  # name, id of what was delivered last


class Release(msgspec.Struct, frozen=True):
    """What a release left."""

    commit: str
    blocks: list[str]  # hexadecimal, upwards from height 1
    waiting: list[tuple[int, str]]  # Unix second and hexadecimal, parents first
    values: dict[str, bytes]
    hashes: dict[str, dict[bytes, bytes]]
    sets: dict[str, list[bytes]]
    sorted_sets: dict[str, list[tuple[bytes, float]]]
    lists: dict[str, list[bytes]]
    streams: dict[str, Stream]


def load() -> Release:
    """The one that is kept in the repository."""
    return msgspec.msgpack.decode(gzip.decompress(RECORDED.read_bytes()), type=Release)


# --- the code ------------------------------------------------------------------------------------------


def code_of(commit: str, folder: Path) -> str | None:
    """Unpack a commit's packages; returns PYTHONPATH with them, or None where the history is not there."""
    packed = subprocess.run(
        ["git", "-C", ROOT, "archive", "--format=tar", commit, "shared", "services"], capture_output=True, check=False
    )
    if packed.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return ":".join(str(path) for path in [folder / "shared/src", *sorted(folder.glob("services/*/src"))])


# --- the node ------------------------------------------------------------------------------------------


async def fill(node: RegtestNode, release: Release) -> None:
    """Give a new node the chain and the mempool, each transaction at its second."""
    for block in release.blocks:
        await node.rpc("submitblock", block)
    for second, raw in release.waiting:
        await node.rpc("setmocktime", second)
        await node.rpc("sendrawtransaction", raw, 0)
    await node.rpc("setmocktime", 0)


async def _chain(node: RegtestNode) -> list[str]:
    height = await node.rpc("getblockcount")
    return [await node.rpc("getblock", await node.rpc("getblockhash", one), 0) for one in range(1, height + 1)]


async def _waiting(node: RegtestNode) -> list[tuple[int, str]]:
    entries = await node.rpc("getrawmempool", True)
    ordered = sorted(entries, key=lambda txid: (entries[txid]["time"], entries[txid]["ancestorcount"]))
    return [(entries[txid]["time"], await node.rpc("getrawtransaction", txid)) for txid in ordered]


# --- Redis ---------------------------------------------------------------------------------------------


async def restore(client: redis.Client, release: Release) -> None:
    """Put everything into an empty server."""
    for key, value in release.values.items():
        await client.set(key, value)
    for key, fields in release.hashes.items():
        await client.hset(key, mapping=fields)
    for key, members in release.sets.items():
        await client.sadd(key, *members)
    for key, pairs in release.sorted_sets.items():
        await client.zadd(key, dict(pairs))
    for key, items in release.lists.items():
        await client.rpush(key, *items)
    for key, stream in release.streams.items():
        for entry, fields in stream.entries:
            await client.xadd(key, fields, id=entry)
        if not stream.entries:
            await client.xadd(key, {"": ""}, id="0-1")
            await client.xtrim(key, maxlen=0, approximate=False)
        await client.execute_command("XSETID", key, stream.last, "ENTRIESADDED", stream.added)
        for name, delivered in stream.groups:
            await client.xgroup_create(key, name, id=delivered)


async def _kept(client: redis.Client, commit: str, blocks: list[str], waiting: list[tuple[int, str]]) -> Release:
    """Everything but what ends by itself (leases, answers, heartbeats)."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in ("string", "hash", "set", "zset", "list", "stream")}
    health = Keys("regtest").health
    async for raw in client.scan_iter(count=1_000):
        key = raw.decode()
        kind = (await client.type(key)).decode()
        if await client.ttl(key) >= 0 or key == health or kind == "none":
            continue
        found[kind][key] = await _READ[kind](client, key)
    strings, hashes, sets, zsets, lists, streams = found.values()
    return Release(commit, blocks, waiting, strings, hashes, sets, zsets, lists, streams)


async def _stream(client: redis.Client, key: str) -> Stream:
    info = await client.xinfo_stream(key)
    groups = [(group["name"], group["last-delivered-id"]) for group in await client.xinfo_groups(key)]
    return Stream(await client.xrange(key), info["last-generated-id"], info["entries-added"], groups)


_READ: Final[dict[str, Any]] = {
    "string": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "set": lambda client, key: _sorted(client.smembers(key)),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "stream": _stream,
}


async def _sorted(members: Any) -> list[bytes]:
    return sorted(await members)


# --- recording -----------------------------------------------------------------------------------------


async def record(folder: Path, commit: str) -> Release:
    """Run all services over a chain with traffic, a reorganisation and replacements; returns what they leave."""
    async with Stack(folder, node=RegtestNode(folder / "node", extra=FOREVER)) as stack:
        node = stack.node
        coins = await fan_out(node, await mined_coins(node, 1), 120)
        await stack.start(*SERVICES, BACKFILL_LOAD="100")
        await stack.synced()
        for place in range(0, 60, 10):
            await _send(node, coins[place : place + 10])
            await stack.synced()
            await mine(node)
        undone = await node.rpc("getblockhash", await node.rpc("getblockcount") - 1)
        await node.rpc("invalidateblock", undone)
        await mine(node, 3, script=OTHER_SCRIPT)
        await stack.synced()
        await _send(node, coins[60:100])
        await stack.synced()
        await until(lambda: _settled(stack), 60, "everything is folded")
        blocks, waiting = await _chain(node), await _waiting(node)
        await stack.stop_services()
        return await _kept(stack.redis, commit, blocks, waiting)


async def _send(node: RegtestNode, coins: Sequence[Any]) -> None:
    for coin in coins:
        for built in chain(coin, 3, [3, 20, 1.5]):
            await node.rpc("sendrawtransaction", built.raw, 0)


async def _settled(stack: Stack) -> bool:
    from support import check

    await check.history_complete(stack)
    raw = await stack.redis.hget(stack.keys.views(domains.TIMELINE), "timeline")
    return raw is not None


def main() -> None:
    """Record the checkout's own code."""
    commit = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        release = asyncio.run(record(Path(folder), commit))
    RECORDED.parent.mkdir(parents=True, exist_ok=True)
    RECORDED.write_bytes(gzip.compress(msgspec.msgpack.encode(release), mtime=0))
    print(
        f"{RECORDED.relative_to(ROOT)}: {commit[:12]}, {len(release.blocks)} blocks, {RECORDED.stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    main()

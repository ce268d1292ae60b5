"""Asks Redis about itself and the streams, for the status page: version, memory, lengths, lag, dead letters."""

from __future__ import annotations

from typing import Any, Final

from redis.exceptions import ResponseError

from shared.keys import Keys
from web.cursor import EntryId
from web.snapshot import Group, RedisReport, StreamReport

DOMAINS: Final = ("chain", "mempool")
"""Domains that may have dead letters."""


async def take(redis: Any, keys: Keys) -> tuple[RedisReport, tuple[StreamReport, ...], dict[str, int]]:
    """One round trip. A stream that does not exist yet counts as empty."""
    streams = keys.streams()
    pipeline = redis.pipeline(transaction=False)
    pipeline.info("server")
    pipeline.info("memory")
    for domain in DOMAINS:
        pipeline.xlen(keys.dead(domain))
    for key in streams.values():
        pipeline.xinfo_stream(key)
        pipeline.xinfo_groups(key)
    replies = await pipeline.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
            raise reply
    server, memory, *rest = replies
    dead = {domain: _number(reply) for domain, reply in zip(DOMAINS, rest, strict=False)}
    pairs = rest[len(DOMAINS) :]
    reports = tuple(
        _stream(name, key, pairs[2 * index], pairs[2 * index + 1]) for index, (name, key) in enumerate(streams.items())
    )
    return _redis(server, memory), reports, dead


def _stream(name: str, key: str, info: Any, groups: Any) -> StreamReport:
    if isinstance(info, ResponseError):
        return StreamReport(name, key, 0, 0, "", 0, ())
    last = EntryId.of(info["last-generated-id"])
    found = () if isinstance(groups, ResponseError) else tuple(_group(group) for group in groups)
    return StreamReport(name, key, info["length"], info["entries-added"], str(last), last.ms, found)


def _group(group: dict[str, Any]) -> Group:
    lag = group.get("lag")
    return Group(
        name=_text(group["name"]),
        lag=None if lag is None else int(lag),
        pending=int(group["pending"]),
        consumers=int(group["consumers"]),
    )


def _redis(server: Any, memory: Any) -> RedisReport:
    if isinstance(server, ResponseError) or isinstance(memory, ResponseError):
        return RedisReport("Redis", "unknown", "", 0, 0, 0)
    valkey = server.get("valkey_version")
    return RedisReport(
        software="Valkey" if valkey else "Redis",
        version=str(valkey or server.get("redis_version", "unknown")),
        mode=str(server.get("server_mode") or server.get("redis_mode", "")),
        uptime=int(server.get("uptime_in_seconds", 0)),
        memory=int(memory.get("used_memory", 0)),
        memory_limit=int(memory.get("maxmemory", 0)),
    )


def _number(reply: Any) -> int:
    return int(reply) if isinstance(reply, int) else 0


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

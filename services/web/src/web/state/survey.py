"""Asks Redis about itself and the streams, for the status page: version, memory, lengths, lag, dead letters.

What Redis refuses at one key (another type, no permission) is that key's trouble: the report says so, the rest stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from shared import domains
from shared.inputs import lag_of
from shared.keys import Keys
from web.state.snapshot import Group, RedisReport, StreamReport


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found; `troubles` is why a key could not be read."""

    health: Mapping[bytes, bytes]
    redis: RedisReport | None
    streams: tuple[StreamReport, ...]
    dead: dict[str, int | None]  # by slot
    troubles: Mapping[str, ResponseError]


async def take(redis: Any, keys: Keys) -> Survey:
    """One round trip. A stream that does not exist yet counts as empty."""
    streams = domains.streams_of(keys)
    letters = {slot: keys.dead(slot) for slot in domains.SLOTS}
    pipeline = redis.pipeline(transaction=False)
    pipeline.hgetall(keys.health)
    pipeline.execute_command("INFO", "server")  # not `info`: a cluster's pipeline refuses that, and one node will do
    pipeline.execute_command("INFO", "memory")
    for key in letters.values():
        pipeline.xlen(key)
    for key in streams.values():
        pipeline.xinfo_stream(key)
        pipeline.xinfo_groups(key)
    asked = [keys.health, "INFO server", "INFO memory", *letters.values()]
    asked += [key for key in streams.values() for _ in range(2)]
    replies = await answered(pipeline)
    troubles = {
        key: reply
        for key, reply in zip(asked, replies, strict=True)
        if isinstance(reply, ResponseError) and not _no_key(reply)
    }
    health, server, memory, *rest = replies
    dead = {slot: reply if isinstance(reply, int) else None for slot, reply in zip(letters, rest, strict=False)}
    pairs = rest[len(letters) :]
    reports = tuple(
        _stream(name, key, pairs[2 * index], pairs[2 * index + 1]) for index, (name, key) in enumerate(streams.items())
    )
    beats = {} if isinstance(health, ResponseError) else health
    return Survey(beats, _redis(server, memory), reports, dead, troubles)


async def answered(pipeline: Any) -> list[Any]:
    """The replies of a pipeline, what Redis refused among them; raises where it does not answer at all."""
    replies: list[Any] = await pipeline.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
            raise reply
    return replies


def _no_key(error: ResponseError) -> bool:
    return "no such key" in str(error).lower()


def _stream(name: str, key: str, info: Any, groups: Any) -> StreamReport:
    if isinstance(info, ResponseError):
        return StreamReport(name, key, 0, 0, "", 0, (), "" if _no_key(info) else str(info))
    last = _text(info["last-generated-id"])
    found = () if isinstance(groups, ResponseError) else tuple(_group(group) for group in groups)
    return StreamReport(name, key, info["length"], info["entries-added"], last, int(last.partition("-")[0]), found)


def _group(group: dict[str, Any]) -> Group:
    return Group(
        name=_text(group["name"]),
        lag=lag_of(group),
        pending=int(group["pending"]),
        consumers=int(group["consumers"]),
    )


def _redis(server: Any, memory: Any) -> RedisReport | None:
    if isinstance(server, ResponseError) or isinstance(memory, ResponseError):
        return None
    valkey = server.get("valkey_version")
    return RedisReport(
        software="Valkey" if valkey else "Redis",
        version=str(valkey or server.get("redis_version", "unknown")),
        mode=str(server.get("server_mode") or server.get("redis_mode", "")),
        uptime=int(server.get("uptime_in_seconds", 0)),
        memory=int(memory.get("used_memory", 0)),
        memory_limit=int(memory.get("maxmemory", 0)),
        eviction=str(memory.get("maxmemory_policy", "")),
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

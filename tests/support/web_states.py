"""States that web is looked at in, all at the same moment: full, being fetched, aged, young, empty."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from support.series_samples import announced, fill
from support.web_samples import NODE, Writer, chain, health, mempool

NOW: Final = 1_780_500_000  # 3 June 2026

Build = Callable[[Writer], Awaitable[None]]


async def full(writer: Writer) -> None:
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    await writer.health(health("chain-history", now=NOW, stream="blocks", rate=12.5))
    made = await fill(writer.redis, writer.keys, blocks=5_000, now=NOW, mempool_days=40, announce=False)
    await announced(writer.redis, writer.keys, made, f"{NOW * 1000}-0")


async def being_fetched(writer: Writer) -> None:
    """A chain of which the backfill knows half, and a mempool that is not what the node has."""
    await writer.chain()
    await writer.mempool()
    await writer.confirm("mempool", incomplete="the node main relays no transactions (-blocksonly)")
    await writer.all_well()
    await writer.health(health("chain-history", now=NOW, stream="blocks", rate=12.5))
    parts = {"first_header": 1_000, "measured_from": 2_500, "unavailable": 12}
    made = await fill(writer.redis, writer.keys, blocks=5_000, now=NOW, mempool_days=1, announce=False, **parts)
    await announced(writer.redis, writer.keys, made, f"{NOW * 1000}-0")


async def aged(writer: Writer) -> None:
    """The node has been silent for ten minutes, and one service is gone."""
    await writer.chain()
    await writer.mempool(mempool(now=NOW - 600, exact=False))
    for domain in ("chain", "mempool"):
        await writer.confirm(domain, age=600)
    reason = "node main: no connection to http://127.0.0.1:8332 (connection refused)"
    await writer.health(
        health("chain-ingest", "degraded", now=NOW, reason=reason, **NODE),
        health("chain-metrics", now=NOW, age=90, stream="blocks", lag=0),
        health("mempool", "standby", now=NOW),
    )


async def young(writer: Writer) -> None:
    """Regtest with a handful of blocks and an empty mempool."""
    await writer.chain(chain("regtest", 7, now=NOW))
    await writer.mempool(mempool(0, 0, now=NOW))
    await writer.all_well()
    made = await fill(writer.redis, writer.keys, blocks=8, now=NOW, mempool_days=1, announce=False)
    await announced(writer.redis, writer.keys, made, f"{NOW * 1000}-0")


async def empty(writer: Writer) -> None:
    """Nothing yet but one service that starts."""
    await writer.health(health("chain-ingest", "starting", now=NOW, progress="headers 12 of 100"))


STATES: Final[dict[str, tuple[str, Build]]] = {
    "full": ("main", full),
    "being fetched": ("main", being_fetched),
    "aged": ("main", aged),
    "young": ("regtest", young),
    "empty": ("main", empty),
}

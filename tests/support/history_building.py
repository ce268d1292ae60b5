"""A fold of the chain's history that is fed step by step, on a real Redis, and what a build from nothing leaves."""

from __future__ import annotations

from typing import Any

import msgspec

from chain_history.fold import HistoryFold
from shared import domains, redis
from shared.events.base import Event
from shared.events.blocks import BlockConnected
from shared.keys import Keys
from shared.views import HistoryView
from support import folding
from support.chain_samples import GENESIS_TIME, collected, connected, loaded, measured
from support.folding import at

KEYS = Keys("main")
FULL = 144
"""Blocks that a first start publishes in full."""


class Built:
    """A fold that is fed step by step, and its Redis."""

    def __init__(self, client: redis.Client) -> None:
        self.client = client
        self.fold = HistoryFold(KEYS)
        self._committer = folding.Committer(client, KEYS.checkpoint(domains.HISTORY))
        self.now_ms = 0

    def apply(self, *events: Event) -> None:
        for event in events:
            self.fold.apply(event)

    async def commit(self) -> None:
        self.now_ms += 1_000
        await self._committer.commit(self.fold.flush(at(self.now_ms)))

    async def restart(self) -> None:
        """As after kill -9: what was not committed is gone."""
        self.fold = HistoryFold(KEYS)
        await self.fold.restore(self.client)

    async def backfill(self, blocks: list[BlockConnected]) -> None:
        """Everything that is missing, in the order in which one worker brings it."""
        spine = self.fold.store.spine
        while spine.first:
            low = max(0, spine.first - 2_000)
            self.apply(collected(blocks, low, spine.first - 1))
        for high in range(len(blocks), -1, -24):
            self.apply(measured(blocks, list(range(max(0, high - 23), high + 1))))
            if high % 480 < 24:
                await self.commit()
        await self.commit()


async def fresh(client: redis.Client, blocks: list[BlockConnected]) -> Built:
    """A build from nothing, in an empty Redis."""
    await client.flushall()
    built = Built(client)
    split = max(0, len(blocks) - FULL)
    built.apply(loaded(blocks[:split], max(0, split - 4_032)), *blocks[split:])
    await built.backfill(blocks)
    return built


async def contents(client: redis.Client) -> dict[str, Any]:
    """All that the fold wrote."""
    found: dict[str, Any] = {}
    async for raw in client.scan_iter():
        key = raw.decode()
        if "checkpoint" in key or "lease" in key:
            continue
        kind = await client.type(key)
        if kind == b"string":
            found[key] = await client.get(key)
        elif kind == b"hash":
            found[key] = await client.hgetall(key)
        else:
            found[key] = await client.smembers(key)
    return found


def spaced(length: int, seconds: int, *, salt: int = 0, on: list[BlockConnected] | None = None) -> list[BlockConnected]:
    """A chain of this length whose blocks are so many seconds apart."""
    blocks = list(on or [])
    for height in range(len(blocks) + 1, length + 1):
        block = connected(height, blocks[-1] if blocks else None, salt)
        blocks.append(msgspec.structs.replace(block, time=GENESIS_TIME + height * seconds))
    return blocks


async def view(client: redis.Client) -> HistoryView:
    return msgspec.json.decode(await client.hget(KEYS.views(domains.HISTORY), "history"), type=HistoryView)

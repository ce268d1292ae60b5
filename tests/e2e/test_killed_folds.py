"""The folds of blocks as they run - a process, its consumer, its stream - and are killed on any way to a chain.

What Redis holds of a domain afterwards is, byte for byte, what a new process makes of the chain alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local_run import child
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.bus import Producer
from shared.checkpoint import Position
from shared.domains import BLOCKS, CHAIN, HISTORY, Domain
from shared.events.base import Event
from shared.events.blocks import BlockConnected
from shared.keys import FOLDED_SEQ
from support.chain_samples import chain, connected, disconnected, loaded
from support.ledger import KEYS, producer
from support.stack import until

PRIVATE = {HISTORY.name: (KEYS.history_recent, KEYS.history_largest, KEYS.history_pools)}
"""Keys beside views and state, by domain."""


class Folding:
    """One fold's process, and what is published for it."""

    def __init__(self, domain: Domain, client: redis.Client, url: str, log: Path) -> None:
        self._domain = domain
        self._client = client
        self._log = log
        self._env = {"REDIS_URL": url, "BITCOIN_NETWORK": "regtest", "ENV_DIR": str(log.parent / "no-env")}
        self._process: Any = None
        self._writer: Producer
        self._moved = 0

    async def start(self) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", self._domain.owner.module]
            self._process = await child.start(command, env={**kept, **self._env}, output=log)

    async def kill(self) -> None:
        await child.kill(self._process)

    async def tell(self, *events: Event) -> None:
        self._writer = await producer(self._client)  # nobody renews its lease meanwhile
        await self._writer.publish(events)

    async def committed(self) -> int:
        """The last entry that is folded for good."""
        cursor = await self._client.hget(KEYS.checkpoint(self._domain), "cursor")
        return 0 if cursor is None else Position.parse(cursor.decode()).seq

    async def moves(self) -> None:
        """Wait until it commits something of what it was told last."""
        before = self._moved

        async def moved() -> bool:
            self._moved = await self.committed()
            return self._moved > before

        await until(moved, 30, f"{self._domain.owner.name} goes on")

    async def folded(self) -> None:
        """Wait until all of it is committed, and shown."""

        async def done() -> bool:
            shown = await self._client.hget(KEYS.views(self._domain), FOLDED_SEQ)
            return await self.committed() == int(shown or 0) == self._writer.seq

        await until(done, 30, f"{self._domain.owner.name} has folded everything")

    async def kept(self) -> dict[str, Any]:
        """Everything of the domain, but for how long its stream is."""
        client, found = self._client, dict[str, Any]()
        for key in (KEYS.views(self._domain), KEYS.state(self._domain), *PRIVATE.get(self._domain.name, ())):
            found[key] = {
                field: raw for field, raw in (await client.hgetall(key)).items() if field != FOLDED_SEQ.encode()
            }
        if self._domain.series:
            for member in await client.smembers(KEYS.series_index(self._domain.slot)):
                name, _, segment = member.decode().rpartition(":")
                found[member.decode()] = await client.get(KEYS.series(self._domain.slot, name, int(segment)))
        return found


@contextlib.asynccontextmanager
async def folding(domain: Domain, client: redis.Client, url: str, folder: Path) -> AsyncIterator[Folding]:
    """On an empty server."""
    await client.flushall()
    it = Folding(domain, client, url, folder / f"{domain.name}.log")
    await it.start()
    try:
        yield it
    finally:
        await it.kill()


@pytest.mark.parametrize("domain", [CHAIN, HISTORY], ids=lambda domain: domain.name)
async def test_any_way_to_a_chain_leaves_what_a_fresh_start_does(
    client: redis.Client, valkey: EmbeddedValkey, tmp_path: Path, domain: Domain, full: bool
) -> None:
    assert domain.reads is BLOCKS
    for seed in range(5 if full else 1):
        chance = random.Random(seed)
        kills = 0
        async with folding(domain, client, valkey.url, tmp_path) as it:
            blocks: list[BlockConnected] = chain(200)
            await it.tell(loaded([]), *blocks)
            for step in range(1, 40):
                events: list[Event] = []
                if chance.random() < 0.4:
                    events += [disconnected(blocks.pop()) for _ in range(chance.randint(1, 12))]
                for _ in range(chance.randint(1, 20)):
                    blocks.append(connected(len(blocks) + 1, blocks[-1], step))
                    events.append(blocks[-1])
                strike = chance.random() < 0.2
                if strike:
                    await it.moves()  # so that there is something in its hands
                await it.tell(*events)
                if strike:
                    await it.kill()
                    await it.start()
                    kills += 1
            await it.folded()
            blocks.append(connected(len(blocks) + 1, blocks[-1]))
            await it.tell(blocks[-1])
            await it.folded()
            seen = await it.kept()
        assert kills > 2
        async with folding(domain, client, valkey.url, tmp_path) as fresh:
            await fresh.tell(loaded([]), *blocks[:-1])
            await fresh.folded()
            await fresh.tell(blocks[-1])  # with the last commit but one it is not recorded yet that there are views
            await fresh.folded()
            expected = await fresh.kept()
        assert seen.keys() == expected.keys()
        assert len(expected) >= 2
        for key, value in expected.items():
            assert value, key
            assert seen[key] == value, key

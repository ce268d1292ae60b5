"""chain-ingest in the test's own process, and what it says of a real node: streams, confirmations, heartbeat."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from chain_ingest.app import run
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.keys import Keys
from shared.service import HealthReport
from support.ledger import running
from support.stack import until

KEYS = Keys("regtest")

Entries = list[tuple[int, str, dict[str, Any]]]
"""Sequence, type and data."""


async def entries(client: redis.Client, stream: str, since: int = 0) -> Entries:
    """Every entry, but for the first `since`."""
    found = (await client.xrange(stream))[since:]
    return [(int(f[b"seq"]), f[b"type"].decode(), msgspec.json.decode(f[b"data"])) for _, f in found]


async def kinds(client: redis.Client, stream: str, since: int = 0) -> list[str]:
    """The types of the entries."""
    return [kind for _, kind, _ in await entries(client, stream, since)]


async def newest(client: redis.Client) -> int:
    """Height of the newest block that is published; 0 where none is."""
    return max((int(one) for one in await client.hkeys(KEYS.published(domains.BLOCKS))), default=0)


async def published(client: redis.Client, height: int) -> None:
    """Return once this block is the newest that is published."""

    async def there() -> bool:
        return await newest(client) == height

    await until(there, 30, f"block {height} is the newest that is published")


class Feed:
    """What a reader of chain-ingest sees."""

    def __init__(self, node: RegtestNode, client: redis.Client, health: HealthReport) -> None:
        self.node = node
        self.redis = client
        self.health = health

    async def entries(self, stream: str, since: int = 0) -> Entries:
        """Every entry, but for the first `since`."""
        return await entries(self.redis, stream, since)

    async def kinds(self, stream: str, since: int = 0) -> list[str]:
        """The types of the entries."""
        return await kinds(self.redis, stream, since)

    async def confirmed(self, domain: str) -> tuple[int, int, str]:
        """Sequence, milliseconds by Redis' clock, and why it is incomplete; zeros where nobody confirmed."""
        raw = await self.redis.hgetall(KEYS.confirmed(domain))
        return int(raw.get(b"seq", 0)), int(raw.get(b"time_ms", 0)), raw.get(b"incomplete", b"").decode()

    async def now_ms(self) -> int:
        """Redis' clock."""
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def agrees(self, *domains: str, limit: float = 20) -> None:
        """Return once each domain was confirmed at a moment after this one."""
        began = await self.now_ms()

        async def all_of_them() -> bool:
            return all([(await self.confirmed(domain))[1] > began for domain in domains or ("chain", "mempool")])

        await until(all_of_them, limit, "the node confirms what is published")

    async def says(self, words: str, limit: float = 20) -> None:
        """Return once the heartbeat says so."""

        async def said() -> bool:
            return words in self.health.reason

        try:
            await until(said, limit, f"the heartbeat says {words!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.health.state} {self.health.reason!r}") from None


def mempool(entries: Entries) -> set[str]:
    """The mempool that entries add up to from the last beginning on; fails where one does not fit, or one is lost."""
    kinds = [kind for _, kind, _ in entries]
    begun = len(kinds) - 1 - kinds[::-1].index("mempool.reset")
    present: dict[str, tuple[int, int]] = {}
    for place, (seq, kind, data) in enumerate(entries[begun:]):
        assert seq == entries[begun][0] + place
        if kind == "tx.added":
            assert data["txid"] not in present
            present[data["txid"]] = data["vsize"], data["fee"]
        elif kind == "tx.removed":
            del present[data["txid"]]
        elif kind == "mempool.synced":
            totals = (len(present), sum(v for v, _ in present.values()), sum(f for _, f in present.values()))
            assert totals == (data["tx_count"], data["vsize"], data["total_fee"]), seq
    return set(present)


def tip(entries: Entries) -> str:
    """Hash of the tip that entries add up to from the last beginning on; fails where one does not fit, or is lost."""
    kinds = [kind for _, kind, _ in entries]
    begun = len(kinds) - 1 - kinds[::-1].index("headers.loaded")
    best = ""
    for place, (seq, kind, data) in enumerate(entries[begun:]):
        assert seq == entries[begun][0] + place
        if kind == "headers.loaded":
            best = data["tip_hash"]
        elif kind == "block.connected":
            assert data["prev_hash"] == best
            best = data["hash"]
        elif kind == "block.disconnected":
            assert data["hash"] == best
            best = data["prev_hash"]
    return best


@contextlib.asynccontextmanager
async def feeding(node: RegtestNode, valkey: EmbeddedValkey, **env: str) -> AsyncIterator[Feed]:
    """Run chain-ingest on this node and this server."""
    client = redis.connect(valkey.url)
    try:
        async with running(valkey.url, run, "chain-ingest", **{**node.env(), **env}) as service:
            yield Feed(node, client, service.health)
    finally:
        await client.aclose()

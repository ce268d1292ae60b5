"""A mempool as chain-ingest would tell it, to the real service: its stream, its lease, its comparisons."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from local_run import child
from mempool.app import run
from shared import domains, redis
from shared.bus import Producer
from shared.checkpoint import Position
from shared.events.base import Event
from shared.events.mempool import MempoolReset, MempoolSynced, TxAdded, TxRemoved
from shared.keys import Keys
from shared.lease import Lease
from shared.series import Series, read, segments_of
from shared.service import Service
from shared.views import FeesView, MempoolView
from support.ledger import running
from support.stack import until

R = TypeVar("R")
KEYS = Keys("regtest")
RECORDED = Path(__file__).parents[1] / "mempool" / "recorded" / "layout-1.json.gz"

Run = Callable[[Service], Awaitable[None]]


def added(number: int, time: int, *, rate: float = 5.0, vsize: int = 200) -> TxAdded:
    return TxAdded(
        txid=f"{10**9 + number:064x}", vsize=vsize, weight=4 * vsize, size=vsize, fee=round(rate * vsize),
        value=10**6 + number, time=time, parents=[], children=[], ancestor_fee=1, ancestor_vsize=1, replaceable=True,
    )  # fmt: skip


async def restore_recorded(client: redis.Client) -> int:
    """Put the recorded keys into an empty server; returns the sequence that they stand at."""
    recorded = json.loads(gzip.decompress(RECORDED.read_bytes()))
    raw = base64.b64decode
    for key, found in recorded.items():
        kind, value = found["type"], found["value"]
        if kind == "string":
            await client.set(key, raw(value))
        elif kind == "hash":
            await client.hset(key, mapping={raw(name): raw(one) for name, one in value.items()})
        elif kind == "set":
            await client.sadd(key, *map(raw, value))
        else:
            await client.rpush(key, *map(raw, value))
    position = Position.parse((await client.hget(KEYS.checkpoint(domains.MEMPOOL), "cursor")).decode())
    await client.hset(KEYS.producer(domains.TXS), "cursor", str(position.seq))
    return position.seq


class Feed:
    """Publishes as chain-ingest does, and knows what the mempool is then."""

    def __init__(self, client: redis.Client) -> None:
        self.client = client
        self.sums = [0, 0, 0]  # count, vsize, fee
        self._fees: dict[str, tuple[int, int]] = {}
        self._lease = Lease(client, KEYS.lease("mempool", "feed"), KEYS.fence("mempool", "feed"))
        self._producer = Producer(
            client, self._lease, KEYS.stream(domains.TXS), KEYS.producer(domains.TXS), KEYS.confirmed("mempool")
        )

    async def tell(self, *events: Event) -> None:
        """Publish."""
        await self.client.delete(self._lease.key)
        assert await self._lease.try_acquire()
        await self._producer.load()
        for event in events:
            if isinstance(event, TxAdded):
                self._fees[event.txid] = event.vsize, event.fee
                self._count(1, *self._fees[event.txid])
            elif isinstance(event, TxRemoved):
                vsize, fee = self._fees.pop(event.txid)
                self._count(-1, -vsize, -fee)
            elif isinstance(event, MempoolReset):
                self._fees, self.sums = {}, [0, 0, 0]
        await self._producer.publish(events)

    def _count(self, *more: int) -> None:
        self.sums = [before + one for before, one in zip(self.sums, more, strict=True)]

    def synced(self, time_ms: int, *, node_time_ms: int | None = None, min_fee_rate: float = 0.1) -> MempoolSynced:
        """A comparison with the mempool as it was told so far."""
        count, vsize, fee = self.sums
        return MempoolSynced(
            mempool_sequence=1, tx_count=count, vsize=vsize, total_fee=fee, min_fee_rate=min_fee_rate, usage=1,
            max_usage=2, time_ms=time_ms, node_time_ms=node_time_ms,
        )  # fmt: skip

    async def sync(self, time_ms: int, **more: Any) -> None:
        """Publish a comparison."""
        await self.tell(self.synced(time_ms, **more))

    async def folded(self) -> None:
        """Wait until the service has committed all that was told."""
        wanted = self._producer.seq

        async def there() -> bool:
            stored = await self.client.hget(KEYS.checkpoint(domains.MEMPOOL), "cursor")
            return stored is not None and Position.parse(stored.decode()).seq == wanted

        await until(there, 15, f"entry {wanted} is folded")


async def view(client: redis.Client) -> tuple[MempoolView, FeesView] | None:
    """What is shown; None where nothing is."""
    raw: dict[bytes, bytes] = await client.hgetall(KEYS.views(domains.MEMPOOL))
    if b"mempool" not in raw:
        return None
    return msgspec.json.decode(raw[b"mempool"], type=MempoolView), msgspec.json.decode(raw[b"fees"], type=FeesView)


async def records(client: redis.Client, series: Series[R], first: int = 0, last: int = 2**40) -> dict[int, R]:
    """Records by the start of their span, between two moments."""
    found: dict[int, R] = {}
    for segment in sorted((await segments_of(client, KEYS, series.domain)).get(series.name, ())):
        start = segment * series.segment
        low, high = max(start, series.index(first)), min(start + series.segment - 1, series.index(last))
        found |= {index * series.step: one for index, one in await read(client, KEYS, series, low, high)}
    return found


def serving(url: str) -> Any:
    """The service, beside the test."""
    return running(url, run, name="mempool")


class Process:
    """The service as a process of its own."""

    def __init__(self, url: str, folder: Path, **env: str) -> None:
        self._env = {
            "PATH": os.environ["PATH"], "REDIS_URL": url, "BITCOIN_NETWORK": "regtest", "INSTANCE": "mempool-test",
            "ENV_DIR": str(folder / "no-env"), **env,
        }  # fmt: skip
        self._path = folder / "mempool.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *before: str) -> None:
        """Start it, behind the words of another command if there are any."""
        with open(self._path, "ab") as log:  # noqa: ASYNC230 - a local file, opened once
            self._process = await child.start([*before, sys.executable, "-m", "mempool"], env=self._env, output=log)

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            await child.kill(self._process)
            self._process = None

    def log(self) -> str:
        """What it said."""
        return self._path.read_text(errors="replace") if self._path.exists() else ""


def total(events: Iterable[TxAdded]) -> tuple[int, int, int, int]:
    """Count, vsize, value and fee."""
    found = list(events)
    columns = ("vsize", "value", "fee")
    vsize, value, fee = (sum(getattr(event, name) for event in found) for name in columns)
    return len(found), vsize, value, fee

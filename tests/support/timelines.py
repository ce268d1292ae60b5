"""A mempool and a chain as the two streams tell them, what must be known of each transaction then, and a fold of it."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from explorer.timeline.fold import TimelineFold
from shared.clock import Moment
from shared.events.base import Event
from shared.events.blocks import BlockConnected, BlockDisconnected
from shared.events.mempool import MempoolReset, MempoolSynced, RemovalReason, TxAdded, TxRemoved
from shared.fold import Changes
from shared.keys import Keys
from shared.lookups.transaction import Step
from support.folding import commands

KEYS = Keys("regtest")
START_MS = 1_800_000_000_000


def txid(number: int) -> str:
    """Spread over the buckets, and with bytes that a pattern would take for something else."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}2a3f5b5d5c{number:038x}"


def block_hash(number: int) -> str:
    return f"{number:054x}{number * 0x9E3779B9 % 2**40:010x}"


def added(tx: str, time_ms: int, **more: Any) -> TxAdded:
    fields: dict[str, Any] = {
        "vsize": 200, "weight": 800, "size": 200, "fee": 1_000, "value": 10**6, "time": time_ms // 1000, "parents": [],
        "children": [], "ancestor_fee": 1_000, "ancestor_vsize": 200, "replaceable": True,
    }  # fmt: skip
    return TxAdded(txid=tx, **(fields | more))


def connected(name: str, height: int) -> BlockConnected:
    return BlockConnected(
        height=height, hash=name, prev_hash="", time=1, median_time=1, bits="1d00ffff", difficulty=1.0, chainwork="1",
        tx_count=1, size=1, weight=4, inputs=0, outputs=1, output_value=0, subsidy=0, fees=0,
        fee_rate_percentiles=[0] * 5, fee_rate_avg=0, coinbase_tag="", pool=None, largest=[], node="main",
    )  # fmt: skip


def synced(count: int, **more: Any) -> MempoolSynced:
    fields: dict[str, Any] = {
        "mempool_sequence": 1, "tx_count": count, "vsize": 0, "total_fee": 0, "min_fee_rate": 0.1, "usage": 1,
        "max_usage": 2, "time_ms": START_MS,
    }  # fmt: skip
    return MempoolSynced(**(fields | more))


Told = tuple[int, Event]
"""When it was published, and what."""


@dataclass
class World:
    """Tells both streams, and keeps by itself what must be known."""

    now_ms: int = START_MS
    txs: list[Told] = field(default_factory=list)
    blocks: list[Told] = field(default_factory=list)
    steps: dict[str, list[Step]] = field(default_factory=dict)
    edges: set[tuple[str, str, int]] = field(default_factory=set)
    pool: dict[str, int] = field(default_factory=dict)  # since when it waits
    out: list[str] = field(default_factory=list)  # left for another reason than a block, may come back
    chain: list[tuple[str, int, list[str]]] = field(default_factory=list)
    returning: set[str] = field(default_factory=set)
    agreed_ms: int = 0
    _numbers: int = 0
    _hashes: int = 0
    _replaces: dict[str, list[str]] = field(default_factory=dict)

    def _tell(self, event: Event) -> int:
        self.now_ms += 7
        stream = self.blocks if isinstance(event, (BlockConnected, BlockDisconnected)) else self.txs
        stream.append((self.now_ms, event))
        return self.now_ms

    def _step(self, tx: str, **step: Any) -> None:
        self.steps.setdefault(tx, []).append(Step(**step))

    def fresh(self) -> str:
        self._numbers += 1
        return txid(self._numbers)

    def add(self, tx: str, **more: Any) -> None:
        time_ms = self._tell(added(tx, self.now_ms, **more))
        self.pool[tx] = time_ms
        if tx in self.returning:
            self.returning.remove(tx)
        else:
            self._step(tx, what="seen", time_ms=time_ms, replaces=self._replaces.pop(tx, []))

    def remove(self, tx: str, reason: RemovalReason, **more: Any) -> int:
        self.pool.pop(tx)
        return self._tell(TxRemoved(txid=tx, reason=reason, **more))

    def replace(self, olds: Iterable[str]) -> str:
        new = self.fresh()
        for old in olds:
            time_ms = self.remove(old, "replaced", replaced_by=new)
            self.edges.add((old, new, time_ms))
            self._step(old, what="replaced", time_ms=time_ms, by=new)
            self._replaces.setdefault(new, []).append(old)
            self.out.append(old)
        self.add(new)
        return new

    def drop(self, tx: str, reason: RemovalReason) -> None:
        since = max(self.pool[tx], self.agreed_ms)
        time_ms = self.remove(tx, reason)
        after = since if reason == "unknown" else None
        self._step(tx, what="gone" if reason == "unknown" else reason, time_ms=time_ms, after_ms=after)
        self.out.append(tx)

    def mine(self, txs: Iterable[str], conflicts: Iterable[str] = (), *, block_first: bool = True) -> str:
        self._hashes += 1
        name, height, members = block_hash(self._hashes), len(self.chain), list(txs)
        told_ms = self._tell(connected(name, height)) if block_first else 0
        for tx in conflicts:
            by = self.fresh() if self.now_ms % 2 else None
            time_ms = self.remove(tx, "conflict", block=name, conflicts_with=by)
            self._step(tx, what="conflict", time_ms=time_ms, block=name, height=height, by=by)
            self.out.append(tx)
        for tx in members:
            self.remove(tx, "block", block=name)
        time_ms = told_ms or self._tell(connected(name, height))
        for tx in members:
            self._step(tx, what="mined", time_ms=time_ms, block=name, height=height)
        self.chain.append((name, height, members))
        return name

    def disconnect(self) -> None:
        name, height, members = self.chain.pop()
        time_ms = self._tell(BlockDisconnected(height=height, hash=name, prev_hash="", node="main"))
        for tx in members:
            self._step(tx, what="disconnected", time_ms=time_ms, block=name, height=height)
            self.returning.add(tx)
            self.add(tx)

    def reset(self, lost: Iterable[str]) -> None:
        self._tell(MempoolReset(cause="test", node="main"))
        lost = set(lost)
        for tx in self.pool:
            if tx not in lost:
                self._tell(added(tx, self.now_ms))
        fell = {tx: max(self.pool.pop(tx), self.agreed_ms) for tx in lost}
        self.sync()
        for tx, after_ms in fell.items():
            self._step(tx, what="gone", time_ms=self.now_ms, after_ms=after_ms)
            self.out.append(tx)

    def sync(self) -> None:
        self.agreed_ms = self._tell(synced(len(self.pool)))


def busy(seed: int) -> World:
    """Some hundred transactions of every fate."""
    world, rng = World(), random.Random(seed)
    for _ in range(250):
        world.add(world.fresh())
        pool = list(world.pool)
        fate = rng.random()
        if fate < 0.15:
            world.replace(rng.sample(pool, min(2, len(pool))))
        elif fate < 0.25:
            world.drop(rng.choice(pool), "evicted")
        elif fate < 0.35:
            world.mine(rng.sample(pool, len(pool) // 2), block_first=rng.random() < 0.5)
        elif fate < 0.4 and world.chain:
            world.disconnect()
        elif fate < 0.42:
            world.reset(rng.sample(pool, min(2, len(pool))))
    world.sync()
    return world


class Hashes:
    """As much of Redis as fold and reading need: hashes, in memory."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[bytes, bytes]] = {}

    def carry_out(self, changes: Changes) -> None:
        for command, key, arguments in commands(changes):
            raw = [one if isinstance(one, bytes) else str(one).encode() for one in arguments]
            if command == "HSET":
                self.keys.setdefault(key, {}).update(zip(raw[::2], raw[1::2], strict=True))
            elif command == "HDEL":
                for name in raw:
                    self.keys.get(key, {}).pop(name, None)
            else:
                assert command == "DEL"
                self.keys.pop(key, None)

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        return dict(self.keys.get(key, {}))

    async def hget(self, key: str, name: Any) -> bytes | None:
        raw = name if isinstance(name, bytes) else str(name).encode()
        return self.keys.get(key, {}).get(raw)

    async def hscan_iter(self, key: str, count: int) -> AsyncIterator[tuple[bytes, bytes]]:
        for item in list(self.keys.get(key, {}).items()):
            yield item

    async def hscan(self, key: str, *, match: bytes, count: int) -> tuple[int, dict[bytes, bytes]]:
        prefix = re.sub(rb"\\(.)", rb"\1", match[:-1], flags=re.DOTALL)
        return 0, {k: v for k, v in self.keys.get(key, {}).items() if k.startswith(prefix)}

    async def hvals(self, key: str) -> list[bytes]:
        return list(self.keys.get(key, {}).values())

    def pipeline(self, *, transaction: bool) -> Pipeline:
        return Pipeline(self)


class Pipeline:
    """Its commands, one after the other."""

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes
        self._calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **more: self._calls.append((name, arguments, more))

    async def execute(self) -> list[Any]:
        return [await getattr(self._hashes, name)(*arguments, **more) for name, arguments, more in self._calls]


def fold(days: int = 30, memory: int = 1_024) -> TimelineFold:
    return TimelineFold(KEYS, days, memory)


def moment(time_ms: int) -> Moment:
    return Moment(time_ms, time_ms)


def folded(world: World, rng: random.Random | None = None, *, restarts: bool = False) -> Hashes:
    """Both streams folded: as they were told, or in any batches and order to each other, with restarts between."""
    store, it = Hashes(), fold()
    streams = [list(world.txs), list(world.blocks)]
    while any(streams):
        source = min((one for one in streams if one), key=lambda one: one[0][0])
        size = 1
        if rng is not None:
            source, size = rng.choice([one for one in streams if one]), rng.randrange(1, 12)
        for time_ms, event in source[:size]:
            it.dated(time_ms)
            it.apply(event)
        del source[:size]
        store.carry_out(it.flush(moment(world.now_ms)))
        if rng is not None and restarts and rng.random() < 0.3:
            it = fold()
            asyncio.run(it.restore(store))
    while it.due_ms(moment(world.now_ms)) is not None:  # what is written little by little
        store.carry_out(it.flush(moment(world.now_ms + 60_000)))
    return store

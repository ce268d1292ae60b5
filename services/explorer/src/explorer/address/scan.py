"""Look-ups of scripts at the node alone: a scan of all coins, and of block filters where the node has them.

A scan takes minutes on the main chain, and a node does one at a time. So they wait for each other, in this replica and,
since the node refuses a second one, across replicas; what is known of one that goes on is told as progress.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec.structs import replace as _with

from explorer.address.ledger import POINTS, Item, Ledger, page_of, thinned
from explorer.address.progress import Progress
from explorer.address.raw import flow
from explorer.address.scan_answers import Block, Coins, Relevant, Status
from explorer.core.node import Node
from shared import redis
from shared.errors import RpcError, RpcMalformed, RpcRefused
from shared.events.lookups import AddressWanted
from shared.keys import Keys
from shared.lookups.address import PAGE, At, Entry, Found, Point, Unspent
from shared.lookups.parts import Tip
from shared.networks import Network
from shared.scripts.address import write
from shared.scripts.hashes import scripthash
from shared.scripts.kinds import kind_of
from shared.tasks import end
from shared.work import Alive

LOOK_SECONDS: Final = 0.25
"""Between two looks at how far a scan is, and at whether the node is free for the next."""

BLOCKS_MOST: Final = 2_000
"""Blocks that are read for one history."""

SCANS_MOST: Final = 3
"""Scans one after the other whose block leaves the chain while they run, before it is said that nobody can tell."""

ABORT_SECONDS: Final = 2.0

BUSY: Final = -8
"""RPC_INVALID_PARAMETER: what a second scan is refused with."""

T = TypeVar("T")

KEPT_MS: Final = 600_000
"""How long what a scan found is shown before there is another: with its block named, in milliseconds."""

KEPT_MOST: Final = 4_000_000
"""Bytes of it that Redis keeps."""


class Scanned(msgspec.Struct, frozen=True):
    """What a scan found of a script, all of it."""

    tip: Tip
    as_of_ms: int
    coins: list[Unspent]  # largest first
    entries: list[Entry] | None  # oldest first; None: unknown
    received: int | None = None  # satoshi, with the entries
    sent: int | None = None
    truncated: bool = False  # too many blocks hold something of it
    without: str = ""


class Many(NamedTuple):
    """What one scan found of many scripts, and its block."""

    height: int
    hash: str
    coins: dict[bytes, list[Unspent]]


class _Told(NamedTuple):
    tip: Tip
    coins: Coins


class _Placed(Protocol):
    @property
    def tip(self) -> Tip: ...


S = TypeVar("S", bound=_Placed)


class _Telling(Protocol):
    async def at(self, done: float | None, at: At) -> None: ...


class _GaveWay(Exception):
    """Somebody waits for a scan."""


class Scans:
    """One at a time. What was found is kept in Redis for KEPT_MS: other pages and replicas need no other scan."""

    def __init__(self, client: redis.Client, keys: Keys, network: Network, now_ms: Callable[[], int]) -> None:
        self._redis = client
        self._keys = keys
        self._network = network
        self._now_ms = now_ms
        self._turn = asyncio.Lock()
        self._queue: list[Progress] = []  # look-ups of people that wait for their turn, behind the one that has it

    async def look_up(self, node: Node, wanted: AddressWanted, alive: Alive) -> Found:
        """The script as this node's coins and blocks tell it. Raises RpcError where the node does not answer."""
        script = bytes.fromhex(wanted.script)
        name = scripthash(script)
        scanned = await self._kept(node, name)
        if scanned is None:
            progress = Progress(self._redis, self._keys, name, self._now_ms(), alive)
            async with self._turned(progress):
                scanned = await self._kept(node, name)
                if scanned is None:
                    scanned = await self._lasting(node, lambda: self._scanned(node, wanted, script, progress))
                    await self._keep(name, scanned)
            await progress.over()
        return self._page(wanted, script, scanned)

    async def coins(
        self, node: Node, scripts: Sequence[bytes], name: str, alive: Alive
    ) -> tuple[Tip, dict[bytes, list[Unspent]]]:
        """The coins of many scripts, of one scan, and its block; progress is told by this name."""
        progress = Progress(self._redis, self._keys, name, self._now_ms(), alive)
        async with self._turned(progress):
            told = await self._lasting(node, lambda: self._told(node, _raw(scripts), progress))
        await progress.over()
        return told.tip, _sorted_out(scripts, told.coins)

    async def _lasting(self, node: Node, scan: Callable[[], Awaitable[S]]) -> S:
        """What a scan brings whose block is still in the chain when it ends. Raises RpcMalformed where none is."""
        for _ in range(SCANS_MOST):
            found = await scan()
            if await node.has(found.tip.hash):
                return found
        raise RpcMalformed(f"scantxoutset: its block left the chain, {SCANS_MOST} times one after the other")

    async def _told(self, node: Node, descriptors: Sequence[str], progress: Progress) -> _Told:
        told = await self._scan(node, "scantxoutset", descriptors, Coins, progress)
        header = await node.header(told.bestblock)
        return _Told(Tip(height=told.height, hash=told.bestblock, time=header.time), told)

    async def aside(self, node: Node, scripts: Sequence[bytes]) -> Many | None:
        """The coins of many scripts, where nobody else wants a scan: one that somebody waits for goes first, and ends
        this one; None then. Raises RpcError.
        """
        if self._turn.locked() or self._queue:
            return None
        async with self._turn:
            try:
                told = await self._scan(node, "scantxoutset", _raw(scripts), Coins, self)
            except _GaveWay:
                return None
        return Many(told.height, told.bestblock, _sorted_out(scripts, told))

    async def at(self, done: float | None, at: At) -> None:
        """A scan that nobody waits for goes on: raises where it should not."""
        del done, at
        if self._queue:
            raise _GaveWay

    async def _kept(self, node: Node, name: str) -> Scanned | None:
        """What was found lately, while its block is in the chain."""
        raw = await self._redis.get(self._keys.scanned(name))
        scanned = None if raw is None else msgspec.msgpack.decode(raw, type=Scanned)
        return scanned if scanned is None or await node.has(scanned.tip.hash) else None

    async def _keep(self, name: str, scanned: Scanned) -> None:
        raw = msgspec.msgpack.encode(scanned)
        if len(raw) <= KEPT_MOST:
            await self._redis.set(self._keys.scanned(name), raw, px=KEPT_MS)

    @contextlib.asynccontextmanager
    async def _turned(self, progress: Progress) -> AsyncIterator[None]:
        """Once it is our turn in this replica."""
        self._queue.append(progress)
        try:
            waiting = asyncio.create_task(progress.wait(lambda: self._queue.index(progress)), name="turn")
            try:
                await self._turn.acquire()
            finally:
                await end(waiting)
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._queue.remove(progress)

    async def _scanned(self, node: Node, wanted: AddressWanted, script: bytes, progress: Progress) -> Scanned:
        descriptors = [f"raw({wanted.script})"]
        tip, told = await self._told(node, descriptors, progress)
        coins = [one.unspent() for one in sorted(told.unspents, key=lambda one: (-one.amount, one.txid, one.vout))]
        scanned = Scanned(tip, self._now_ms(), coins, None, without="electrum")
        try:
            relevant = await self._scan(node, "scanblocks", descriptors, Relevant, progress, 0, tip.height)
        except RpcRefused:  # the node keeps no block filters, or is older than they are
            return _with(scanned, without="blockfilterindex")
        blocks = relevant.relevant_blocks
        if len(blocks) > BLOCKS_MOST:
            return _with(scanned, truncated=True)
        ledger, entries = await self._history(node, script, blocks, progress)
        received = sum(ledger.received(one.txid) for one in entries)
        return _with(
            scanned, entries=entries, received=received, sent=received - (entries[-1].balance or 0 if entries else 0)
        )

    def _page(self, wanted: AddressWanted, script: bytes, scanned: Scanned) -> Found:
        coins, entries = scanned.coins, scanned.entries
        found = Found(
            script=wanted.script,
            scripthash=scripthash(script),
            kind=kind_of(script),
            address=write(script, self._network),
            confirmed=sum(one.value for one in coins),
            unconfirmed=None,
            page=wanted.page,
            coins=coins[wanted.coins * PAGE : (wanted.coins + 1) * PAGE],
            coin_count=len(coins),
            coins_page=wanted.coins,
            truncated=scanned.truncated,
            tip=scanned.tip,
            sources={"balance": "scan", "coins": "scan"},
            without=scanned.without,
            as_of_ms=scanned.as_of_ms,
        )
        if entries is None:
            return found
        shown = page_of([one.txid for one in entries], wanted.page, wanted.after)
        return _with(
            found,
            received=scanned.received,
            sent=scanned.sent,
            tx_count=len(entries),
            history=entries[shown][::-1],
            points=[Point(time=one.time or 0, balance=one.balance or 0) for one in thinned(entries, POINTS)],
            sources={**found.sources, "history": "scan", "times": "node"},
        )

    async def _scan(
        self, node: Node, method: str, descriptors: Sequence[str], kind: type[T], progress: _Telling, *heights: int
    ) -> T:
        at: At = "coins" if method == "scantxoutset" else "filters"
        while True:
            call = node.rpc.call(method, "start", list(descriptors), *heights, kind=kind)
            scanning = asyncio.create_task(call, name=method)
            try:
                while True:
                    done, _ = await asyncio.wait([scanning], timeout=LOOK_SECONDS)
                    if done:
                        result: T = scanning.result()
                        return result
                    status = await node.rpc.call(method, "status", kind=Status | None)
                    await progress.at(None if status is None else status.progress / 100, at)
            except (_GaveWay, asyncio.CancelledError):
                if progress is self and not scanning.done():  # the node would go on for minutes, for nobody
                    with contextlib.suppress(RpcError, TimeoutError):
                        async with asyncio.timeout(ABORT_SECONDS):
                            await node.rpc.call(method, "abort", kind=bool)
                raise
            except RpcRefused as error:
                if error.code != BUSY or "in progress" not in str(error):
                    raise
                await progress.at(None, "node")
                await asyncio.sleep(LOOK_SECONDS)
            finally:
                await end(scanning)

    async def _history(
        self, node: Node, script: bytes, blocks: list[str], progress: Progress
    ) -> tuple[Ledger, list[Entry]]:
        """From the blocks that the filters name, a few too many among them."""
        ledger, items, times = Ledger(script), list[Item](), dict[int, int]()
        for block_hash in blocks:
            block: Block = await node.rpc.call("getblock", block_hash, 2, kind=Block)
            await progress.at(None, "blocks")
            times[block.height] = block.time
            for tx in block.tx:
                ledger.read(tx.txid, flow(bytes.fromhex(tx.hex)))
                if ledger.received(tx.txid) or ledger.sent(tx.txid):
                    items.append(Item(tx.txid, block.height))
                else:
                    ledger.forget(tx.txid)
        return ledger, [_with(entry, time=times[entry.height or 0]) for entry in ledger.entries(items)]


def _raw(scripts: Sequence[bytes]) -> list[str]:
    return [f"raw({script.hex()})" for script in scripts]


def _sorted_out(scripts: Sequence[bytes], told: Coins) -> dict[bytes, list[Unspent]]:
    found: dict[bytes, list[Unspent]] = {script: [] for script in scripts}
    for one in told.unspents:
        found[bytes.fromhex(one.script)].append(one.unspent())
    return found

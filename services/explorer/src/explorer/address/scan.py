"""Look-ups of scripts at the node alone: a scan of all coins, and of block filters where the node has them.

A scan takes minutes on the main chain, and a node does one at a time. So they wait for each other, in this replica and,
since the node refuses a second one, across replicas; what is known of one that goes on is told as progress.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final

import msgspec
from msgspec.structs import replace as _with

from explorer.address.ledger import Item, Ledger, thinned
from explorer.address.raw import flow
from explorer.core.node import Node
from shared.errors import RpcRefused
from shared.events.base import Hash
from shared.events.lookups import AddressWanted
from shared.lookups.address import PAGE, Found, Point, Unspent
from shared.networks import Network
from shared.rpc import satoshi
from shared.scripts.address import of_script
from shared.tasks import end
from shared.work import Alive

LOOK_SECONDS: Final = 0.25
"""Between two looks at how far a scan is, and at whether the node is free for the next."""

BLOCKS_MOST: Final = 2_000
"""Blocks that are read for one history."""

POINTS: Final = 400
BUSY: Final = -8
"""RPC_INVALID_PARAMETER: what a second scan is refused with."""

Tell = Callable[[float | None], Awaitable[None]]
"""Told how far a scan is, 0 to 1; None while it waits for its turn."""


class _Coin(msgspec.Struct):
    txid: str
    vout: int
    amount: Decimal
    height: int
    coinbase: bool = False


class _Coins(msgspec.Struct):
    """Of `scantxoutset`."""

    success: bool
    height: int
    bestblock: Hash
    unspents: list[_Coin]


class _Progress(msgspec.Struct):
    progress: float


class _Relevant(msgspec.Struct):
    """Of `scanblocks`."""

    relevant_blocks: list[str]


class _Transaction(msgspec.Struct):
    txid: str
    hex: str


class _Block(msgspec.Struct):
    height: int
    time: int
    tx: list[_Transaction]


class Scans:
    """One at a time."""

    def __init__(self, network: Network, now_ms: Callable[[], int]) -> None:
        self._network = network
        self._now_ms = now_ms
        self._turn = asyncio.Lock()

    async def look_up(self, node: Node, wanted: AddressWanted, alive: Alive, tell: Tell) -> Found:
        """The script as this node's coins and blocks tell it. Raises RpcError where the node does not answer."""
        waiting = asyncio.create_task(self._keep_alive(alive, tell), name="turn")
        try:
            await self._turn.acquire()
        finally:
            await end(waiting)
        try:
            return await self._look_up(node, wanted, alive, tell)
        finally:
            self._turn.release()

    @staticmethod
    async def _keep_alive(alive: Alive, tell: Tell) -> None:
        while True:
            alive()
            await tell(None)
            await asyncio.sleep(1)

    async def _look_up(self, node: Node, wanted: AddressWanted, alive: Alive, tell: Tell) -> Found:
        tip = await node.tip(wanted.tip)
        descriptor = f"raw({wanted.script})"
        coins: _Coins = await self._scan(node, "scantxoutset", descriptor, _Coins, alive, tell)
        script = bytes.fromhex(wanted.script)
        address = of_script(script, self._network)
        unspent = sorted(coins.unspents, key=lambda one: (-one.amount, one.txid, one.vout))
        found = Found(
            script=wanted.script,
            scripthash=address.scripthash,
            kind=address.kind,
            address=address.text
            if address.text != wanted.script and address.kind not in ("p2pk", "multisig")
            else None,
            confirmed=sum(satoshi(one.amount) for one in unspent),
            unconfirmed=None,
            page=wanted.page,
            coins=[
                Unspent(
                    txid=one.txid, vout=one.vout, value=satoshi(one.amount), height=one.height, coinbase=one.coinbase
                )
                for one in unspent[wanted.coins * PAGE : (wanted.coins + 1) * PAGE]
            ],
            coin_count=len(unspent),
            coins_page=wanted.coins,
            tip=tip,
            sources={"balance": "scan", "coins": "scan"},
            without="electrum",
            as_of_ms=self._now_ms(),
        )
        try:
            relevant: _Relevant = await self._scan(node, "scanblocks", descriptor, _Relevant, alive, tell)
        except RpcRefused:  # the node keeps no block filters, or is older than they are
            return _with(found, without="blockfilterindex")
        return await self._with_history(node, found, script, relevant.relevant_blocks, alive)

    async def _scan(
        self, node: Node, method: str, descriptor: str, kind: type[msgspec.Struct], alive: Alive, tell: Tell
    ) -> msgspec.Struct:
        while True:
            scanning = asyncio.create_task(node.rpc.call(method, "start", [descriptor], kind=kind), name=method)
            try:
                while True:
                    alive()
                    done, _ = await asyncio.wait([scanning], timeout=LOOK_SECONDS)
                    if done:
                        result: msgspec.Struct = scanning.result()
                        return result
                    status = await node.rpc.call(method, "status", kind=_Progress | None)
                    await tell(None if status is None else status.progress / 100)
            except RpcRefused as error:
                if error.code != BUSY or "in progress" not in str(error):
                    raise
                await tell(None)
                await asyncio.sleep(LOOK_SECONDS)
            finally:
                await end(scanning)

    async def _with_history(self, node: Node, found: Found, script: bytes, blocks: list[str], alive: Alive) -> Found:
        """From the blocks that the filters name, a few too many among them; of the newest BLOCKS_MOST at most."""
        if len(blocks) > BLOCKS_MOST:
            return _with(found, truncated=True)
        ledger, items, times = Ledger(script), [], {}
        for block_hash in blocks:
            block: _Block = await node.rpc.call("getblock", block_hash, 2, kind=_Block)
            alive()
            times[block.height] = block.time
            for tx in block.tx:
                moved = flow(bytes.fromhex(tx.hex))
                ledger.read(tx.txid, moved)
                if ledger.received(tx.txid) or ledger.sent(tx.txid):
                    items.append(Item(tx.txid, block.height))
                else:
                    ledger.forget(tx.txid)
        entries = ledger.entries(items)
        shown = entries[max(0, len(items) - (found.page + 1) * PAGE) : max(0, len(items) - found.page * PAGE)]
        return _with(
            found,
            received=sum(ledger.received(item.txid) for item in items),
            sent=sum(ledger.sent(item.txid) for item in items),
            tx_count=len(items),
            history=[_with(entry, time=times.get(entry.height or 0)) for entry in shown][::-1],
            points=[
                Point(time=times[one.height], balance=one.balance or 0)
                for one in thinned(entries, POINTS)
                if one.height is not None
            ],
            sources={**found.sources, "history": "scan", "times": "node"},
        )

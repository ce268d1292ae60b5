"""Look-ups of scripts at an Electrum server: what they hold, and their whole history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace as _with

from explorer.address.flows import Flows
from explorer.address.ledger import Item, Ledger, page_of, thinned
from explorer.core.answers import Header
from explorer.core.newest import Newest
from explorer.core.node import Node
from explorer.core.times import headers_of
from explorer.electrum.answers import Used
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from shared.errors import ElectrumTooLong
from shared.events.lookups import AddressWanted
from shared.lookups.address import HISTORY_MOST, PAGE, Entry, Found, Point, Unspent
from shared.lookups.parts import Source
from shared.networks import Network
from shared.scripts.address import write
from shared.scripts.kinds import kind_of
from shared.tasks import together
from shared.work import Alive

KEPT: Final = 32
"""Scripts whose accounts are remembered, so that the next page and the next block need what is new alone."""

AT_ONCE: Final = 64
"""Transactions asked for side by side."""

POINTS: Final = 400
"""Points of the balance over time."""

Note = Callable[[Script, Sequence[Used] | None], Awaitable[None]]
"""Told which history an answer is made of (explorer.address.seen)."""


@dataclass(slots=True)
class _Account:
    ledger: Ledger
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Addresses:
    """With the accounts of those that were looked up last."""

    def __init__(self, electrum: Electrum, network: Network, now_ms: Callable[[], int], note: Note) -> None:
        self._note = note
        self._electrum = electrum
        self._flows = Flows(electrum)
        self._network = network
        self._now_ms = now_ms
        self._accounts: Newest[_Account] = Newest(KEPT)

    async def look_up(self, node: Node, wanted: AddressWanted, alive: Alive) -> Found:
        """The script as the Electrum server knows it; the node tells times. Raises ElectrumError and RpcError."""
        tip = await node.tip(wanted.tip)
        script = bytes.fromhex(wanted.script)
        named = Script.of(script)
        balance, unspent, history = await together(
            self._electrum.balance(named), self._electrum.unspent(named), self._history(named)
        )
        await self._note(named, history)
        coins = sorted(unspent, key=lambda one: (-one.value, one.txid, one.vout))
        found = Found(
            script=wanted.script,
            scripthash=named.hash,
            kind=kind_of(script),
            address=write(script, self._network),
            confirmed=balance.confirmed,
            unconfirmed=balance.unconfirmed,
            page=wanted.page,
            coins=[
                Unspent(txid=one.txid, vout=one.vout, value=one.value, height=one.height or None)
                for one in coins[wanted.coins * PAGE : (wanted.coins + 1) * PAGE]
            ],
            coin_count=len(coins),
            coins_page=wanted.coins,
            tip=tip,
            sources={"balance": "electrum", "coins": "electrum"},
            as_of_ms=self._now_ms(),
        )
        if history is None:
            headers = await headers_of(node, [one.height for one in found.coins], tip)
            found = _with(found, coins=_placed(found.coins, headers))
            return _with(found, truncated=True, without="electrum-limit")
        return await self._with_history(node, found, history, script, wanted.after, alive)

    async def _history(self, named: Script) -> list[Used] | None:
        """Oldest first; None where it is too long for every server to tell."""
        try:
            return await self._electrum.history(named)
        except ElectrumTooLong:
            return None

    async def _with_history(
        self, node: Node, found: Found, history: Sequence[Used], script: bytes, after: str, alive: Alive
    ) -> Found:
        tip, of_coins = found.tip, [one.height for one in found.coins]
        items = [Item(one.txid, one.height if one.height > 0 else None, one.fee) for one in history]
        waiting = sum(item.height is None for item in items)
        counts = {"tx_count": len(items) - waiting, "waiting_count": waiting}
        sources: dict[str, Source] = {**found.sources, "history": "electrum", "times": "node"}
        if len(items) > HISTORY_MOST:
            shown = page_of([item.txid for item in items], found.page, after)
            entries = [Entry(txid=item.txid, height=item.height, fee=item.fee) for item in items[shown]]
            headers = await headers_of(node, [*of_coins, *(entry.height for entry in entries)], tip)
            found = _with(found, coins=_placed(found.coins, headers))
            return _with(found, history=_timed(entries, headers)[::-1], truncated=True, sources=sources, **counts)
        ledger = await self._ledger(script, items, alive)
        items = ledger.ordered(items)
        shown = page_of([item.txid for item in items], found.page, after)
        every = ledger.entries(items)
        points = thinned(every, POINTS)
        heights = [*of_coins, *(entry.height for entry in (*every[shown], *points))]
        headers = await headers_of(node, heights, tip)
        moved = ledger.moved(item.txid for item in items if item.height is not None)
        return _with(
            found,
            coins=_placed(found.coins, headers),
            received=moved.funded_sum,
            sent=moved.spent_sum,
            moved=moved,
            waiting_moved=ledger.moved(item.txid for item in items if item.height is None),
            history=_timed(every[shown], headers)[::-1],
            points=[
                Point(time=headers[one.height].time, balance=one.balance or 0)
                for one in points
                if one.height is not None and one.height in headers
            ],
            sources=sources,
            **counts,
        )

    async def _ledger(self, script: bytes, items: Sequence[Item], alive: Alive) -> Ledger:
        """The account with all of these in it."""
        name = script.hex()
        account = self._accounts.get(name) or self._accounts.put(name, _Account(Ledger(script)))
        async with account.lock:
            missing = account.ledger.missing(items)
            for start in range(0, len(missing), AT_ONCE):
                part = missing[start : start + AT_ONCE]
                for txid, flow in zip(part, await self._flows.of(part), strict=True):
                    account.ledger.read(txid, flow)
                alive()
        return account.ledger


def _timed(entries: Sequence[Entry], headers: dict[int | None, Header]) -> list[Entry]:
    return [_with(entry, time=headers[entry.height].time) if entry.height in headers else entry for entry in entries]


def _placed(coins: Sequence[Unspent], headers: dict[int | None, Header]) -> list[Unspent]:
    return [
        _with(one, block=headers[one.height].hash, time=headers[one.height].time) if one.height in headers else one
        for one in coins
    ]

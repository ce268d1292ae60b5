"""Look-ups of scripts at an Electrum server: what they hold, and their whole history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace as _with

from explorer.address.ledger import Item, Ledger, thinned
from explorer.address.raw import flow
from explorer.core.newest import Newest
from explorer.core.node import Node
from explorer.core.times import times_of
from explorer.electrum.answers import Used
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from shared.errors import ElectrumTooLong
from shared.events.lookups import AddressWanted
from shared.lookups.address import HISTORY_MOST, PAGE, Entry, Found, Point, Unspent
from shared.lookups.parts import Source, Tip
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


@dataclass(slots=True)
class _Account:
    ledger: Ledger
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Addresses:
    """With the accounts of those that were looked up last."""

    def __init__(self, electrum: Electrum, network: Network, now_ms: Callable[[], int]) -> None:
        self._electrum = electrum
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
            return _with(found, truncated=True, without="electrum-limit")
        return await self._with_history(node, found, history, script, tip, alive)

    async def _history(self, named: Script) -> list[Used] | None:
        """Oldest first; None where it is too long for every server to tell."""
        try:
            return await self._electrum.history(named)
        except ElectrumTooLong:
            return None

    async def _with_history(
        self, node: Node, found: Found, history: Sequence[Used], script: bytes, tip: Tip, alive: Alive
    ) -> Found:
        items = [Item(one.txid, one.height if one.height > 0 else None, one.fee) for one in history]
        waiting = sum(item.height is None for item in items)
        counts = {"tx_count": len(items) - waiting, "waiting_count": waiting}
        sources: dict[str, Source] = {**found.sources, "history": "electrum", "times": "node"}
        shown = slice(max(0, len(items) - (found.page + 1) * PAGE), max(0, len(items) - found.page * PAGE))
        if len(items) > HISTORY_MOST:
            entries = [Entry(txid=item.txid, height=item.height, fee=item.fee) for item in items[shown]]
            times = await times_of(node, [entry.height for entry in entries], tip)
            return _with(found, history=_timed(entries, times)[::-1], truncated=True, sources=sources, **counts)
        ledger = await self._ledger(script, items, alive)
        every = ledger.entries(items)
        points = thinned(every, POINTS)
        heights = [entry.height for entry in (*every[shown], *points)]
        times = await times_of(node, heights, tip)
        return _with(
            found,
            received=sum(ledger.received(item.txid) for item in items if item.height is not None),
            sent=sum(ledger.sent(item.txid) for item in items if item.height is not None),
            history=_timed(every[shown], times)[::-1],
            points=[
                Point(time=times[one.height], balance=one.balance or 0)
                for one in points
                if one.height is not None and one.height in times
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
                for txid, raw in zip(part, await together(*map(self._electrum.transaction, part)), strict=True):
                    account.ledger.read(txid, flow(raw))
                alive()
        return account.ledger


def _timed(entries: Sequence[Entry], times: dict[int | None, int]) -> list[Entry]:
    return [_with(entry, time=times.get(entry.height)) if entry.height is not None else entry for entry in entries]

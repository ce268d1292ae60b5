"""Look-ups of scripts at an Electrum server: what they hold, and their whole history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec.structs import replace as _with

from explorer.address.flows import Flows
from explorer.address.ledger import Item, Ledger, Worked, bare, worked_out
from explorer.aside import aside, in_order, quickly
from explorer.core.answers import Header
from explorer.core.newest import Newest
from explorer.core.node import Node
from explorer.core.times import headers_of
from explorer.electrum.answers import Balance, Used
from explorer.electrum.answers import Unspent as Coin
from explorer.electrum.client import Electrum
from explorer.electrum.level import AGAIN_SECONDS, LEVEL_SECONDS, level, newest
from explorer.electrum.script import Script
from shared.errors import ElectrumGone, ElectrumTooLong
from shared.events.lookups import AddressWanted
from shared.lookups.address import HISTORY_MOST, PAGE, Entry, Found, Point, Unspent
from shared.lookups.parts import Source, Tip
from shared.networks import Network
from shared.scripts.address import write
from shared.scripts.kinds import kind_of
from shared.tasks import end, together
from shared.work import Alive

KEPT: Final = 32
"""Scripts whose accounts are remembered, so that the next page and the next block need what is new alone."""

ENTRIES_KEPT: Final = 50_000
"""Transactions of all of them at most, some 800 bytes each."""

LONG_AT_ONCE: Final = 2
LONG_KEPT: Final = 1_000
"""Scripts with a history longer than HISTORY_MOST that are looked up at once, and that are remembered to have one."""

ALIVE_SECONDS: Final = 5.0
"""Between two signs of life of who waits for that."""

AT_ONCE: Final = 64
"""Transactions asked for side by side."""

CHANGING_SECONDS: Final = 10.0
"""How long a history is asked for again of which a transaction is gone: ElectrumX looks at the mempool every five."""

GONE_SECONDS: Final = 0.25
"""Before it is."""

Note = Callable[[Script, Sequence[Used] | None], Awaitable[None]]
"""Told which history an answer is made of (explorer.address.seen)."""


class _Long(Exception):
    """The history is long: it is looked up in turn."""


class _Told(NamedTuple):
    at: Tip
    balance: Balance
    unspent: list[Coin]
    history: list[Used] | None


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
        self._long: Newest[bool] = Newest(LONG_KEPT)
        self._turn = asyncio.Semaphore(LONG_AT_ONCE)

    async def look_up(self, node: Node, wanted: AddressWanted, alive: Alive) -> Found:
        """The script as the Electrum server knows it; the node tells times. Raises ElectrumError and RpcError."""
        until = time.monotonic() + CHANGING_SECONDS
        while True:
            try:
                return await self._in_turn(node, wanted, alive)
            except ElectrumGone:  # it left the mempool after the history was told
                if time.monotonic() >= until:
                    raise
            alive()
            await asyncio.sleep(GONE_SECONDS)

    async def _in_turn(self, node: Node, wanted: AddressWanted, alive: Alive) -> Found:
        """Those with a long history wait for each other, since each takes some 50 MB while it is looked up."""
        if self._long.get(wanted.script) is None:
            try:
                return await self._look_up(node, wanted, alive, HISTORY_MOST)
            except _Long:
                self._long.put(wanted.script, True)
        waiting = asyncio.create_task(_alive(alive), name="long")
        try:
            async with self._turn:
                return await self._look_up(node, wanted, alive)
        finally:
            await end(waiting)

    async def _look_up(self, node: Node, wanted: AddressWanted, alive: Alive, most: int | None = None) -> Found:
        """Raises _Long where the history has more than `most` transactions."""
        tip = await node.tip(wanted.tip)
        script = bytes.fromhex(wanted.script)
        named = Script.of(script)
        at, balance, unspent, history = await self._told(named, tip, most)
        await self._note(named, history)
        page = slice(wanted.coins * PAGE, (wanted.coins + 1) * PAGE)
        coins = await quickly(len(unspent), in_order, unspent, _largest, page)
        found = Found(
            script=wanted.script,
            scripthash=named.hash,
            kind=kind_of(script),
            address=write(script, self._network),
            confirmed=balance.confirmed,
            unconfirmed=balance.unconfirmed,
            page=wanted.page,
            coins=[Unspent(txid=one.txid, vout=one.vout, value=one.value, height=one.height or None) for one in coins],
            coin_count=len(unspent),
            coins_page=wanted.coins,
            tip=at,
            behind=max(0, tip.height - at.height),
            sources={"balance": "electrum", "coins": "electrum"},
            as_of_ms=self._now_ms(),
        )
        if history is None:
            headers = await headers_of(node, [one.height for one in found.coins], tip)
            found = _with(found, coins=_placed(found.coins, headers))
            return _with(found, truncated=True, without="electrum-limit")
        return await self._with_history(node, tip, found, history, wanted.after, alive)

    async def _told(self, named: Script, tip: Tip, most: int | None) -> _Told:
        """What the server says of it, all of one of its blocks, and which that is."""
        until = time.monotonic() + LEVEL_SECONDS
        while True:
            before = await level(self._electrum, tip, until - time.monotonic())
            balance, history = await together(self._electrum.balance(named), self._history(named))
            if most is not None and (history is None or len(history) > most):
                raise _Long
            unspent = await self._electrum.unspent(named)
            after = await newest(self._electrum, tip)
            highest = max((one.height for one in history or ()), default=0)
            if (before == after and highest <= after.height) or time.monotonic() >= until:
                return _Told(after, balance, unspent, history)
            await asyncio.sleep(AGAIN_SECONDS)  # it tells of a block a moment after it tells what is in it

    async def _history(self, named: Script) -> list[Used] | None:
        """Oldest first; None where it is too long for every server to tell."""
        try:
            return await self._electrum.history(named)
        except ElectrumTooLong:
            return None

    async def _with_history(
        self, node: Node, tip: Tip, found: Found, history: Sequence[Used], after: str, alive: Alive
    ) -> Found:
        waiting = sum(one.waits for one in history)
        whole = len(history) <= HISTORY_MOST
        worked = (
            await self._worked_out(found, history, after, alive)
            if whole
            else Worked(await aside(bare, history, found.page, after))
        )
        heights = [one.height for one in found.coins]
        heights += [one.height for one in (*worked.shown, *worked.points)]
        headers = await headers_of(node, heights, tip)
        sources: dict[str, Source] = {**found.sources, "history": "electrum", "times": "node"}
        found = _with(
            found,
            coins=_placed(found.coins, headers),
            history=_timed(worked.shown, headers)[::-1],
            tx_count=len(history) - waiting,
            waiting_count=waiting,
            sources=sources,
            truncated=not whole,
        )
        if worked.moved is None:
            return found
        return _with(
            found,
            received=worked.moved.funded_sum,
            sent=worked.moved.spent_sum,
            moved=worked.moved,
            waiting_moved=worked.waiting,
            points=[
                Point(time=headers[one.height].time, balance=one.balance or 0)
                for one in worked.points
                if one.height is not None and one.height in headers
            ],
        )

    async def _worked_out(self, found: Found, history: Sequence[Used], after: str, alive: Alive) -> Worked:
        """By the account with all of these in it, which nobody else changes meanwhile."""
        name = found.script
        account = self._accounts.get(name) or self._accounts.put(name, _Account(Ledger(bytes.fromhex(name))))
        async with account.lock:
            items = [Item(one.txid, one.height if one.height > 0 else None, one.fee) for one in history]
            missing = account.ledger.missing(items)
            for start in range(0, len(missing), AT_ONCE):
                part = missing[start : start + AT_ONCE]
                for txid, flow in zip(part, await self._flows.of(part), strict=True):
                    account.ledger.read(txid, flow)
                alive()
            worked = await quickly(len(items), worked_out, account.ledger, items, found.page, after)
        self._accounts.shrink(lambda one: len(one.ledger), ENTRIES_KEPT)
        return worked


async def _alive(alive: Alive) -> None:
    while True:
        alive()
        await asyncio.sleep(ALIVE_SECONDS)


def _largest(one: Coin) -> tuple[int, str, int]:
    return -one.value, one.txid, one.vout


def _timed(entries: Sequence[Entry], headers: dict[int | None, Header]) -> list[Entry]:
    return [_with(entry, time=headers[entry.height].time) if entry.height in headers else entry for entry in entries]


def _placed(coins: Sequence[Unspent], headers: dict[int | None, Header]) -> list[Unspent]:
    return [
        _with(one, block=headers[one.height].hash, time=headers[one.height].time) if one.height in headers else one
        for one in coins
    ]

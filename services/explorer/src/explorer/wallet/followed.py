"""Scripts of one wallet at an Electrum server: each is subscribed, and read anew when its status is another.

So a look-up that is asked for again costs what changed since, and whoever looks can be told that something did.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from explorer.address.addresses import CHANGING_SECONDS, GONE_SECONDS
from explorer.address.ledger import Item, Ledger
from explorer.address.raw import flow
from explorer.aside import aside, quickly
from explorer.electrum.answers import Status, Used
from explorer.electrum.answers import Unspent as Coin
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from explorer.wallet.chains import UNUSED, Told, Touch
from shared.errors import ElectrumGone, ElectrumTooLong
from shared.lookups.address import HISTORY_MOST, Unspent
from shared.tasks import together
from shared.work import Alive

AT_ONCE: Final = 64
"""Transactions asked for side by side."""

_UNKNOWN: Final = "unknown"
"""Status of a script that the server follows for nobody, since its history is too long."""


class Followed:
    """A source for walks (explorer.wallet.looking). `changed` is called when the history of a script is another."""

    def __init__(self, electrum: Electrum, changed: Callable[[], None]) -> None:
        self._electrum = electrum
        self._changed = changed
        self._statuses: dict[bytes, Status] = {}  # of what is subscribed, as it is now
        self._scripts: dict[str, bytes] = {}  # by script hash
        self._read: dict[bytes, tuple[Status, Told]] = {}  # what was read, and at which status
        self._ledgers: dict[bytes, Ledger] = {}
        self.alive: Alive = lambda: None

    async def look(self, scripts: Sequence[bytes]) -> Sequence[Told]:
        """What the server knows of each. Raises ElectrumError."""
        await together(*(self._subscribe(script) for script in scripts if script not in self._statuses))
        status = {script: self._statuses[script] for script in scripts}
        stale = [
            script
            for script in scripts
            if status[script] is not None
            and (script not in self._read or _UNKNOWN in (status[script], self._read[script][0])
                 or self._read[script][0] != status[script])
        ]  # fmt: skip
        for script, told in zip(stale, await self._told(stale), strict=True):
            self._read[script] = status[script], told
        return [UNUSED if status[script] is None else self._read[script][1] for script in scripts]

    async def leave(self) -> None:
        """Nobody looks any more: follow nothing. What was read is kept, and is compared at the next look."""
        scripts = list(self._statuses)
        self._statuses.clear()
        self._scripts.clear()
        for start in range(0, len(scripts), AT_ONCE):
            part = map(Script.of, scripts[start : start + AT_ONCE])
            await together(*(self._electrum.unsubscribe(script, self._heard) for script in part))

    @property
    def follows(self) -> bool:
        """Whether anything is subscribed."""
        return bool(self._statuses)

    async def _subscribe(self, script: bytes) -> None:
        named = Script.of(script)
        self._scripts[named.hash] = script
        try:
            self._statuses[script] = await self._electrum.subscribe(named, self._heard)
        except ElectrumTooLong:
            self._statuses[script] = _UNKNOWN

    def _heard(self, scripthash: str, status: Status) -> None:
        script = self._scripts.get(scripthash)
        if script is not None and script in self._statuses:
            self._statuses[script] = status
            self._changed()

    async def _told(self, scripts: Sequence[bytes]) -> list[Told]:
        """Raises ElectrumGone where for CHANGING_SECONDS the server tells of what it does not know."""
        until = time.monotonic() + CHANGING_SECONDS
        while True:
            try:
                return await self._as_told(scripts)
            except ElectrumGone:  # it left the mempool after the history was told
                if time.monotonic() >= until:
                    raise
            self.alive()
            await asyncio.sleep(GONE_SECONDS)

    async def _as_told(self, scripts: Sequence[bytes]) -> list[Told]:
        histories = await together(*map(self._history, scripts))
        known = [history is not None and len(history) <= HISTORY_MOST for history in histories]
        await self._fill({
            script: history for script, history, whole in zip(scripts, histories, known, strict=True) if whole
        })  # fmt: skip
        return [
            await quickly(len(history or ()), self._worked_out, script, history)
            if whole
            else await self._long(script, history)
            for script, history, whole in zip(scripts, histories, known, strict=True)
        ]

    async def _history(self, script: bytes) -> list[Item] | None:
        """Oldest first; None where it is too long for every server to tell."""
        try:
            used = await self._electrum.history(Script.of(script))
        except ElectrumTooLong:
            return None
        return await quickly(len(used), _items, used)

    async def _fill(self, histories: dict[bytes, list[Item]]) -> None:
        """Read what the ledgers of these scripts do not have yet, each transaction once."""
        missing: dict[str, list[Ledger]] = {}
        for script, items in histories.items():
            ledger = self._ledgers.setdefault(script, Ledger(script))
            for txid in ledger.missing(items):
                missing.setdefault(txid, []).append(ledger)
        txids = list(missing)
        for start in range(0, len(txids), AT_ONCE):
            part = txids[start : start + AT_ONCE]
            for txid, raw in zip(part, await together(*map(self._electrum.transaction, part)), strict=True):
                moved = flow(raw)
                for ledger in missing[txid]:
                    ledger.read(txid, moved)
            self.alive()

    def _worked_out(self, script: bytes, items: Sequence[Item]) -> Told:
        ledger = self._ledgers[script]
        entries = ledger.entries(items)
        return Told(
            used=True,
            confirmed=sum(one.change or 0 for one in entries if one.height is not None),
            unconfirmed=sum(one.change or 0 for one in entries if one.height is None),
            tx_count=len(entries),
            history=[Touch(txid=one.txid, height=one.height, change=one.change, fee=one.fee) for one in entries],
            coins=ledger.coins(items),
        )

    async def _long(self, script: bytes, items: Sequence[Item] | None) -> Told:
        """Of a history that is too long to work out: what the server says of balance and coins."""
        named = Script.of(script)
        balance = await self._electrum.balance(named)
        try:
            coins = await aside(_coins, await self._electrum.unspent(named))
        except ElectrumTooLong:
            coins = None
        self.alive()
        return Told(
            used=True,
            confirmed=balance.confirmed,
            unconfirmed=balance.unconfirmed,
            tx_count=None if items is None else len(items),
            history=None if items is None else await aside(_bare, items),
            coins=coins,
        )


def _items(history: Sequence[Used]) -> list[Item]:
    return [Item(one.txid, one.height if one.height > 0 else None, one.fee) for one in history]


def _bare(items: Sequence[Item]) -> list[Touch]:
    return [Touch(txid=item.txid, height=item.height, fee=item.fee) for item in items]


def _coins(unspent: Sequence[Coin]) -> list[Unspent]:
    return [Unspent(txid=one.txid, vout=one.vout, value=one.value, height=one.height or None) for one in unspent]

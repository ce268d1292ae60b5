"""How a look is made: at an Electrum server, address by address, or by one scan of the node's coins for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from explorer.address.scan import Scans
from explorer.core.node import Nodes
from explorer.electrum.answers import Tip
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from explorer.treasury.balances import WAITING, Balances, Failure, Look, Told
from shared.errors import ElectrumError, ElectrumRefused, ElectrumTooLong, RpcError
from shared.events.base import Hash
from shared.service import Service
from shared.tasks import together

AT_ONCE: Final = 50
"""Balances asked for side by side."""

SETTLE_SECONDS: Final = 5.0
"""How long a server is given to tell the block that the node has: between the two it may count a payment twice, as one
that waits still and as one that is mined."""

LOOK_SECONDS: Final = 0.05


class Whole(NamedTuple):
    """A scan: what it brought, the block that it was at, and how long it took."""

    look: Look
    hash: str
    seconds: float


class AtServer:
    """Asks the Electrum server for balances, and for nothing that is long where an address is busy."""

    def __init__(self, service: Service, electrum: Electrum, nodes: Nodes, balances: Balances) -> None:
        self._service = service
        self._electrum = electrum
        self._nodes = nodes
        self._balances = balances

    async def look(self, scripts: Iterable[Script]) -> Look | None:
        """Their balances at one block of the server; None where another block came meanwhile. Raises ElectrumError."""
        tip, now_ms = await self._settled(), self._service.clock.now_ms
        told: dict[str, Told | Failure] = {}
        every = list(scripts)
        for start in range(0, len(every), AT_ONCE):
            await together(*(self._ask(one, told) for one in every[start : start + AT_ONCE]))
        after = await self._electrum.tip()
        return Look(told, tip.height, now_ms) if after.hash == tip.hash else None

    async def _ask(self, script: Script, told: dict[str, Told | Failure]) -> None:
        """One that cannot be told keeps no other from being told."""
        try:
            balance = await self._electrum.balance(script)
            waiting = None
            if self._balances.differs(script.hash, balance.confirmed, balance.unconfirmed):
                waiting = await self._waiting(script)
            else:
                waiting = self._balances.known[script.hash].waiting
            told[script.hash] = Told(balance.confirmed, balance.unconfirmed, waiting)
        except (ElectrumRefused, ElectrumTooLong) as error:
            told[script.hash] = Failure("refused", str(error))
        except ElectrumError as error:
            told[script.hash] = Failure("away", str(error))

    async def _waiting(self, script: Script) -> list[str] | None:
        try:
            waiting = sorted({one.txid for one in await self._electrum.mempool(script)})
        except ElectrumError:  # a balance without its transaction is one all the same
            return None
        return waiting if len(waiting) <= WAITING else None

    async def _settled(self) -> Tip:
        """The server's newest block, once it is the node's; after SETTLE_SECONDS whichever it is."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            tip = await self._electrum.tip()
            try:
                best: str = await self._nodes.ask(lambda node: node.rpc.call("getbestblockhash", kind=Hash))
            except RpcError:
                return tip
            if best == tip.hash or time.monotonic() >= until:
                return tip
            await asyncio.sleep(LOOK_SECONDS)


class ByScan:
    """Asks the node for all coins of all addresses at once."""

    def __init__(self, service: Service, nodes: Nodes, scans: Scans, balances: Balances) -> None:
        self._service = service
        self._nodes = nodes
        self._scans = scans
        self._balances = balances

    async def best(self) -> str:
        """The node's newest block; raises RpcError."""
        best: str = await self._nodes.ask(lambda node: node.rpc.call("getbestblockhash", kind=Hash))
        return best

    async def look(self, scripts: Mapping[str, Script]) -> Whole | None:
        """One scan; None where a look-up of somebody goes first. Raises RpcError."""
        began, now_ms = time.monotonic(), self._service.clock.now_ms
        raw = {name: bytes.fromhex(one.script or "") for name, one in scripts.items()}
        found = await self._nodes.ask(lambda node: self._scans.aside(node, list(raw.values())))
        if found is None:
            return None
        told: dict[str, Told | Failure] = {}
        for name, script in raw.items():
            coins = found.coins[script]
            before = self._balances.known.get(name)
            confirmed = sum(one.value for one in coins)
            new = [one for one in coins if before is not None and (one.height or 0) > before.height]
            txids = {one.txid for one in new}
            alone = before and len(txids) == 1 and sum(one.value for one in new) == confirmed - before.confirmed
            told[name] = Told(confirmed, None, None, txids.pop() if alone else "")
        return Whole(Look(told, found.height, now_ms), found.hash, time.monotonic() - began)

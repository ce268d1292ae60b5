"""Scripts of one wallet by the node's coins alone: where there is no Electrum server.

A scan takes minutes on the main chain, so many scripts are asked for in one. It tells balances and coins, and nothing
of what was spent: an address that was used and is empty looks unused, so none can be called the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from explorer.address.scan import KEPT_MS, Scans
from explorer.core.node import Node
from explorer.wallet.branches import Wallet
from explorer.wallet.chains import SLICE_SECONDS, Told
from shared.lookups.address import Unspent
from shared.lookups.parts import Tip
from shared.lookups.wallet import Found
from shared.work import Alive

RANGE: Final = 2_000
"""Scripts that the first scan looks at, of all chains together."""


class ScannedCoins:
    """A source for walks (explorer.wallet.looking). What a scan found holds for KEPT_MS, with its block named."""

    def __init__(self, scans: Scans, wallet: Wallet, name: str) -> None:
        self._scans = scans
        self._wallet = wallet
        self._name = name
        self._found: dict[bytes, list[Unspent]] = {}
        self._node: Node | None = None
        self._until = 0.0
        self._tip: Tip | None = None
        self.alive: Alive = lambda: None

    @property
    def tip(self) -> Tip:
        """The block of the last scan."""
        if self._tip is None:
            raise RuntimeError("nothing was scanned yet")
        return self._tip

    async def begin(self, node: Node, gap: int) -> None:
        """Scan as far as is likely to be needed, unless that was done a while ago. Raises RpcError."""
        self._node = node
        if time.monotonic() < self._until and self._tip is not None and await node.has(self._tip.hash):
            return
        self._found.clear()
        await self._scan(await self._likely(max(gap, RANGE // len(self._wallet.branches))))
        self._until = time.monotonic() + KEPT_MS / 1000

    async def look(self, scripts: Sequence[bytes]) -> Sequence[Told]:
        """One scan more for those that were not in one yet."""
        unknown = [script for script in scripts if script not in self._found]
        if unknown:
            await self._scan(unknown)
        return [_told(self._found[script]) for script in scripts]

    async def _scan(self, scripts: Sequence[bytes]) -> None:
        if self._node is None:
            raise RuntimeError("scripts were asked for before `begin`")
        self._tip, found = await self._scans.coins(self._node, scripts, self._name, self.alive)
        self._found.update(found)

    async def _likely(self, count: int) -> list[bytes]:
        """The first so many of each chain, derived in slices between which the loop goes on."""
        scripts: dict[bytes, None] = {}
        until = time.perf_counter() + SLICE_SECONDS
        for branch in self._wallet.branches:
            for index in range(count if branch.count is None else branch.count):
                scripts[branch.script(index)] = None
                if time.perf_counter() >= until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + SLICE_SECONDS
        return list(scripts)


def _told(coins: list[Unspent]) -> Told:
    return Told(used=bool(coins), confirmed=sum(coin.value for coin in coins), coins=coins)


def bounded(found: Found) -> Found:
    """Without what only histories tell."""
    return replace(
        found,
        unconfirmed=None,
        received=None,
        sent=None,
        history=None,
        tx_count=None,
        points=None,
        next_receive=None,
        next_change=None,
        chains=[replace(chain, next=None) for chain in found.chains],
    )

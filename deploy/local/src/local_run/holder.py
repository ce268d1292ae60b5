"""The demonstration's holder of bitcoin: a wallet that publishes its addresses, so that its claim can be checked."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

from local_run.node import RegtestNode
from local_run.wallets import ADDRESS_TYPES, MINING, Wallets, load

_WALLET: Final = "holder"
_LABEL: Final = "published"
_PARTS: Final = (13.4, 7.25, 4.3)  # bitcoin, at first: a little less than marketcap's sample says that it has
_COMES, _GOES = 0.4, 0.2  # chances, at each block
_FEE_RATE: Final = 5  # sat/vB


class Holder:
    """The wallet, and the file that says its addresses, one a line. Every method raises as shared.rpc does."""

    def __init__(self, node: RegtestNode, chance: random.Random, published: Path) -> None:
        self._node = node
        self._chance = chance
        self._published = published
        self._addresses: list[str] = []

    async def open(self) -> None:
        """Load the wallet, or make it and have it paid by the one that mines, which has to have coins."""
        listed = await self._node.rpc("listwalletdir")
        known = {entry["name"] for entry in listed["wallets"]}
        await load(self._node, _WALLET, exists=_WALLET in known)
        labels: list[str] = await self._call("listlabels")
        if _LABEL not in labels:
            addresses = [await self._call("getnewaddress", _LABEL, kind) for kind in ADDRESS_TYPES[1:]]
            await load(self._node, MINING, exists=MINING in known)
            outputs = [{one: amount} for one, amount in zip(addresses, _PARTS, strict=True)]
            await self._node.rpc("send", outputs, None, "unset", _FEE_RATE, wallet=MINING)
        self._addresses = sorted(await self._call("getaddressesbylabel", _LABEL))
        self._published.write_text("".join(f"{one}\n" for one in self._addresses))

    async def live(self, wallets: Wallets) -> None:
        """After a block: now and then something comes, and now and then something goes."""
        if not self._addresses:
            await self.open()
        if self._chance.random() < _COMES:
            amount = round(self._chance.uniform(0.01, 0.6), 8)
            to = self._chance.choice(self._addresses)
            await wallets.pay("send", [{to: amount}], None, "unset", _FEE_RATE)
        if self._chance.random() < _GOES:
            coins = await self._call("listunspent", 1)
            if len(coins) > len(self._addresses):
                coin = min(coins, key=lambda one: one["amount"])
                inputs = {"inputs": [{"txid": coin["txid"], "vout": coin["vout"]}]}
                await self._call("sendall", [await wallets.address()], None, "unset", _FEE_RATE, inputs)

    async def _call(self, method: str, *params: object) -> Any:
        return await self._node.rpc(method, *params, wallet=_WALLET)

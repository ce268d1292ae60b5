"""The demonstration's wallets on its own node: one that mines, one that spends, refilled from the first.

A node's wallet slows with every transaction that it ever saw, so the spending wallet is replaced by a
fresh one from time to time, and what it holds is moved over.
"""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path
from typing import Any, Final

from local_run.node import RegtestNode
from shared.errors import RpcRefused

ADDRESS_TYPES: Final = ("legacy", "p2sh-segwit", "bech32", "bech32m")
_WEIGHTS: Final = (15, 10, 50, 25)  # roughly how mainnet's outputs were spread in 2024

MINING: Final = "mining"
_SPENDING: Final = re.compile(r"spending-(\d+)")
_ALREADY_LOADED: Final = -35  # RPC_WALLET_ALREADY_LOADED, bitcoin/src/rpc/protocol.h
_NO_FUNDS: Final = -6  # RPC_WALLET_INSUFFICIENT_FUNDS
_ADDRESSES: Final = 50  # of each type
_SWEPT_AT_ONCE: Final = 500  # inputs: a transaction of more would near the limit of 100,000 vB


class Wallets:
    """Which wallets there are, and what is in them. Every method raises as shared.rpc does."""

    def __init__(self, node: RegtestNode, chance: random.Random, shown: Path | None = None) -> None:
        """`shown` is the file with the public descriptors of the wallet that pays, for whoever wants to look at it."""
        self.node = node
        self._shown = shown
        self._chance = chance
        self._number = 0
        self._mining_script = b""
        self._addresses: dict[str, list[str]] = {}

    @property
    def spending(self) -> str:
        """Name of the wallet that pays."""
        return f"spending-{self._number}"

    async def open(self) -> None:
        """Load the wallets, or make them; a node forgets which were loaded when it starts again."""
        directory = await self.node.rpc("listwalletdir")
        numbers = [int(match[1]) for entry in directory["wallets"] if (match := _SPENDING.fullmatch(entry["name"]))]
        self._number = max(numbers, default=1)
        self._addresses.clear()
        known = {entry["name"] for entry in directory["wallets"]}
        for name in (MINING, self.spending):
            await load(self.node, name, exists=name in known)
        await self._show()

    async def mining_script(self) -> bytes:
        """The output script that blocks pay to."""
        if not self._mining_script:
            address = await self.node.rpc("getnewaddress", "", "bech32", wallet=MINING)
            answer = await self.node.rpc("getaddressinfo", address, wallet=MINING)
            self._mining_script = bytes.fromhex(answer["scriptPubKey"])
        return self._mining_script

    async def pay(self, method: str, *params: object, kind: Any = Any) -> Any:
        """A call to the wallet that pays; `kind` is the type of its result."""
        return await self.node.rpc(method, *params, wallet=self.spending, kind=kind)

    async def address(self) -> str:
        """An address of the paying wallet, of a type drawn at random.

        They come round again after a while: a new one for each output would cost the node most of its time.
        """
        (kind,) = self._chance.choices(ADDRESS_TYPES, _WEIGHTS)
        if kind not in self._addresses:
            calls = [("getnewaddress", ("", kind))] * _ADDRESSES
            answers = await self.node.batch(calls, wallet=self.spending, kind=str)
            for answer in answers:
                if isinstance(answer, RpcRefused):
                    raise answer
            self._addresses[kind] = answers
        return self._chance.choice(self._addresses[kind])

    async def addresses(self, count: int) -> list[str]:
        """Different ones, as the outputs of one transaction must have; at most 100."""
        chosen: dict[str, None] = {}
        while len(chosen) < count:
            chosen[await self.address()] = None
        return list(chosen)

    async def transaction_count(self) -> int:
        """How many transactions the paying wallet carries along."""
        answer: int = (await self.pay("getwalletinfo"))["txcount"]
        return answer

    async def refill(self, parts: int) -> bool:
        """Move what has matured from the mining wallet to the paying one, in equal parts; False: nothing there."""
        return await self._move(MINING, parts)

    async def replace(self, parts: int) -> None:
        """Go on with a fresh paying wallet, with all that the old one could spend.

        What is unconfirmed stays behind and is lost, so mine a block before. The moved funds count once the
        next block is mined.
        """
        old = self.spending
        self._number += 1
        self._addresses.clear()
        await load(self.node, self.spending, exists=False)
        await self._show()
        while await self._move(old, parts):
            pass
        await self.node.rpc("unloadwallet", old)
        shutil.rmtree(self.node.folder / "regtest" / "wallets" / old, ignore_errors=True)

    async def _move(self, source: str, parts: int) -> bool:
        coins = await self.node.rpc("listunspent", 1, wallet=source)
        coins.sort(key=lambda coin: coin["amount"], reverse=True)
        inputs = [{"txid": coin["txid"], "vout": coin["vout"]} for coin in coins[:_SWEPT_AT_ONCE]]
        if not inputs:
            return False
        total = sum(coin["amount"] for coin in coins[:_SWEPT_AT_ONCE])
        # Each part must stay above what an output is worth at least.
        targets = await self.addresses(max(1, min(parts, int(total * 1000))))
        try:
            await self.node.rpc("sendall", targets, None, None, 2, {"inputs": inputs}, wallet=source)
        except RpcRefused as error:
            if error.code == _NO_FUNDS:  # worth less than its fee
                return False
            raise
        return True

    async def _show(self) -> None:
        if self._shown is not None:
            listed = await self.pay("listdescriptors")
            self._shown.write_text("".join(f"{one['desc']}\n" for one in listed["descriptors"] if one["active"]))


async def load(node: RegtestNode, name: str, *, exists: bool) -> None:
    """Make a wallet, or load the one that there is; raises as shared.rpc does."""
    if not exists:
        await node.rpc("createwallet", name)
        return
    try:
        await node.rpc("loadwallet", name)
    except RpcRefused as error:
        if error.code != _ALREADY_LOADED:
            raise

"""A real regtest chain with transactions of every kind to look up, and the explorer running on it."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from local_run.node import RegtestNode
from shared import redis
from shared.domains import CHANGES
from shared.events.lookups import Asked
from shared.jobs import Answer, Jobs
from shared.keys import Keys
from support.stack import until

KEYS = Keys("regtest")
TYPES = ("legacy", "p2sh-segwit", "bech32", "bech32m")
WALLET = "explored"


class Chain:
    """A node with a wallet that has mature coins."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.node = RegtestNode(folder, extra=extra)
        self.chance = random.Random(7)
        self.mining = ""

    async def __aenter__(self) -> Chain:
        await self.node.__aenter__()
        await self.node.rpc("createwallet", WALLET)
        self.mining = await self.wallet("getnewaddress", "", "bech32")
        await self.mine(110)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.node.__aexit__(*error)

    async def wallet(self, method: str, *params: Any, kind: Any = Any) -> Any:
        return await self.node.rpc(method, *params, wallet=WALLET, kind=kind)

    async def mine(self, blocks: int = 1) -> list[str]:
        hashes: list[str] = await self.node.rpc("generatetoaddress", blocks, self.mining)
        return hashes

    async def pay(self, outputs: list[dict[str, Any]] | None = None, **options: Any) -> str:
        """Pay; to one address of each type where nothing is said. Returns the txid."""
        if outputs is None:
            outputs = [
                {await self.wallet("getnewaddress", "", one): float(Decimal(self.chance.randrange(1, 10**7)) / 10**8)}
                for one in TYPES
            ]
        sent = await self.wallet("send", outputs, None, "unset", options.pop("fee_rate", 5), options)
        txid: str = sent["txid"]
        return txid


async def answer(client: redis.Client, question: str, wanted: Asked, limit: float = 10) -> Answer:
    """What the explorer answers."""
    jobs = Jobs(client, KEYS, CHANGES.slot)
    await jobs.ask(question, wanted)
    found = await until(lambda: jobs.answer(question), limit, f"{question} is answered")
    assert found is not None
    return found

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

KEY = "02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
SCRIPTS = {
    "P2PK": f"21{KEY}ac",
    "P2PKH": "76a914" + "11" * 20 + "88ac",
    "P2SH": "a914" + "12" * 20 + "87",
    "P2WPKH": "0014" + "13" * 20,
    "P2WSH": "0020" + "14" * 32,
    "P2TR": f"5120{KEY[2:]}",
    "P2A": "51024e73",
    "unknown witness version": "5210" + "15" * 16,
    "bare multisig": f"5121{KEY}21{KEY}52ae",
    "OP_RETURN": "6a" + "0e" + b"hello <b>you".hex() + "c3a9",
}
"""A script of every type that may be sent, by what pages call it; the last one says "hello <b>youé"."""

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
        await self.node.rpc("createwallet", WALLET, False, False, "", False, True, True)  # there again after a restart
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

    async def pay_scripts(self, scripts: list[str], satoshi: int = 10_000, fee_rate: float = 5) -> str:
        """Mine a payment to scripts (hex) that no node need relay, of less than 253 bytes each. Returns the txid."""
        places = [await self.wallet("getnewaddress", "", "bech32") for _ in scripts]
        outputs = [{place: float(Decimal(satoshi) / 10**8)} for place in places]
        raw: str = await self.node.rpc("createrawtransaction", [], outputs)
        for place, script in zip(places, scripts, strict=True):
            own = (await self.node.rpc("validateaddress", place))["scriptPubKey"]
            raw = raw.replace(f"{len(own) // 2:02x}{own}", f"{len(script) // 2:02x}{script}")
        options = {"fee_rate": fee_rate, "changePosition": len(scripts)}
        funded = await self.wallet("fundrawtransaction", raw, options)
        signed = await self.wallet("signrawtransactionwithwallet", funded["hex"])
        await self.node.rpc("generateblock", self.mining, [signed["hex"]])
        txid: str = (await self.node.rpc("decoderawtransaction", signed["hex"]))["txid"]
        return txid


async def answer(client: redis.Client, question: str, wanted: Asked, limit: float = 10) -> Answer:
    """What the explorer answers."""
    jobs = Jobs(client, KEYS, CHANGES.slot)
    await jobs.ask(question, wanted)
    found = await until(lambda: jobs.answer(question), limit, f"{question} is answered")
    assert found is not None
    return found

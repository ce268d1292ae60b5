"""Wallets of a node as they are entered, and what the explorer finds of them."""

from __future__ import annotations

from typing import Any

import msgspec

from local_run.node import RegtestNode
from shared import redis
from shared.domains import CHANGES
from shared.events.lookups import WalletWanted
from shared.lookups import wallet
from shared.lookups.parts import Away
from shared.lookups.wallet import Entered, Found
from shared.sealed import Seal, new_handle
from shared.wallets import SealedWallet
from support.explored import KEYS, answer

SECRET = "a secret of these tests, with more than 32 characters"  # noqa: S105 - of tests
HOUR_MS = 3_600_000
FAR_MS = 2**42


async def descriptors(node: RegtestNode, name: str) -> str:
    """All public descriptors of a node's wallet, a line each."""
    listed = await node.rpc("listdescriptors", wallet=name)
    return "\n".join(one["desc"] for one in listed["descriptors"] if one["active"])


def satoshi(amount: float) -> int:
    return round(amount * 10**8)


class Asking:
    """One wallet that is asked for at the explorer."""

    def __init__(self, client: redis.Client, text: str, form: wallet.Form = "") -> None:
        seal, handle = Seal(SECRET), new_handle()
        self.client = client
        self.sealed = SealedWallet(seal, seal.name(handle))
        self.entered = self.sealed.seal_entered(Entered(text=text, form=form), FAR_MS)

    async def found(self, *, gap: int = 20, page: int = 0, coins: int = 0, limit: float = 60) -> Any:
        """What the explorer says now."""
        question = f"wallet:{self.sealed.name}:{gap}:{page}:{coins}"
        await self.client.delete(KEYS.answer(CHANGES.slot, question))
        wanted = WalletWanted(name=self.sealed.name, sealed=self.entered, gap=gap, page=page, coins=coins)
        said = await answer(self.client, question, wanted, limit)
        assert said.status == "done", said.error
        read = msgspec.json.decode(bytes(said.data), type=str | Away)
        return read if isinstance(read, Away) else self.sealed.open_answer(read, 0)

    async def whole(self, **options: Any) -> Found:
        found = await self.found(**options)
        assert isinstance(found, Found), found
        assert found.complete
        return found

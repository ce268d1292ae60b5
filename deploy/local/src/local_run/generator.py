"""Life on the demonstration's chain: a few transactions a second, and a block about every 45 seconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_run.errors import SetupError
from local_run.holder import Holder
from local_run.mining import TAGS, mine
from local_run.node import RegtestNode
from local_run.payments import NoCoins, Payments
from local_run.wallets import Wallets
from shared.errors import DashboardError, RpcError, RpcRefused, RpcUnreachable, RpcWarmingUp

_FEWEST_COINS, _MOST_COINS = 200, 600
_REFILL_PARTS: Final = 50
_REFILL_BLOCKS: Final = 10  # blocks between two looks at what has matured
_RETRY_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Pace:
    """How fast; in seconds."""

    payment: float = 0.45
    """Mean time between two payments, exponentially spread."""
    block: float = 45
    """Mean time between two blocks, exponentially spread, within the bounds below."""
    shortest_block: float = 5
    longest_block: float = 150


class Generator:
    """Transacts and mines until cancelled; a refusal, a low balance or a node that is away only delays it."""

    def __init__(
        self,
        node: RegtestNode,
        *,
        chance: random.Random,
        say: Callable[[str], None],
        pace: Pace | None = None,
        wallet_transactions: int = 4000,
        shown: Path | None = None,
        holder: Holder | None = None,
    ) -> None:
        """`say` is given each event in words; the paying wallet is replaced after so many transactions.

        Its public descriptors are in the file `shown`. To and from the holder something is paid now and then.
        """
        self._node = node
        self._chance = chance
        self._say = say
        self._pace = pace or Pace()
        self._wallet_transactions = wallet_transactions
        self._wallets = Wallets(node, chance, shown)
        self._payments = Payments(self._wallets, chance)
        self._holder = holder
        self._blocks = 0
        self._trouble = ""

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self._wallets.open()
                # At once: a node whose tip is older than a day takes itself for one that is still catching up.
                await self._mine()
                await self._live()
            except (RpcError, SetupError) as error:
                self._complain(error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        next_block = loop.time() + self._block_gap()
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / self._pace.payment))
            await self._payments.make_one()
            self._recovered()
            if loop.time() >= next_block:
                await self._mine()
                next_block = loop.time() + self._block_gap()

    def _block_gap(self) -> float:
        drawn = self._chance.expovariate(1 / self._pace.block)
        return min(max(drawn, self._pace.shortest_block), self._pace.longest_block)

    async def _mine(self) -> None:
        script = await self._wallets.mining_script()
        _, height, count = await mine(self._node, script, self._chance.choice(TAGS))
        self._say(f"mined block {height} with {count} transaction{'s' * (count != 1)}")
        # All is confirmed at this moment, so that a wallet can be left behind without leaving funds in it.
        if await self._wallets.transaction_count() > self._wallet_transactions:
            await self._wallets.replace(_REFILL_PARTS)
            await mine(self._node, script, self._chance.choice(TAGS))
            self._say(f"moved on to the wallet {self._wallets.spending}")
        await self._payments.block_mined()
        try:
            if self._blocks % _REFILL_BLOCKS == 0:
                await self._wallets.refill(_REFILL_PARTS)
            await self._payments.tidy(fewest=_FEWEST_COINS, most=_MOST_COINS)
            if self._holder is not None:
                await self._holder.live(self._wallets)
        except (RpcRefused, NoCoins) as error:  # the next block is another occasion
            self._complain(error)
        self._blocks += 1

    def _complain(self, error: DashboardError) -> None:
        """Once for each new trouble, not for each try."""
        trouble = "the node does not answer" if isinstance(error, RpcUnreachable | RpcWarmingUp) else str(error)
        if trouble != self._trouble:
            self._trouble = trouble
            self._say(f"waiting: {trouble}")

    def _recovered(self) -> None:
        if self._trouble:
            self._trouble = ""
            self._say("transacting again")

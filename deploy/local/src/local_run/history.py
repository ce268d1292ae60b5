"""A regtest chain with a past: a month of blocks, the recent ones with transactions in them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import accumulate
from typing import Final

from local_run.mining import TAGS, mine
from local_run.node import RegtestNode
from local_run.payments import Payments
from local_run.wallets import Wallets

DAYS: Final = 31
BLOCKS: Final = 300
BUSY_BLOCKS: Final = 100
"""The last ones, which hold transactions; the coinbases before them have matured by then."""

_PAYMENTS_A_BLOCK: Final = (1, 6)
_COINS: Final = 90
_DAY: Final = 86_400


def block_times(now: int, blocks: int, days: int, chance: random.Random) -> list[int]:
    """Unix times of the blocks, rising, exponentially spaced like real ones, the last one shortly before `now`."""
    gaps = [max(chance.expovariate(1), 0.05) for _ in range(blocks)]
    scale = days * _DAY / sum(gaps)
    start = now - days * _DAY - 30
    return [start + int(passed * scale) for passed in accumulate(gaps)]


async def build(
    node: RegtestNode,
    *,
    chance: random.Random,
    blocks: int = BLOCKS,
    busy: int = BUSY_BLOCKS,
    days: int = DAYS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Mine `blocks` on a node that has none, dated over the last `days`; `progress` is told done and total.

    The node's clock is the real one again afterwards. Raises as shared.rpc does.
    """
    wallets = Wallets(node, chance)
    payments = Payments(wallets, chance)
    times = block_times(int(time.time()), blocks, days, chance)
    await node.rpc("setmocktime", times[0])
    await wallets.open()
    script = await wallets.mining_script()
    for height, at in enumerate(times, start=1):
        await node.rpc("setmocktime", at)
        remaining = blocks - height
        if remaining == busy:
            await wallets.refill(_COINS)
        elif remaining < busy:
            for _ in range(chance.randint(*_PAYMENTS_A_BLOCK)):
                await payments.make_one()
        await mine(node, script, chance.choice(TAGS))
        if remaining <= busy:
            await payments.block_mined()
        if height % 100 == 0 or height == blocks:
            progress(height, blocks)
    await node.rpc("setmocktime", 0)

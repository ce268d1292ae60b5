"""How long a full block takes from the node to a client of the event stream."""

from __future__ import annotations

import time

from bench.figures import Figure, percentile
from bench.latency import watching
from support.spending import Coin, chain, mine, send
from support.stack import Stack

TRANSACTIONS = 7_700
CHAIN = 20
BLOCKS = 7
TARGET_MS = 50.0


async def measure(stack: Stack, coins: list[Coin]) -> list[Figure]:
    """p50 and the slowest from the return of the call that mined it, in ms; all services are quiet before."""
    while (await stack.node.rpc("getmempoolinfo"))["size"]:
        await mine(stack.node)  # what earlier parts left waiting would be in the block, too
    await stack.synced(60)
    chosen = coins[: TRANSACTIONS // CHAIN]
    seen, bare = [], []
    async with watching(stack) as (events, hints):
        for _ in range(BLOCKS):
            chains = [chain(coin, CHAIN, [3, 20, 1.5, 60]) for coin in chosen]
            await send(stack.node, [built for one in chains for built in one])
            await events.time(chains[-1][-1].txid, 60)
            await stack.synced(60)
            [block_hash] = await mine(stack.node)
            returned = time.perf_counter()
            count = (await stack.node.rpc("getblockheader", block_hash))["nTx"]
            assert count == TRANSACTIONS + 1, f"{count} transactions in the block"
            seen.append(await events.time(block_hash) - returned)
            bare.append(await hints.time(block_hash) - returned)
            await stack.synced(60)
            chosen = [one[-1].outputs[0] for one in chains]
    return [
        Figure(
            f"block of {TRANSACTIONS:,} transactions to SSE client, {name} of {BLOCKS}",
            1000 * percentile(seen, percent),
            "ms",
            TARGET_MS if percent == 50 else None,
            baseline=1000 * percentile(bare, percent),
            baseline_name="ms to a bare ZMQ subscriber",
        )
        for name, percent in (("p50", 50), ("slowest", 100))
    ]

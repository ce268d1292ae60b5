"""Without ZMQ the node is asked every 2 s, and what was compared is confirmed, however busy its mempool is."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.tasks import end
from support.feed import KEYS, feeding, mempool
from support.slow_link import SlowLink
from support.spending import Built, build, fan_out, mine, mined_coins, send

SECONDS = 14.0
STALE_MS = 10_000
"""Half the time after which readers call it stale, and less than what flows here: unconfirmed meanwhile is too old."""


async def steadily(node: RegtestNode, transactions: list[Built], seconds: float) -> None:
    began = time.monotonic()
    for place, built in enumerate(transactions):
        await send(node, [built])
        await asyncio.sleep(max(0.0, began + seconds * (place + 1) / len(transactions) - time.monotonic()))


@pytest.mark.parametrize("lacking", [pytest.param("address", marks=pytest.mark.full), "sequence"])
async def test_a_mempool_in_flow_is_confirmed_all_the_while(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, lacking: str
) -> None:
    """Over a line on which several come while the node is read."""
    async with (
        RegtestNode(tmp_path / "node", sequence=lacking != "sequence") as node,
        SlowLink(node.rpc_port, 150_000) as link,
    ):
        env = {"MAIN_RPC_URL": link.url}
        await in_flow(node, valkey, {**env, "MAIN_ZMQ_URLS": ""} if lacking == "address" else env)


async def in_flow(node: RegtestNode, valkey: EmbeddedValkey, env: dict[str, str]) -> None:
    coins = await fan_out(node, await mined_coins(node, 1), 280)
    transactions = [build([coin], [coin.value - 500]) for coin in coins]  # 20 a second
    ages: list[int] = []
    async with feeding(node, valkey, **env) as feed:
        await feed.agrees()
        sending = asyncio.create_task(steadily(node, transactions, SECONDS))
        try:
            while not sending.done():
                ages.append(await feed.now_ms() - (await feed.confirmed("mempool"))[1])
                await asyncio.sleep(0.1)
        finally:
            await end(sending)
        sending.result()
        await feed.agrees()
        assert mempool(await feed.entries(KEYS.stream(domains.TXS))) == {built.txid for built in transactions}
        await mine(node)
        await feed.agrees()
        assert mempool(await feed.entries(KEYS.stream(domains.TXS))) == set(await node.rpc("getrawmempool"))
    print(f"without ZMQ, {len(transactions) / SECONDS:.0f} a second: oldest {max(ages) / 1000:.1f} s")
    assert max(ages) < STALE_MS

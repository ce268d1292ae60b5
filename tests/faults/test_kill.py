"""`kill -9` of any part in the middle of a burst: afterwards the state is the node's, and each event is there once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared import domains
from shared.errors import RpcError, RpcRefused
from shared.tasks import end
from support import check
from support.spending import Built, chain, fan_out, mine, mined_coins
from support.stack import Stack, until

VICTIMS = [*check.LIVE, "redis", "node"]


async def push(stack: Stack, transactions: list[Built], sent: set[str]) -> None:
    """Send all, again and again until the node has each in its mempool or in a block; survives the node's death."""
    for start in range(0, len(transactions), 25):
        part = transactions[start : start + 25]
        while True:
            try:
                results = await stack.node.batch([("sendrawtransaction", (built.raw, 0)) for built in part], kind=str)
            except RpcError:
                await asyncio.sleep(0.05)
                continue
            break
        sent.update(
            built.txid for built, result in zip(part, results, strict=True) if not isinstance(result, RpcRefused)
        )


async def burst(stack: Stack, transactions: list[Built], blocks: int, sent: set[str]) -> None:
    """Send the transactions, with a block after each part of them but the last."""
    step = len(transactions) // (blocks + 1)
    for place in range(blocks + 1):
        await push(stack, transactions[place * step : (place + 1) * step], sent)
        while place < blocks:
            try:
                await mine(stack.node)
            except RpcError:
                await asyncio.sleep(0.05)
                continue
            break


@pytest.mark.parametrize("victim", VICTIMS)
async def test_kill_in_the_middle_of_a_burst(stack: Stack, tmp_path: Path, victim: str, full: bool) -> None:
    count, blocks, kills = (5_000, 20, 3) if full else (1_000, 4, 1)
    node = stack.node
    coins = await fan_out(node, await mined_coins(node, 2), count // 20)
    transactions = [built for coin in coins for built in chain(coin, 10, [3, 20, 1.5, 60])]
    # what a node forgets when it is killed before its first flush is not what is tested here
    await node.rpc("gettxoutsetinfo")
    await stack.start(*check.LIVE)
    await stack.synced()
    sent: set[str] = set()
    sending = asyncio.create_task(burst(stack, transactions, blocks, sent))
    try:
        for strike in range(1, kills + 1):

            async def far_enough(strike: int = strike) -> bool:
                return len(sent) >= strike * count // (kills + 1) or sending.done()

            await until(far_enough, 120, "the burst goes on")
            await check.kill(stack, victim)
        await sending
    finally:
        await end(sending)
    await check.equals_node(stack, limit=60)
    await check.equals_fresh_build(stack, tmp_path / "fresh")


async def test_stopped_services_continue_where_they_were(stack: Stack, tmp_path: Path) -> None:
    """SIGTERM to all, blocks and transactions meanwhile, start again: nothing twice, nothing missing."""
    node = stack.node
    coins = await fan_out(node, await mined_coins(node, 1), 60)
    await stack.start(*check.LIVE)
    await stack.synced()
    before = len(await stack.entries(stack.keys.stream(domains.BLOCKS)))
    sent: set[str] = set()
    await push(stack, [built for coin in coins[:20] for built in chain(coin, 5, [5])], sent)
    assert await asyncio.gather(*(stack.stop(name) for name in check.LIVE)) == [0] * len(check.LIVE)
    await mine(node, 2)
    await push(stack, [built for coin in coins[20:40] for built in chain(coin, 5, [9])], sent)
    await stack.start(*check.LIVE)
    await check.equals_node(stack)
    events = await stack.entries(stack.keys.stream(domains.BLOCKS))
    assert [kind for _, _, kind, _ in events[before:]] == ["block.connected"] * 2
    await check.equals_fresh_build(stack, tmp_path / "fresh")


async def test_a_restart_knows_who_spends_from_whom(stack: Stack) -> None:
    node = stack.node
    coins = await fan_out(node, await mined_coins(node, 1), 30)
    await stack.start(*check.LIVE)
    await push(stack, [built for coin in coins[:20] for built in chain(coin, 6, [2, 5, 60, 1.5, 30, 9])], set())
    await check.equals_node(stack)
    await stack.kill("mempool")
    await stack.start("mempool")
    await push(stack, chain(coins[20], 1, [5]), set())  # so that the views are made by the new process
    await check.equals_node(stack)


async def test_redis_loses_everything_while_services_run(stack: Stack, tmp_path: Path) -> None:
    """Whatever is lost is made anew from the node, without a restart."""
    node = stack.node
    coins = await fan_out(node, await mined_coins(node, 1), 40)
    await stack.start(*check.LIVE)
    await stack.synced()
    sent: set[str] = set()
    await push(stack, [built for coin in coins[:20] for built in chain(coin, 5, [5, 30])], sent)
    await stack.synced()
    await stack.redis.flushall()
    await push(stack, [built for coin in coins[20:40] for built in chain(coin, 5, [9, 2])], sent)
    await check.equals_node(stack)
    await check.equals_fresh_build(stack, tmp_path / "fresh")


async def test_a_standby_takes_over(stack: Stack, tmp_path: Path) -> None:
    """kill -9 of the active replicas while a second of each stands by."""
    node = stack.node
    coins = await fan_out(node, await mined_coins(node, 1), 40)
    await stack.start(*check.LIVE)
    await stack.synced()
    spare = Stack(tmp_path / "spare", node=node, valkey=stack.valkey)
    spare.folder.mkdir()
    try:
        for name in check.LIVE:
            await spare.start(name, INSTANCE=f"{name}-spare")

        async def standing_by() -> bool:
            states = [health.state for health in await stack.heartbeats() if health.instance.endswith("-spare")]
            return states == ["standby"] * len(check.LIVE)

        await until(standing_by, 10, "all spares stand by")
        sent: set[str] = set()
        await push(stack, [built for coin in coins[:20] for built in chain(coin, 5, [5, 30])], sent)
        for name in check.LIVE:
            await stack.kill(name)
        await push(stack, [built for coin in coins[20:40] for built in chain(coin, 5, [9, 2])], sent)
        await mine(node)
        await check.equals_node(stack, limit=12)
        await check.equals_fresh_build(stack, tmp_path / "fresh")
    finally:
        await spare.stop_services()

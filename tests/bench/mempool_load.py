"""A burst of transactions, the fold's rate on the stream that it left, and a cold start beside a full mempool."""

from __future__ import annotations

import asyncio
import time

from bench.figures import Figure
from local_run.node import RegtestNode
from shared import domains, redis
from shared.consumer import BATCH
from shared.views import MempoolView
from support.spending import Built, Coin, chain
from support.stack import Stack, until

BURST = 20_000
CHAIN = 20
SENDERS = 4


async def _mempool(stack: Stack) -> MempoolView | None:
    return await stack.view(MempoolView)


async def _send_all(node: RegtestNode, transactions: list[Built]) -> float:
    """Send over SENDERS connections, chains kept whole; returns the seconds that the node took."""
    began = time.perf_counter()
    share = len(transactions) // SENDERS // CHAIN * CHAIN
    parts = [
        transactions[place * share : (place + 1) * share if place + 1 < SENDERS else None] for place in range(SENDERS)
    ]

    async def send(part: list[Built]) -> None:
        for start in range(0, len(part), 100):
            calls = [("sendrawtransaction", (built.raw, 0)) for built in part[start : start + 100]]
            for result in await node.batch(calls, kind=str):
                if isinstance(result, Exception):
                    raise result

    await asyncio.gather(*(send(part) for part in parts))
    return time.perf_counter() - began


async def burst(stack: Stack, coins: list[Coin]) -> list[Figure]:
    """Time from the last transaction's acceptance until the views hold all of them."""
    built = [one for coin in coins[: BURST // CHAIN] for one in chain(coin, CHAIN, [3, 20, 1.5, 60])]
    took = await _send_all(stack.node, built)
    accepted = time.perf_counter()

    async def complete() -> bool:
        view = await _mempool(stack)
        return view is not None and view.count == len(built)

    await until(complete, 60, f"{len(built)} transactions in the view")
    after = time.perf_counter() - accepted
    await stack.synced(60)
    return [
        Figure(
            f"burst of {len(built):,}: views complete after the last",
            after,
            "s",
            5.0,
            baseline=took,
            baseline_name="s for the node to accept them",
        )
    ]


async def fold_rate(stack: Stack) -> list[Figure]:
    """Entries a second that the fold commits when the whole stream waits for it, beside a reader that only reads."""
    await stack.stop("mempool")
    keys, client = stack.keys, stack.redis
    entries = await client.xlen(keys.stream(domains.TXS))
    bare = await _bare_rate(stack)
    await client.delete(keys.checkpoint(domains.MEMPOOL), keys.state(domains.MEMPOOL), keys.views(domains.MEMPOOL))
    await client.xgroup_destroy(keys.stream(domains.TXS), "mempool")
    last = (await client.xrevrange(keys.stream(domains.TXS), count=1))[0][1][b"seq"]
    await stack.start("mempool")
    began: float | None = None
    first = 0
    deadline = time.perf_counter() + 120
    while time.perf_counter() < deadline:
        cursor: bytes | None = await client.hget(keys.checkpoint(domains.MEMPOOL), "cursor")
        seq = int(cursor.split()[1]) if cursor else 0
        if began is None and seq:
            began, first = time.perf_counter(), seq
        if began is not None and seq >= int(last):
            break
        await asyncio.sleep(0.002)
    assert began is not None
    seconds = time.perf_counter() - began
    await stack.synced(60)
    return [
        Figure(
            f"mempool fold, {entries:,} entries of the real stream",
            (int(last) - first) / seconds,
            "events/s",
            30_000,
            "more",
            baseline=bare,
            baseline_name="events/s read and acknowledged only",
        )
    ]


async def _bare_rate(stack: Stack) -> float:
    """The ceiling: XREADGROUP and XACK in batches, without decoding or folding."""
    reader = redis.connect_blocking(stack.valkey.url)
    stream = stack.keys.stream(domains.TXS)
    await reader.xgroup_create(stream, "bare", id="0")
    count = 0
    began = time.perf_counter()
    while True:
        reply = await reader.xreadgroup("bare", "bare", {stream: ">"}, count=BATCH)
        entries = reply.get(stream.encode(), []) if reply else []
        if not entries:
            break
        await reader.xack(stream, "bare", *(entry_id for entry_id, _ in entries))
        count += len(entries)
    seconds = time.perf_counter() - began
    await reader.xgroup_destroy(stream, "bare")
    await reader.aclose()
    return count / seconds


async def cold_start(stack: Stack) -> list[Figure]:
    """Everything stopped and Redis empty beside a full mempool: time from the start of the processes to exact views."""
    await stack.stop_services()
    await stack.redis.flushall()
    began = time.perf_counter()
    txids = await stack.node.rpc("getrawmempool")
    await stack.node.batch([("getmempoolentry", (txid,)) for txid in txids])
    bare = time.perf_counter() - began
    began = time.perf_counter()
    await stack.start()

    async def exact() -> bool:
        view = await _mempool(stack)
        return view is not None and view.exact and view.count == len(txids)

    await until(exact, 120, "exact views")
    seconds = time.perf_counter() - began
    await stack.synced()
    return [
        Figure(
            f"cold start beside {len(txids):,} transactions: exact state",
            seconds,
            "s",
            5.0,
            baseline=bare,
            baseline_name="s to ask the node for all entries",
        )
    ]

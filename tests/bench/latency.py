"""How long a transaction and a block take from the node to a client of the event stream."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import zmq
import zmq.asyncio

from bench.figures import Figure, percentile
from shared.tasks import end
from support.spending import Coin, chain, mine
from support.stack import Stack

TRANSACTIONS = 300
BLOCKS = 60
BLOCK_TRANSACTIONS = 3


class Arrivals:
    """When each hash was first seen, by a reader that runs beside the sender."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Event] = {}

    def note(self, name: str) -> None:
        """It came now."""
        self._seen.setdefault(name, time.perf_counter())
        if event := self._waiting.get(name):
            event.set()

    async def time(self, name: str, limit: float = 10) -> float:
        """When it came, on time.perf_counter's clock."""
        if name not in self._seen:
            event = self._waiting.setdefault(name, asyncio.Event())
            await asyncio.wait_for(event.wait(), limit)
        return self._seen[name]


async def _read_events(response: aiohttp.ClientResponse, arrivals: Arrivals) -> None:
    name = ""
    async for line in response.content:
        if line.startswith(b"event: "):
            name = '"hash":"' if line.startswith(b"event: block.") else '"txid":"'
        elif line.startswith(b"data: "):
            text = line.decode()
            place = text.find(name)
            if place >= 0:
                arrivals.note(text[place + len(name) : place + len(name) + 64])


async def _read_zmq(socket: zmq.asyncio.Socket, arrivals: Arrivals) -> None:
    while True:
        frames: list[Any] = await socket.recv_multipart()
        if chr(frames[1][32]) in "AC":
            arrivals.note(frames[1][:32].hex())


@contextlib.asynccontextmanager
async def watching(stack: Stack) -> AsyncIterator[tuple[Arrivals, Arrivals]]:
    """What a client of the event stream sees, and a bare subscriber of the node."""
    events, hints = Arrivals(), Arrivals()
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.SUB)
    socket.set(zmq.SUBSCRIBE, b"sequence")
    socket.connect(stack.node.zmq_url)
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{stack.url}/api/v1/events?streams=blocks,txs") as response,
    ):
        readers = [
            asyncio.create_task(_read_events(response, events)),
            asyncio.create_task(_read_zmq(socket, hints)),
        ]
        try:
            await asyncio.sleep(1)  # a slow joiner misses messages, and these two are only watching
            yield events, hints
        finally:
            await end(*readers)
            socket.close(0)
            context.term()


async def measure(stack: Stack, coins: list[Coin]) -> list[Figure]:
    """p50 and p99 from the return of the call to the node, in ms."""
    async with watching(stack) as (events, hints):
        transactions, bare_transactions = [], []
        for coin in coins[:TRANSACTIONS]:
            [built] = chain(coin, 1, [5])
            await stack.node.rpc("sendrawtransaction", built.raw, 0)
            returned = time.perf_counter()
            transactions.append(await events.time(built.txid) - returned)
            bare_transactions.append(await hints.time(built.txid) - returned)
        blocks, bare_blocks = [], []
        for place in range(BLOCKS):
            for coin in coins[TRANSACTIONS + place * BLOCK_TRANSACTIONS :][:BLOCK_TRANSACTIONS]:
                [built] = chain(coin, 1, [5])
                await stack.node.rpc("sendrawtransaction", built.raw, 0)
                await events.time(built.txid)
            [block_hash] = await mine(stack.node)
            returned = time.perf_counter()
            blocks.append(await events.time(block_hash) - returned)
            bare_blocks.append(await hints.time(block_hash) - returned)
    figures = []
    for name, seen, bare, target in (
        ("transaction to SSE client", transactions, bare_transactions, 15.0),
        ("block to SSE client", blocks, bare_blocks, 50.0),
    ):
        figures += [
            Figure(
                f"{name}, p{percent} of {len(seen)}",
                1000 * max(0.0, percentile(seen, percent)),
                "ms",
                target if percent == 50 else None,
                baseline=1000 * percentile(bare, percent),
                baseline_name="ms to a bare ZMQ subscriber",
            )
            for percent in (50, 99)
        ]
    return figures

"""Look-ups: cold and materialised, how many a second, and of many different addresses; beside the bare sources."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.figures import Figure, percentile
from bench.http_load import wrk
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from local_run.electrumx import Credentials, ElectrumX
from local_run.node import RegtestNode
from shared.networks import NETWORKS
from shared.scripts.address import read, write
from shared.settings import load
from support.spending import Built, Coin, build, fan_out, mine, mined_coins, send
from support.stack import Stack, memory, until

ADDRESSES: Final = 1_000
EACH: Final = 100
"""Things of each kind that are looked up for one latency."""

LARGE: Final = 1_500
"""Transactions of the block whose page is asked for as often as it can be."""

WIDTH: Final = 100
"""Outputs of each transaction that pays the addresses: one page of them."""

FEW: Final = ("chain-ingest", "chain-metrics", "mempool", "explorer", "web")
RATES: Final = {"/tx": 3_260.0, "/address": 1_380.0, "/block": 330.0}
"""Requests a second of a materialised look-up that are to be reached."""


@dataclass(frozen=True)
class Things:
    """What is looked up."""

    txids: list[str]
    addresses: list[str]
    blocks: list[str]
    large: str  # a block with LARGE transactions

    def paths(self, form: str) -> dict[str, list[str]]:
        """Addresses of pages by kind; `form` is that of an address's page."""
        return {
            "/tx": [f"/tx/{one}" for one in self.txids],
            "/address": [form.format(one) for one in self.addresses],
            "/block": [f"/block/{one}" for one in self.blocks],
        }


async def measure(folder: Path) -> list[Figure]:
    """All figures, on a stack of their own with an ElectrumX."""
    folder.mkdir()
    asks = Credentials.new()
    node = RegtestNode(folder / "node", extra=[asks.argument, "-txindex=1"])
    async with Stack(folder, node=node) as stack:
        things = await _built(stack.node)
        async with ElectrumX(folder / "electrumx", stack.node, asks) as server:
            stack.extra_env |= {"LOG_LEVEL": "info", "MAIN_ELECTRUM_URL": server.url()}
            await stack.start(*FEW)
            await stack.synced()
            await stack.serves()
            async with _sources(stack, server) as electrum, visitors(stack) as session:
                form = await _form(session, things.addresses[0])
                figures = await _latencies(stack, session, electrum, things, form)
                figures += await _many(stack, session, electrum, things, form)
                figures += await _rates(stack, session, things, form)
        return figures


async def _built(node: RegtestNode) -> Things:
    """Each address is paid twice, by transactions with a hundred outputs; the last block is a large one."""
    coins = await fan_out(node, await mined_coins(node, 4), 500)
    scripts = [b"\x00\x14" + sha256(b"%d" % number).digest()[:20] for number in range(ADDRESSES)]
    addresses = [write(script, NETWORKS["regtest"]) or "" for script in scripts]
    for start in (*range(0, ADDRESSES, WIDTH), *range(0, ADDRESSES, WIDTH)):
        coin = coins.pop()
        value = (coin.value - 50_000) // WIDTH
        await send(node, [build([coin], [value] * WIDTH, scripts=scripts[start : start + WIDTH])])
        await mine(node)
    txids, blocks = [], []
    for _ in range(2 * EACH):
        txids += await send(node, [_single(coins.pop())])
        blocks += await mine(node)
    await send(node, [_single(coins.pop()) for _ in range(LARGE)])
    return Things(txids, addresses, blocks, (await mine(node))[0])


def _single(coin: Coin) -> Built:
    return build([coin], [coin.value - 1_000])


@contextlib.asynccontextmanager
async def _sources(stack: Stack, server: ElectrumX) -> AsyncIterator[Electrum]:
    """The Electrum server as the explorer asks it, without the rest."""
    settings = load({**stack.environment(), "BITCOIN_NETWORK": "regtest", "MAIN_ELECTRUM_URL": server.url()})
    electrum = Electrum(settings.electrum_nodes, NETWORKS["regtest"])
    stopping = asyncio.Event()
    running = asyncio.create_task(electrum.run(stopping))
    try:

        async def connected() -> bool:
            return electrum.servers.choose() is not None

        await until(connected, 30, "ElectrumX answers")
        yield electrum
    finally:
        stopping.set()
        await running


@contextlib.asynccontextmanager
async def visitors(stack: Stack) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=16)
    headers = {"Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(stack.url, connector=connector, headers=headers) as session:
        yield session


async def _form(session: aiohttp.ClientSession, address: str) -> str:
    """Where an address is shown: on a page, else in the API."""
    async with session.get(f"/address/{address}") as response:
        await response.read()
        return "/address/{}" if response.status in (200, 202) else "/api/address/{}"


async def get(session: aiohttp.ClientSession, path: str) -> None:
    """Ask until it is there."""
    while True:
        async with session.get(path) as response:
            body = await response.read()
            if response.status == 200:
                return
            if response.status not in (202, 503):
                raise RuntimeError(f"{path}: {response.status} {body[:200]!r}")
        await asyncio.sleep(0.05)


async def timed(work: Sequence[Callable[[], Awaitable[Any]]], at_once: int) -> list[float]:
    """Milliseconds of each, so many of them side by side."""
    left, found = iter(work), list[float]()

    async def visitor() -> None:
        for one in left:
            began = time.perf_counter()
            await one()
            found.append((time.perf_counter() - began) * 1_000)

    await asyncio.gather(*(visitor() for _ in range(at_once)))
    return found


def _bare(stack: Stack, electrum: Electrum, kind: str, path: str) -> Callable[[], Awaitable[Any]]:
    """The one call without which there is no such page."""
    name = path.rpartition("/")[2]
    if kind == "/tx":
        return lambda: stack.node.rpc("getrawtransaction", name, 2)
    if kind == "/block":
        return lambda: stack.node.rpc("getblock", name, 2)
    script = Script.of(read(name, NETWORKS["regtest"]).script)
    return lambda: electrum.history(script)


async def _latencies(
    stack: Stack, session: aiohttp.ClientSession, electrum: Electrum, things: Things, form: str
) -> list[Figure]:
    figures = []
    for kind, paths in things.paths(form).items():
        called = form.partition("/{}")[0] if kind == "/address" else kind
        for turn, connections in enumerate((1, 16)):
            some = paths[turn * EACH : (turn + 1) * EACH]
            bare = await timed([_bare(stack, electrum, kind, path) for path in some], connections)
            pages = [partial(get, session, path) for path in some]
            for how in ("cold", "materialised"):
                times = await timed(pages, connections)
                name = f"{called}, {how}, {connections} connection{'s' * (connections > 1)}"
                source = "ms get_history of a bare ElectrumX" if kind == "/address" else "ms bare RPC"
                figures += [
                    Figure(
                        f"{name}, p{percent} of {len(times)}", percentile(times, percent), "ms",
                        baseline=percentile(bare, percent), baseline_name=source,
                    )
                    for percent in (50, 99)
                ]  # fmt: skip
    return figures


async def _many(
    stack: Stack, session: aiohttp.ClientSession, electrum: Electrum, things: Things, form: str
) -> list[Figure]:
    """A thousand different addresses, by one, two and three replicas; a block between makes them new questions."""
    figures = []
    paths = things.paths(form)["/address"]
    for replicas in (1, 2, 3):
        if replicas > 1:
            await stack.start(f"explorer-{replicas}")

            async def all_there(count: int = replicas) -> bool:
                return sum(one.service == "explorer" for one in await stack.heartbeats()) == count

            await until(all_there, 20, f"{replicas} replicas answer")
        await mine(stack.node)
        await stack.synced()
        began = time.perf_counter()
        await timed([_bare(stack, electrum, "/address", path) for path in paths], 16)
        bare = len(paths) / (time.perf_counter() - began)
        began = time.perf_counter()
        await timed([partial(get, session, path) for path in paths], 16)
        rate = len(paths) / (time.perf_counter() - began)
        name = f"look-ups of {len(paths):,} different addresses, {replicas} replica{'s' * (replicas > 1)}"
        figures.append(
            Figure(name, rate, "look-ups/s", baseline=bare, baseline_name="get_history/s of a bare ElectrumX")
        )
    return figures


async def _rates(stack: Stack, session: aiohttp.ClientSession, things: Things, form: str) -> list[Figure]:
    figures = []
    asked = {kind: paths[0] for kind, paths in things.paths(form).items()} | {"/block": f"/block/{things.large}"}
    for kind, path in asked.items():
        for connections in (1, 16):
            await get(session, path)
            rate, slowest = await wrk(stack.url + path, connections)
            name = f"{path.rpartition('/')[0]}, warm, {connections} connection{'s' * (connections > 1)}"
            target = RATES[kind] if connections == 16 else None
            figures += [
                Figure(name, rate, "requests/s", target, "more"),
                Figure(f"{name}, p99", slowest, "ms"),
            ]
    figures.append(Figure("memory of explorer", memory(stack.pid("explorer")) / 1e6, "MB", 120.0))
    return figures

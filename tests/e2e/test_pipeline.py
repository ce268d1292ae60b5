"""From the node to the page and to a client of the event stream."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared.tasks import end
from support.spending import Coin, chain, fan_out, mine, mined_coins, send
from support.stack import Stack, until


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[tuple[Stack, list[Coin], aiohttp.ClientSession]]:
    async with Stack(tmp_path) as stack, aiohttp.ClientSession(stack.url) as session:
        coins = await fan_out(stack.node, await mined_coins(stack.node, 1), 50)
        await stack.start()
        await stack.synced()

        async def ready() -> bool:
            try:
                async with session.get("/readyz") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await until(ready, 15, "/readyz")
        yield stack, coins, session


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Type and data of each event."""
    kind = ""
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            kind = text.removeprefix("event: ")
        elif text.startswith("data: "):
            yield kind, json.loads(text.removeprefix("data: "))


async def test_a_transaction_and_a_block_reach_page_and_client(
    live: tuple[Stack, list[Coin], aiohttp.ClientSession],
) -> None:
    stack, coins, session = live
    sent = chain(coins[0], 3, [5, 9, 12])

    async def page_says(path: str, wanted: str) -> bool:
        async with session.get(path) as response:
            assert response.status == 200
            text = re.sub(r"<[^>]+>", " ", await response.text())
            return re.search(wanted, text) is not None

    async with session.get("/api/v1/events?streams=blocks,txs") as response:
        assert response.content_type == "text/event-stream"
        stream = events(response)

        async def read(done: Callable[[], bool]) -> None:
            async for kind, data in stream:
                seen.append((kind, data.get("txid") or data.get("hash") or ""))
                if done():
                    return

        seen: list[tuple[str, str]] = []
        await send(stack.node, sent)
        await asyncio.wait_for(read(lambda: ("tx.added", sent[-1].txid) in seen), 10)
        [block_hash] = await mine(stack.node)
        wanted = {("block.connected", block_hash), *(("tx.removed", built.txid) for built in sent)}
        await asyncio.wait_for(read(lambda: wanted <= set(seen)), 10)
    assert [hash_ for kind, hash_ in seen if kind == "tx.added"] == [built.txid for built in sent]
    height = await stack.node.rpc("getblockcount")
    await until(lambda: page_says("/", rf"\b{height}\b"), 5, "the overview shows the new height")
    await until(lambda: page_says("/blocks", rf"\b{height}\b"), 5, "/blocks shows the new block")
    await send(stack.node, chain(coins[1], 7, [5]))

    async def overview_count() -> bool:
        async with session.get("/api/v1/overview") as response:
            found = await response.json()
        return bool(found["mempool"]["count"] == 7 and found["chain"]["hash"] == block_hash)

    await until(overview_count, 5, "/api/v1/overview shows 7 transactions")


async def test_compatible_paths_agree_with_the_node(live: tuple[Stack, list[Coin], aiohttp.ClientSession]) -> None:
    stack, coins, session = live
    await send(stack.node, chain(coins[0], 5, [5, 9]))
    await stack.synced()

    async def text(path: str) -> str:
        async with session.get(path) as response:
            assert response.status == 200, path
            return await response.text()

    async def totals() -> bool:
        found = json.loads(await text("/api/mempool"))
        info = await stack.node.rpc("getmempoolinfo")
        return bool(
            found["count"] == info["size"]
            and found["vsize"] == info["bytes"]
            and found["total_fee"] == round(info["total_fee"] * 1e8)
        )

    await until(totals, 5, "/api/mempool equals getmempoolinfo")
    assert await text("/api/blocks/tip/height") == str(await stack.node.rpc("getblockcount"))
    assert await text("/api/blocks/tip/hash") == await stack.node.rpc("getbestblockhash")
    [block] = json.loads(await text("/api/v1/fees/mempool-blocks"))
    assert (block["nTx"], block["totalFees"]) == (5, round((await stack.node.rpc("getmempoolinfo"))["total_fee"] * 1e8))
    assert set(json.loads(await text("/api/v1/fees/recommended"))) == {
        "fastestFee", "halfHourFee", "hourFee", "economyFee", "minimumFee",
    }  # fmt: skip


async def test_a_client_misses_nothing_when_web_is_killed(
    live: tuple[Stack, list[Coin], aiohttp.ClientSession],
) -> None:
    """kill -9 of web in a burst: the client comes back with its last id and sees each event once."""
    stack, coins, session = live
    sent = [built.txid for coin in coins[:20] for built in chain(coin, 10, [5])]
    seen: list[str] = []
    cursor = ""

    async def read() -> None:
        nonlocal cursor
        while len(seen) < len(sent):
            try:
                headers = {"Last-Event-ID": cursor} if cursor else {}
                async with session.get("/api/v1/events?streams=txs", headers=headers) as response:
                    reading.set()
                    async for line in response.content:
                        if line.startswith(b"id: "):
                            cursor = line.decode().removeprefix("id: ").strip()
                        elif line.startswith(b"data: ") and b'"ancestor_fee"' in line:
                            seen.append(json.loads(line.removeprefix(b"data: "))["txid"])
                            if len(seen) == len(sent):
                                return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)

    reading = asyncio.Event()
    client = asyncio.create_task(read())
    try:
        await asyncio.wait_for(reading.wait(), 10)
        await send(stack.node, chain(coins[40], 1, [5]))
        await until(lambda: _first(seen), 10, "the first transaction comes")
        sent.insert(0, seen[0])
        for coin in coins[:10]:
            await send(stack.node, chain(coin, 10, [5]))
        await stack.kill("web")
        for coin in coins[10:20]:
            await send(stack.node, chain(coin, 10, [5]))
        await stack.start("web")
        await asyncio.wait_for(client, 20)
    finally:
        await end(client)
    assert seen == sent


async def _first(seen: list[str]) -> bool:
    return bool(seen)

"""What page, answers and /readyz say in each state of a real node: from the node's silence to a reader's eye."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import aiohttp

from local_run.node import RegtestNode
from support.markup import Balanced, text, words
from support.spending import fan_out, mine, mined_coins
from support.stack import Stack, until

FEES = ("/api/v1/fees/recommended", "/api/v1/fees/mempool-blocks", "/api/mempool")


async def ready(http: aiohttp.ClientSession) -> tuple[int, str]:
    """Status and words of /readyz; 0 while web does not listen."""
    try:
        async with http.get("/readyz") as response:
            return response.status, await response.text()
    except aiohttp.ClientError:
        return 0, ""


async def is_ready(http: aiohttp.ClientSession) -> bool:
    return (await ready(http))[0] == 200


async def answer(http: aiohttp.ClientSession, path: str) -> tuple[int, Any, int | None]:
    """Status, document and `Age`."""
    async with http.get(path) as response:
        age = response.headers.get("Age")
        found = await response.json() if response.content_type == "application/json" else await response.text()
        return response.status, found, None if age is None else int(age)


async def test_a_node_that_is_frozen_ages_everything_and_comes_back(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack, aiohttp.ClientSession(stack.url) as http:
        await fan_out(stack.node, await mined_coins(stack.node, 1), 20)
        await stack.start()
        await until(lambda: is_ready(http), 20, "/readyz")
        status, overview, age = await answer(http, "/api/v1/overview")
        assert status == 200
        assert age is not None
        assert age <= 6
        os.kill(stack.node.pid, signal.SIGSTOP)
        try:

            async def unready() -> str:
                status, message = await ready(http)
                return message if status == 503 and "chain: last" in message and "mempool: last" in message else ""

            message = await until(unready, 40, "/readyz is 503")
            assert "last known to be true 2" in message
            for path in ("/api/v1/overview", *FEES, "/api/blocks/tip/height"):
                status, _, age = await answer(http, path)
                assert status == 200
                assert age is not None
                assert age >= 20, path
            assert (await answer(http, "/api/v1/overview"))[1]["as_of"] <= overview["as_of"] + 6

            async def out_of_date() -> str:
                html = await text(http, "/")
                return html if "The chain and the mempool may be out of date" in html else ""

            html = await until(out_of_date, 5, "the page says that its figures are old")
            Balanced(html)
            shown = words(html)
            assert "data-aged" in html
            assert "as of just now" not in shown
            assert 'id="dot" data-state="stale"' in html
        finally:
            os.kill(stack.node.pid, signal.SIGCONT)
        await until(lambda: is_ready(http), 30, "/readyz, once the node goes on")
        assert "data-aged" not in await text(http, "/")


async def test_a_first_start_with_the_node_down(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack, aiohttp.ClientSession(stack.url) as http:
        await fan_out(stack.node, await mined_coins(stack.node, 1), 20)
        await stack.node.stop()
        await stack.start()

        async def told() -> bool:
            return (await ready(http))[0] == 503 and "chain-ingest is degraded" in await text(http, "/")

        await until(told, 20, "web says that the node is down")
        for path in FEES:
            assert (await answer(http, path))[0] == 503, path
        status, overview, _ = await answer(http, "/api/v1/overview")
        assert status == 503 or (overview["mempool"] is None and overview["fees"] is None)
        html = await text(http, "/")
        for name in ("next_fee", "fees", "strip", "backlog"):
            card = html.partition(f'id="card-{name}"')[2].split("</section>")[0]
            assert "absent" in card, name
            assert "Empty" not in card, name
        await stack.node.start()
        await until(lambda: is_ready(http), 30, "/readyz, once the node runs")
        for path in FEES:
            assert (await answer(http, path))[0] == 200, path


async def test_a_node_that_takes_no_transactions_from_others(tmp_path: Path) -> None:
    node = RegtestNode(tmp_path / "node", extra=["-blocksonly"])
    async with Stack(tmp_path, node=node) as stack, aiohttp.ClientSession(stack.url) as http:
        await mine(stack.node, 3)
        await stack.start()
        await until(lambda: is_ready(http), 20, "/readyz: the chain is what the node has")

        async def refused() -> bool:
            return all([(await answer(http, path))[0] == 503 for path in FEES])

        await until(refused, 10, "no fee is told")
        status, overview, _ = await answer(http, "/api/v1/overview")
        assert status == 200
        assert overview["chain"]["height"] >= 3
        assert overview["mempool"] is None
        assert overview["fees"] is None
        assert "-blocksonly" in words(await text(http, "/"))

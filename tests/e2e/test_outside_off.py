"""With OUTSIDE=off no service has a connection to anybody but node, Redis and each other, and pages say so."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil

from support.spending import mine
from support.stack import SERVICES, Stack, until

WATCHED_SECONDS = 4.0


def strangers(stack: Stack, allowed: set[int]) -> list[str]:
    """Connections of any service to a port that is not ours, or to another machine, names asked for included."""
    ours = (stack.web_port, stack.admin_port)  # a visitor's connection to web is no question of web's
    return [
        f"{name} to {one.raddr.ip}:{one.raddr.port}"
        for name in SERVICES
        for one in psutil.Process(stack.pid(name)).net_connections(kind="inet")
        if len(one.raddr)  # a listener has none
        and one.laddr.port not in ours
        and not (one.raddr.ip in ("127.0.0.1", "::1") and one.raddr.port in allowed)
    ]


async def test_nobody_outside_is_asked_and_pages_say_so(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        stack.extra_env["OUTSIDE"] = "off"
        await mine(stack.node, 3)
        await stack.start(*SERVICES)
        await stack.synced()
        await stack.serves()
        urls = [stack.valkey.url, stack.node.rpc_url, stack.node.zmq_url]
        allowed = {port for url in urls if (port := urlsplit(url).port) is not None}
        async with aiohttp.ClientSession() as session:

            async def said() -> bool:
                async with session.get(f"{stack.url}/") as answer:
                    return "OUTSIDE is off" in await answer.text()

            await until(said, 20, "the overview says that nobody is asked")
            began = time.monotonic()
            while time.monotonic() - began < WATCHED_SECONDS:
                assert strangers(stack, allowed) == []
                await asyncio.sleep(0.05)
            async with session.get(f"{stack.url}/api/v1/prices") as answer:
                assert answer.status == 503
            async with session.get(f"{stack.url}/api/v1/overview") as answer:
                assert (await answer.json())["prices"] is None

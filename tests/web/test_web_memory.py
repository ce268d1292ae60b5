"""What clients of push connections cost: the resident memory of a process of its own, with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_run.ports import pick
from shared import domains
from support.web_harness import Events, until
from support.web_process import answers, process
from support.web_samples import mempool, tx_added
from web.push import audience

IDLE = 1_000
NEVER_READING = 32


@asynccontextmanager
async def web(valkey: str, writer: Any) -> AsyncIterator[tuple[int, int, int]]:
    """The port, the operator's and the process id of web over a full state."""
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    port, admin = pick(2)
    async with process(valkey, port, LOG_LEVEL="error", ADMIN_PORT=str(admin)) as started:
        await answers(f"http://127.0.0.1:{port}/readyz")
        yield port, admin, started.pid


def resident(pid: int) -> float:
    """MiB in RAM."""
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


async def connected(stack: AsyncExitStack, port: int, path: str, *, buffer: int = 0) -> socket.socket:
    """A bare socket that asked for `path`."""
    sock = socket.socket()
    stack.callback(sock.close)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return sock


async def clients(admin: int) -> int:
    """Push connections that web counts."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{admin}/metrics") as response:
        lines = (await response.text()).splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith("web_push_clients{")))


async def told_to_start_over(sock: socket.socket) -> bool:
    """Whether what waits for a client, read now, has a `reset` in it."""
    raw = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while b"event: reset" not in raw:
            more = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 2**20), 1)
            if not more:
                break
            raw = raw[-100:] + more
    return b"event: reset" in raw


async def test_idle_clients_of_a_live_page_hold_nothing(valkey: str, writer: Any) -> None:
    path = "/live?pages=overview"
    loop = asyncio.get_running_loop()
    async with web(valkey, writer) as (port, admin, pid), AsyncExitStack() as stack:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as live:
            first = len(await live.content.readuntil(b"\n\n"))
        before = resident(pid)
        found: list[socket.socket] = []

        async def one() -> None:
            sock = await connected(stack, port, path)
            got = 0
            while got < first:
                got += len(await loop.sock_recv(sock, 2**18))
            found.append(sock)

        for _ in range(IDLE // 50):
            await asyncio.gather(*(one() for _ in range(50)))
        assert await clients(admin) == IDLE
        await writer.mempool(mempool(40_000))  # everybody is sent something, and reads it
        await asyncio.gather(*(asyncio.wait_for(loop.sock_recv(sock, 2**20), 20) for sock in found))
        each = (resident(pid) - before) * 1024 / IDLE
        print(f"{IDLE} idle clients: {each:.1f} KiB each, of a first message of {first / 1024:.0f} KiB")
        assert each < 40  # some 12 KiB; 130 with the first message held


async def test_clients_that_never_read_share_a_bound(valkey: str, writer: Any) -> None:
    """Each with a set of streams of its own, so that nobody shares a cursor; and one that reads misses nothing."""
    names = list(domains.streams_of(writer.keys))
    others = [name for name in names if name != "txs"]
    sets = [
        ",".join(("txs", *some)) for size in range(len(others) + 1) for some in itertools.combinations(others, size)
    ][:NEVER_READING]
    assert len(sets) == NEVER_READING
    total = 30_000
    async with web(valkey, writer) as (port, admin, pid), AsyncExitStack() as stack:
        for streams in sets:
            await connected(stack, admin, f"/api/v1/events?streams={streams}", buffer=4_096)  # `ops` included
        async with Events.connect(f"http://127.0.0.1:{port}", "txs") as quick:
            while await clients(admin) < NEVER_READING + 1:
                continue
            before = resident(pid)
            most = before
            for start in range(0, total, 1_000):
                await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(start, start + 1_000)))
                found = await quick.take(1_000)
                assert [m.data["txid"] for m in found] == [tx_added(n).txid for n in range(start, start + 1_000)]
                most = max(most, resident(pid))
        print(f"{NEVER_READING} clients that never read: {most - before:.0f} MiB at most")
        assert (
            most - before < 90
        )  # of a bound of 48 for all queues; some 35 as entries are shared, 250 when they were not


async def test_beyond_the_bound_of_all_the_slowest_are_told_and_let_go(
    bare: Any, writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody alone waits for too much, all together do."""
    monkeypatch.setattr(audience, "TOTAL_BYTES", 400_000)
    port = int(bare.url.rsplit(":", 1)[1])
    sets = ("txs", "txs,blocks", "txs,fees", "txs,series")
    async with AsyncExitStack() as stack:
        slow = [await connected(stack, port, f"/api/v1/events?streams={streams}", buffer=4_096) for streams in sets]
        async with Events.connect(bare.url, "txs") as quick:
            await until(lambda: bare.site.push_clients == len(sets) + 1)
            dropped = 0
            for start in range(0, 100_000, 500):
                await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(start, start + 500)))
                found = await quick.take(500)
                assert found[-1].data["txid"] == tx_added(start + 499).txid
                assert audience.BACKLOG.bytes <= 400_000
                dropped = sum(client.slow for channel in bare.site.hub.channels() for client in channel.clients)
                if dropped:
                    break
            assert dropped
        told = await asyncio.gather(*(told_to_start_over(sock) for sock in slow))
        assert sum(told) >= dropped
    await until(lambda: bare.site.push_clients == 0)
    assert audience.BACKLOG.bytes == 0

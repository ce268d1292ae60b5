from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import psutil
import pytest
import zmq
import zmq.asyncio

from local_run import child
from local_run.errors import ServerFailed
from local_run.node import RegtestNode
from shared import settings
from shared.errors import RpcRefused, RpcUnreachable
from shared.rpc import RpcClient

from .conftest import gone

ANYONE = "bcrt1qft5p2uhsdcdc3l2ua4ap5qqfg4pjaqlp250x7us7a8qqhrxrxfsqseac85"  # P2WSH of OP_TRUE


async def test_answers_and_publishes(node: RegtestNode) -> None:
    assert (await node.rpc("getblockchaininfo"))["chain"] == "regtest"
    published = await node.rpc("getzmqnotifications")
    assert sorted((entry["type"], entry["address"], entry["hwm"]) for entry in published) == [
        ("pubrawtx", node.zmq_url, 100_000),
        ("pubsequence", node.zmq_url, 100_000),
    ]
    context = zmq.asyncio.Context()
    with context.socket(zmq.SUB) as subscriber:
        subscriber.connect(node.zmq_url)
        subscriber.subscribe(b"sequence")
        seen = None
        while seen is None:  # a subscriber that joins late misses messages: mine until one arrives
            (block_hash,) = await node.rpc("generatetoaddress", 1, ANYONE)
            if await subscriber.poll(200):
                seen = await subscriber.recv_multipart()
    context.term()
    assert seen[0] == b"sequence"
    assert seen[1][:32].hex() == block_hash or seen[1][32:33] == b"C"


async def test_nobody_elses_node(node: RegtestNode) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.Process(node.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", node.rpc_port), ("127.0.0.1", node.zmq_port)}
    assert (await node.rpc("getnetworkinfo"))["connections"] == 0


async def test_services_can_use_its_environment(node: RegtestNode) -> None:
    (configured,) = settings.load(node.env(), Path("/nonexistent")).nodes
    assert configured == node.settings()
    assert settings.load({**node.env("SECOND"), "NODES": "second"}, Path("/nonexistent")).nodes[0].zmq_urls
    async with RpcClient(configured) as client:
        assert await client.call("getblockcount") == 0


async def test_exact_amounts_on_request(node: RegtestNode) -> None:
    class Info(msgspec.Struct):
        minrelaytxfee: Decimal

    info = await node.rpc("getmempoolinfo", kind=Info)
    assert isinstance(info.minrelaytxfee, Decimal)
    count, refused = await node.batch([("getblockcount", ()), ("getblockhash", (5,))])
    assert count == 0
    assert isinstance(refused, RpcRefused)


async def test_restart_keeps_chain_and_ports(node: RegtestNode) -> None:
    await node.rpc("generatetoaddress", 3, ANYONE)
    before, pid = node.env(), node.pid
    await node.restart()
    assert node.pid != pid
    assert node.env() == before
    assert await node.rpc("getblockcount") == 3


async def test_kill_loses_what_was_not_flushed(node: RegtestNode) -> None:
    await node.rpc("generatetoaddress", 3, ANYONE)
    await node.rpc("gettxoutsetinfo")  # flushes
    pid = node.pid
    await node.kill()
    assert not psutil.pid_exists(pid)
    assert not node.running
    with pytest.raises(RpcUnreachable):
        await node.rpc("getblockcount")
    await node.restart(kill=True)
    assert await node.rpc("getblockcount") == 3


async def test_the_clock_can_be_set(tmp_path: Path) -> None:
    async with RegtestNode(tmp_path, mocktime=1_600_000_000) as node:
        (block_hash,) = await node.rpc("generatetoaddress", 1, ANYONE)
        assert (await node.rpc("getblockheader", block_hash))["time"] == 1_600_000_000


async def test_topics_and_extra_arguments(tmp_path: Path) -> None:
    async with RegtestNode(tmp_path, hashblock=True, sequence=False, extra=["-maxmempool=7"]) as node:
        topics = {entry["type"] for entry in await node.rpc("getzmqnotifications")}
        assert topics == {"pubrawtx", "pubhashblock"}
        assert (await node.rpc("getmempoolinfo"))["maxmempool"] == 7_000_000


async def test_a_failed_start_tells_what_the_node_said_and_leaves_nothing(tmp_path: Path) -> None:
    node = RegtestNode(tmp_path, extra=["-nonsense=1"])
    with pytest.raises(ServerFailed, match=r"(?s)ended with code 1.*Invalid parameter -nonsense"):
        await node.start()
    assert not node.running


async def test_a_start_that_takes_too_long_ends(tmp_path: Path) -> None:
    sleeper = tmp_path / "bitcoind"
    sleeper.write_text('#!/bin/sh\n[ "$1" = -version ] || exec sleep 600\n')
    sleeper.chmod(0o755)
    node = RegtestNode(tmp_path, binary=sleeper)
    with pytest.raises(ServerFailed, match="did not answer within 1 s"):
        await node.start(limit=1)
    assert not node.running


async def test_waits_for_a_port_that_is_about_to_be_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = RegtestNode(tmp_path, rpc_port=taken.getsockname()[1])
        starting = asyncio.create_task(node.start())
        await asyncio.sleep(0.3)
        assert not starting.done()
    await starting
    try:
        assert await node.rpc("getblockcount") == 0
    finally:
        await node.stop()


async def test_cancelling_a_start_leaves_nothing(tmp_path: Path) -> None:
    node = RegtestNode(tmp_path)
    starting = asyncio.create_task(node.start())
    while not node.running:
        await asyncio.sleep(0)
        assert not starting.done()
    pid = node.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await gone(pid)


async def test_nodes_side_by_side(tmp_path: Path) -> None:
    nodes = [RegtestNode(tmp_path / str(at)) for at in range(3)]
    await asyncio.gather(*(node.start() for node in nodes))
    try:
        assert len({port for node in nodes for port in (node.rpc_port, node.zmq_port)}) == 6
        await nodes[1].rpc("generatetoaddress", 2, ANYONE)
        assert [await node.rpc("getblockcount") for node in nodes] == [0, 2, 0]
    finally:
        await asyncio.gather(*(node.stop() for node in nodes))


PARENT = """
import asyncio, sys
from pathlib import Path
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
async def main():
    node, valkey = RegtestNode(Path(sys.argv[1]) / 'n'), EmbeddedValkey(Path(sys.argv[1]) / 'v')
    await asyncio.gather(node.start(), valkey.start())
    await node.rpc('generatetoaddress', 4, sys.argv[2])
    print(node.pid, valkey.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_ends_in_order_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = await child.start([sys.executable, "-c", PARENT, str(tmp_path), ANYONE], output=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pids = [int(word) for word in (await asyncio.wait_for(parent.stdout.readline(), 30)).split()]
    assert len(pids) == 2
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    began = time.monotonic()
    await gone(*pids)
    assert time.monotonic() - began < 8
    async with RegtestNode(tmp_path / "n") as node:  # SIGTERM, not SIGKILL: it flushed
        assert await node.rpc("getblockcount") == 4

"""Every form of address that a node may be given by: IPv4, IPv6, a name, a socket in the file system."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import zmq

from chain_ingest import hints as hints_module
from chain_ingest.app import run
from chain_ingest.hints import Hints
from local_run.node import RegtestNode
from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.keys import Keys
from support.ipv6 import has_ipv6, needs_ipv6
from support.ledger import running
from support.spending import chain as chained
from support.spending import fan_out, mine, mined_coins, send
from support.stack import until

KEYS = Keys("regtest")
pytestmark = pytest.mark.asyncio(loop_scope="module")

ZMQ_FORMS = [
    pytest.param("tcp://127.0.0.1:{port}", id="zmq-ipv4"),
    pytest.param("tcp://localhost:{port}", id="zmq-name"),
    pytest.param("tcp://[::1]:{port6}", id="zmq-ipv6", marks=needs_ipv6),
    pytest.param("ipc://{folder}/zmq", id="zmq-ipc"),
]
RPC_FORMS = [
    pytest.param("http://127.0.0.1:{port}", id="rpc-ipv4"),
    pytest.param("http://localhost:{port}/", id="rpc-name"),
    pytest.param("http://[::1]:{port6}", id="rpc-ipv6", marks=needs_ipv6),
]


class Everywhere:
    """A node that answers and publishes at every form of address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.zmq_port6, self.rpc_port6 = pick(2)
        extra = [f"-zmqpub{topic}=ipc://{folder}/zmq" for topic in ("sequence", "rawtx")]
        if has_ipv6():
            extra += [f"-zmqpub{topic}=tcp://[::1]:{self.zmq_port6}" for topic in ("sequence", "rawtx")]
            extra += [f"-rpcbind=[::1]:{self.rpc_port6}", "-rpcallowip=::1"]
        self.node = RegtestNode(folder / "node", extra=extra)

    def zmq(self, form: str) -> str:
        return form.format(port=self.node.zmq_port, port6=self.zmq_port6, folder=self.folder)

    def rpc(self, form: str) -> str:
        return form.format(port=self.node.rpc_port, port6=self.rpc_port6)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everywhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Everywhere]:
    it = Everywhere(tmp_path_factory.mktemp("n"))
    async with it.node:
        await mine(it.node, 5)
        yield it


async def follows(everywhere: Everywhere, server: EmbeddedValkey, client: redis.Client, rpc: str, zmq: str) -> None:
    """A block and a transaction are published as ZMQ tells of them."""
    node = everywhere.node
    env = {**node.env(), "MAIN_RPC_URL": everywhere.rpc(rpc), "MAIN_ZMQ_URLS": everywhere.zmq(zmq)}
    async with running(server.url, run, "chain-ingest", **env) as it:

        async def well() -> bool:
            return it.health.state == "ok"

        await until(well, 10, f"{env['MAIN_RPC_URL']} and {env['MAIN_ZMQ_URLS']} are used")
        [coin, *_] = await fan_out(node, await mined_coins(node, 1), 3)
        sent = chained(coin, 2, [5])
        await send(node, sent)

        async def there() -> bool:
            best = await node.rpc("getblockcount")
            known = [await client.hexists(KEYS.published(domains.TXS), bytes.fromhex(built.txid)) for built in sent]
            return all(known) and bool(await client.hexists(KEYS.published(domains.BLOCKS), best))

        await until(there, 5, "block and transactions are published")
        assert it.health.state == "ok"


@pytest.mark.parametrize("form", ZMQ_FORMS)
async def test_zmq_is_heard(everywhere: Everywhere, server: EmbeddedValkey, connected: redis.Client, form: str) -> None:
    await follows(everywhere, server, connected, "http://127.0.0.1:{port}", form)


@pytest.mark.parametrize("form", RPC_FORMS)
async def test_rpc_is_answered(
    everywhere: Everywhere, server: EmbeddedValkey, connected: redis.Client, form: str
) -> None:
    await follows(everywhere, server, connected, form, "tcp://127.0.0.1:{port}")


@pytest.mark.parametrize("where", ["127.0.0.1", pytest.param("[::1]", marks=needs_ipv6)])
async def test_a_name_is_tried_as_ipv4_and_as_ipv6(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The publisher comes late, goes, and comes back. What stands for the name here has one address only."""
    monkeypatch.setattr(hints_module, "_family", lambda url: None)
    monkeypatch.setattr(hints_module, "TURN_SECONDS", 0.05)
    url = f"tcp://{where}:{pick()[0]}"
    context = zmq.Context()
    try:
        with contextlib.closing(Hints((url,))) as hints:
            hints.open()
            await until(lambda: turned(hints), 5, "it is tried as both")
            for _ in range(2):
                with context.socket(zmq.PUB) as publisher:
                    publisher.set(zmq.IPV6, where == "[::1]")
                    publisher.set(zmq.LINGER, 0)
                    publisher.bind(url)
                    await until(lambda: heard(hints, True), 10, "it is connected")
                    await until(lambda: come(hints, publisher), 5, "a message has come")
                    hints.clear()
                    publisher.unbind(url)
                await until(lambda: heard(hints, False), 10, "the loss is noticed")
    finally:
        context.destroy(0)


async def turned(hints: Hints) -> bool:
    """Seen as IPv6, which is not what a name is tried as first."""
    await asyncio.sleep(0)
    return bool(hints._sockets[0].get(zmq.IPV6))


async def heard(hints: Hints, expected: bool) -> bool:
    await hints.wait(0.05)
    return hints.connected is expected


async def come(hints: Hints, publisher: zmq.Socket[bytes]) -> bool:
    publisher.send_multipart([b"sequence", bytes(32) + b"C", bytes(4)])  # lost where the subscription is on its way
    await hints.wait(0.05)
    return hints.pending

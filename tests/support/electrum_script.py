"""An Electrum server on loopback that answers what a test wants, wrongly where it wants that; and a faulty link."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from explorer.electrum.client import Electrum
from explorer.electrum.limits import Limits
from local_run.electrumx import Certificate
from shared.networks import NETWORKS
from shared.settings import NodeSettings

REGTEST: Final = NETWORKS["regtest"]
GENESIS: Final = (
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc38"
    "88a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000"
)
"""Regtest's first header: one that has the work that it claims."""

QUICK: Final = Limits(
    connect=5.0,
    silence=5.0,
    await_server=5.0,
    again_first=0.05,
    again_longest=0.2,
    steady=0.1,
    well=0.4,
    behind=0.3,
    leave_alone=0.5,
    open_first=0.5,
    open_longest=1.0,
    tell=0.01,
)


class Refused(Exception):
    """What a handler raises to answer with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Scripted:
    """A server whose answers are `answers`: values, or functions of the parameters; a function may raise Refused."""

    def __init__(self, *, newest: str = "1.6", genesis: str = REGTEST.genesis_hash, shown: Certificate | None = None):
        self.port = 0
        self.connections = 0
        self.asked: list[tuple[str, Any]] = []
        self.statuses: dict[str, str | None] = {}
        self.tip = 7
        self.line: Callable[[dict[str, Any]], bytes | None] = lambda request: None  # the bytes instead of an answer
        self.answers: dict[str, Any] = {
            "server.version": lambda client, versions: ["Scripted 1", min(newest, versions[1])],
            "server.features": {"genesis_hash": genesis, "hash_function": "sha256"},
            "server.ping": None,
            "blockchain.headers.subscribe": lambda: {"height": self.tip, "hex": GENESIS},
            "blockchain.scripthash.subscribe": self.statuses.get,
            "blockchain.scriptpubkey.subscribe": self.statuses.get,
            "blockchain.scripthash.unsubscribe": True,
        }
        self._shown = shown
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        context = None
        if self._shown is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._shown.certificate, self._shown.key)
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, limit=1 << 20, ssl=context, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up, and listen no more."""
        if self._server is not None:
            self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Hang up."""
        for writer in self._writers:
            writer.transport.abort()

    def tell(self, method: str, *params: Any) -> None:
        """A notification to everybody."""
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n")

    def write(self, raw: bytes) -> None:
        """Bytes to everybody."""
        for writer in self._writers:
            writer.write(raw)

    def count(self, method: str) -> int:
        """How often it was asked."""
        return sum(one == method for one, _ in self.asked)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        self.connections += 1
        try:
            while line := await reader.readline():
                request = json.loads(line)
                writer.write(self.reply(request))
                await writer.drain()
        except (OSError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    def reply(self, request: dict[str, Any]) -> bytes:
        """The bytes that it answers a request with."""
        self.asked.append((request["method"], request.get("params", [])))
        raw = self.line(request)
        return self._answer(request) if raw is None else raw

    def _answer(self, request: dict[str, Any]) -> bytes:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        given = self.answers.get(request["method"], Refused(-32601, "unknown method"))
        try:
            if isinstance(given, Refused):
                raise given
            answer["result"] = given(*request.get("params", [])) if callable(given) else given
        except Refused as error:
            answer["error"] = {"code": error.code, "message": str(error)}
        return json.dumps(answer).encode() + b"\n"


@contextlib.asynccontextmanager
async def over_websocket(server: Scripted) -> AsyncIterator[int]:
    """The same answers over WebSocket, a message each; yields the port."""

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(server.reply(json.loads(message.data)).decode())
        return socket

    application = web.Application()
    application.router.add_get("/", talk)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()


def node(name: str, port: int, scheme: str = "tcp", pin: str = "") -> NodeSettings:
    """Settings of a node that has an Electrum server there."""
    return NodeSettings(name, "", "", "", None, (), electrum_url=f"{scheme}://127.0.0.1:{port}", electrum_pin=pin)


@contextlib.asynccontextmanager
async def running(
    nodes: Sequence[NodeSettings], limits: Limits = QUICK, known_height: Callable[[], int | None] = lambda: None
) -> AsyncIterator[Electrum]:
    """A client that runs; a failure of it is the test's."""
    stopping = asyncio.Event()
    electrum = Electrum(nodes, REGTEST, limits=limits, known_height=known_height)
    task = asyncio.create_task(electrum.run(stopping))
    try:
        yield electrum
    finally:
        stopping.set()
        await asyncio.wait_for(task, 5)


async def until(holds: Callable[[], object], seconds: float = 10) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - of another task, which has no event for it
            await asyncio.sleep(0.005)


class Link:
    """A TCP link to a server, which can be slow, or break in the middle of a line."""

    def __init__(self, port: int) -> None:
        self.delay = 0.0  # seconds that each piece takes
        self.cut_after: int | None = None  # bytes of the other side's, on a connection
        self.port = 0
        self._to = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = {writer}
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
            ends.add(up_writer)
            self._writers |= ends
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, up_writer, ends, None))
                group.create_task(self._pass(up_reader, writer, ends, self.cut_after))
        except OSError:
            pass
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, ends: set[asyncio.StreamWriter], left: int | None
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(1 << 16):
                if self.delay:
                    await asyncio.sleep(self.delay)
                to.write(piece if left is None else piece[:left])
                await to.drain()
                if left is not None:
                    left -= len(piece)
                    if left <= 0:
                        break
        for end in ends:
            end.close()

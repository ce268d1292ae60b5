"""A real bitcoind on regtest, for the demonstration and for tests: start, stop, kill, restart, call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local_run import child, ports
from local_run.bitcoind import find_bitcoind
from local_run.server import Server
from shared.errors import RpcUnreachable, RpcWarmingUp
from shared.rpc import RpcClient
from shared.settings import NodeSettings

_FLAGS = (
    "-regtest",
    "-server",
    # Nobody else's node: no connection in or out.
    "-listen=0",
    "-connect=0",
    "-dnsseed=0",
    "-natpmp=0",
    # Regtest's default consistency checks make an acceptance cost in proportion to the mempool.
    "-checkmempool=0",
    "-checkblockindex=0",
    "-blockmaxweight=3996000",  # Knots's default is 1.2 million
    "-fallbackfee=0.0001",
    "-txindex=0",
    "-rest",  # what the backfill reads bytes over; -rest=0 in `extra` switches it off
    "-rpcworkqueue=256",
    "-rpcthreads=8",
    # The default marks of 1000 messages lose some of a block's burst. The first topic's mark on an
    # address counts for all of it.
    "-zmqpubsequencehwm=100000",
    "-zmqpubrawtxhwm=100000",
    "-zmqpubhashblockhwm=100000",
    "-printtoconsole=0",
)


class RegtestNode(Server):
    """One bitcoind over one data folder, with a ZMQ publisher of `sequence` and `rawtx` on one address."""

    title = "bitcoind"

    def __init__(
        self,
        datadir: Path,
        *,
        binary: Path | None = None,
        rpc_port: int = 0,
        zmq_port: int = 0,
        sequence: bool = True,
        hashblock: bool = False,
        mocktime: int | None = None,
        listen: str = "127.0.0.1",
        extra: Sequence[str] = (),
    ) -> None:
        """A port of 0 is a free one. `mocktime` in Unix seconds. `extra` arguments win over ours.

        At another address than loopback to `listen` on, whoever reaches it may ask, with a password.

        `binary` None: found, or unpacked from Debian's packages on first use.
        """
        super().__init__(datadir, extra)
        self.binary = binary
        self.rpc_port = rpc_port
        self.zmq_port = zmq_port
        self.mocktime = mocktime
        self._listen = listen
        self._topics = [*(["sequence"] if sequence else []), "rawtx", *(["hashblock"] if hashblock else [])]
        self._clients: dict[str | None, RpcClient] = {}

    @property
    def rpc_url(self) -> str:
        """Address of the RPC server, without credentials."""
        return f"http://127.0.0.1:{self.rpc_port}"

    @property
    def zmq_url(self) -> str:
        """Address of the publisher of all topics."""
        return f"tcp://127.0.0.1:{self.zmq_port}"

    @property
    def cookie_file(self) -> Path:
        """User and password of the running node; written anew at each start."""
        return self.folder / "regtest" / ".cookie"

    @property
    def log_file(self) -> Path:
        """The node's own log."""
        return self.folder / "regtest" / "debug.log"

    def env(self, name: str = "MAIN") -> dict[str, str]:
        """The variables that make a service use this node as the one called `name`."""
        return {
            "BITCOIN_NETWORK": "regtest",
            f"{name}_RPC_URL": self.rpc_url,
            f"{name}_RPC_COOKIE_FILE": str(self.cookie_file),
            f"{name}_ZMQ_URLS": self.zmq_url,
        }

    def settings(self, name: str = "main") -> NodeSettings:
        """This node as a service's settings name it, for a client of one's own."""
        return self._settings(name, self.rpc_url)

    async def rpc(self, method: str, *params: object, wallet: str | None = None, kind: Any = Any) -> Any:
        """Call the node, or one of its wallets; raises as shared.rpc does.

        `kind` is the type that the result is decoded as; without one, amounts are floats of bitcoin.
        """
        client = await self._client(wallet)
        return await client.call(method, *params, kind=kind)

    async def batch(
        self, calls: Sequence[tuple[str, Sequence[object]]], *, wallet: str | None = None, kind: Any = Any
    ) -> list[Any]:
        """Many calls, answered in order; what the node refused stands there as RpcRefused."""
        client = await self._client(wallet)
        return await client.batch(calls, kind=kind)

    async def _client(self, wallet: str | None) -> RpcClient:
        client = self._clients.get(wallet)
        if client is None:
            url = f"{self.rpc_url}/wallet/{wallet}" if wallet else self.rpc_url
            client = self._clients[wallet] = RpcClient(self._settings("main", url))
            await client.__aenter__()
        return client

    async def _hang_up(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.__aexit__(None, None, None)

    def _settings(self, name: str, url: str) -> NodeSettings:
        return NodeSettings(
            name=name,
            rpc_url=url,
            rpc_user="",
            rpc_password="",
            rpc_cookie_file=self.cookie_file,
            zmq_urls=(self.zmq_url,),
        )

    def _ports(self) -> tuple[int, ...]:
        return self.rpc_port, self.zmq_port

    async def _command(self) -> list[str | Path]:
        if self.binary is None:
            self.binary = await find_bitcoind()
        free = ports.pick(2)
        self.rpc_port, self.zmq_port = self.rpc_port or free[0], self.zmq_port or free[1]
        self.cookie_file.unlink(missing_ok=True)  # of a node that was killed
        command: list[str | Path] = [
            self.binary,
            *_FLAGS,
            f"-datadir={self.folder}",
            f"-rpcport={self.rpc_port}",
            f"-rpcbind={self._listen}",
            f"-rpcallowip={'127.0.0.1' if self._listen == '127.0.0.1' else '0.0.0.0/0'}",
            *(f"-zmqpub{topic}=tcp://{self._listen}:{self.zmq_port}" for topic in self._topics),
        ]
        if await _is_knots(self.binary):
            command.append("-corepolicy=1")  # Core's relay policy instead of Knots's own, stricter one
        if self.mocktime is not None:
            command.append(f"-mocktime={self.mocktime}")
        return [*command, *self.extra]

    async def _answers(self) -> bool:
        try:
            await self.rpc("getblockchaininfo")
        except (RpcUnreachable, RpcWarmingUp):
            return False
        return True


async def _is_knots(binary: Path) -> bool:
    process = await child.start([binary, "-version"], output=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return b"Knots" in output

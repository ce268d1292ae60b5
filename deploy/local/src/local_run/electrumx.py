"""A real ElectrumX over a node of ours: for the demonstration and for tests. Its environment is made on first use.

ElectrumX is a program, not a library of ours: it gets an environment of its own in the cache folder, with the versions
and hashes of `requirements/electrumx.txt`, from the package index that this machine's pip is configured with.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from local_run import child, ports
from local_run.cache import cache_folder, checkout, made_once
from local_run.errors import SetupError
from local_run.node import RegtestNode
from local_run.server import Server

POLL_MS: Final = 300
"""Between two looks at the node: changes show within a second."""

INSTALL_SECONDS: Final = 240.0
ANSWER_SECONDS: Final = 2.0

_VARIABLES: Final = {
    "COIN": "Bitcoin",
    "NET": "regtest",
    "DB_ENGINE": "leveldb",
    "ALLOW_ROOT": "1",
    "PEER_DISCOVERY": "off",
    "PEER_ANNOUNCE": "",
    "CACHE_MB": "50",
    "LOG_SESSIONS": "0",
    # Nobody but this machine reaches it: no budget of requests for each who asks.
    "COST_SOFT_LIMIT": "0",
    "COST_HARD_LIMIT": "0",
    "REQUEST_SLEEP": "0",
    "DAEMON_POLL_INTERVAL_BLOCKS": str(POLL_MS),
    "DAEMON_POLL_INTERVAL_MEMPOOL": str(POLL_MS),
}


class Credentials(NamedTuple):
    """Who asks the node: a cookie would be another after each start of the node."""

    user: str
    password: str

    @classmethod
    def new(cls) -> Credentials:
        """Fresh ones."""
        return cls("electrumx", secrets.token_hex(24))

    @property
    def argument(self) -> str:
        """What makes a node know them (bitcoin/share/rpcauth): a hash, since everybody may list arguments."""
        salt = secrets.token_hex(16)
        digest = hmac.new(salt.encode(), self.password.encode(), hashlib.sha256).hexdigest()
        return f"-rpcauth={self.user}:{salt}${digest}"


@dataclass
class Listening:
    """The ports that it listens on; 0 is a free one, None no such service."""

    tcp: int | None = 0
    ws: int | None = 0
    ssl: int | None = None
    wss: int | None = None
    at: str = "127.0.0.1"

    def items(self) -> list[tuple[str, int]]:
        """Services and ports that there are to be."""
        return [(name, port) for name, port in vars(self).items() if name != "at" and port is not None]


@dataclass(frozen=True)
class Certificate:
    """What ssl and wss show."""

    certificate: Path
    key: Path = field(repr=False)


async def find_electrumx(limit: float = INSTALL_SECONDS) -> Path:
    """The interpreter of an environment that holds ElectrumX: ELECTRUMX_PYTHON, or made on the first call (30 s).

    Raises SetupError where it cannot be had.
    """
    named = os.environ.get("ELECTRUMX_PYTHON")
    if named:
        return Path(named)
    root = checkout()
    if root is None:
        raise SetupError("there is no ElectrumX without a checkout: its versions stand in requirements/electrumx.txt")
    lock = root / "requirements" / "electrumx.txt"
    folder = cache_folder() / "electrumx"
    python = folder / "bin" / "python"
    wanted = json.dumps({
        "lock": hashlib.sha256(await asyncio.to_thread(lock.read_bytes)).hexdigest(),
        "python": sys.version,
        "base": sys.base_prefix,
    })  # fmt: skip
    await made_once(
        folder,
        wanted,
        lambda building: _install(lock, building),
        what="installing ElectrumX",
        limit=limit,
        needed=[python],
    )
    return python


async def _install(lock: Path, building: Path) -> None:
    await _run(sys.executable, "-m", "venv", "--without-pip", building)
    await _run(
        *(sys.executable, "-m", "pip", "--python", building / "bin" / "python", "install", "--quiet"),
        *("--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20"),
        *("--require-hashes", "--requirement", lock),
    )


async def _run(*argv: str | Path) -> None:
    process = await child.start(argv, output=asyncio.subprocess.PIPE)
    try:
        output, _ = await process.communicate()
    finally:
        await child.kill(process)
    if process.returncode:
        lines = [line for line in output.decode(errors="replace").strip().splitlines() if line]
        errors = [line for line in lines if line.lower().startswith("error")] or lines
        raise SetupError(f"ElectrumX could not be installed from the package index: {errors[-1] if errors else '?'}")


class ElectrumX(Server):
    """One ElectrumX over one node. Services listen on loopback, on ports that are kept across restarts."""

    title = "electrumx"

    def __init__(
        self,
        folder: Path,
        node: RegtestNode,
        credentials: Credentials,
        *,
        listening: Listening | None = None,
        certificate: Certificate | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """The node was started with `credentials.argument`. `variables` win over ours."""
        super().__init__(folder, ())
        self.listening = listening or Listening()
        self._node = node
        self._credentials = credentials
        self._certificate = certificate
        self._variables = dict(variables or {})

    def url(self, scheme: str = "ws") -> str:
        """What `<NODE>_ELECTRUM_URL` takes; known once it has been started, or where the port was given."""
        return f"{scheme}://127.0.0.1:{getattr(self.listening, scheme)}"

    @property
    def log_file(self) -> Path:
        """What it prints."""
        return self._output_file

    def _ports(self) -> tuple[int, ...]:
        return tuple(port for _, port in self.listening.items())

    async def _command(self) -> list[str | Path]:
        python = await find_electrumx()
        free = iter(ports.pick(len(self.listening.items())))
        for name, port in self.listening.items():
            setattr(self.listening, name, port or next(free))
        (self.folder / "db").mkdir(parents=True, exist_ok=True)
        return [python, "-m", "electrumx.cli.electrumx_server"]

    def _environment(self) -> dict[str, str]:
        user, password = self._credentials
        shown = self._certificate
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            **_VARIABLES,
            "DB_DIRECTORY": str(self.folder / "db"),
            "DAEMON_URL": f"http://{user}:{password}@127.0.0.1:{self._node.rpc_port}/",
            "SERVICES": ",".join(f"{name}://{self.listening.at}:{port}" for name, port in self.listening.items()),
            **({"SSL_CERTFILE": str(shown.certificate), "SSL_KEYFILE": str(shown.key)} if shown else {}),
            **self._variables,
        }

    async def _answers(self) -> bool:
        """It listens only when it has caught up with the node."""
        writers = []
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                for port in self._ports():
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writers.append(writer)
        except (OSError, TimeoutError):
            return False
        finally:
            for writer in writers:
                writer.close()
        return True

"""The demonstration: a private regtest chain with a past, and life on it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from local_run import history
from local_run.electrumx import Credentials, ElectrumX, Listening, find_electrumx
from local_run.errors import ServerFailed, SetupError
from local_run.generator import Generator
from local_run.holder import Holder
from local_run.node import RegtestNode

BANNER: Final = """\
======================================================================================
  DEMONSTRATION: a private regtest chain on this machine. Its blocks, transactions and
  amounts are generated; nothing here is real bitcoin. Set MAIN_RPC_URL, in the
  environment or in env/.env.main, to run on a node of your own.
======================================================================================"""

_COMPLETE: Final = "history-complete"

_ELECTRUMX_SECONDS: Final = 90.0  # how long a first run waits for its package


class Demonstration:
    """The node, its Electrum server and the generator over one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        rpc_port: int,
        zmq_port: int,
        electrum_port: int,
        say: Callable[[str], None],
        listen: str = "127.0.0.1",
        others: Sequence[Credentials] = (),
        shown: Path | None = None,
    ) -> None:
        """`say` is given each event in words. Beside ElectrumX the `others` may ask the node.

        `shown` is the file with the public descriptors of the wallet that pays, in the folder where it is not said.
        """
        self._folder = folder
        self.wallet = shown or folder / "wallet.txt"
        self._say = say
        self._chance = random.Random()  # noqa: S311 - amounts and moments, no secrets
        asks = Credentials.new()
        self.node = RegtestNode(
            folder / "bitcoind",
            rpc_port=rpc_port,
            zmq_port=zmq_port,
            listen=listen,
            extra=[*(one.argument for one in (asks, *others)), "-txindex=1"],  # which ElectrumX asks for
        )
        self._holder = Holder(self.node, self._chance, self.published)
        # Over WebSocket alone: over TCP it holds small answers for up to a second.
        self.electrumx = ElectrumX(
            folder / "electrumx", self.node, asks, listening=Listening(None, electrum_port, at=listen)
        )

    @property
    def published(self) -> Path:
        """File with the addresses that the demonstration's holder of bitcoin publishes."""
        return self._folder / "published.txt"

    @property
    def has_history(self) -> bool:
        """False before the first run, and after one that was interrupted while it built the chain."""
        return (self._folder / _COMPLETE).exists()

    async def start(self) -> None:
        """Start the node; on the first run also build the chain, which takes about 15 s.

        Raises ServerFailed, SetupError, and as shared.rpc does; then the node is not left running.
        """
        if not self.has_history:
            for part in ("bitcoind", "electrumx", "valkey"):  # half a chain, and what was derived from it
                shutil.rmtree(self._folder / part, ignore_errors=True)
        await self.node.start()
        try:
            await self._build()
            await self._holder.open()
        except BaseException:
            await self.node.stop()
            raise

    async def _build(self) -> None:
        if not self.has_history:
            self._say(f"building a chain of {history.BLOCKS} blocks over {history.DAYS} days")
            await history.build(
                self.node,
                chance=self._chance,
                progress=lambda done, total: self._say(f"{done} of {total} blocks"),
            )
            (self._folder / _COMPLETE).touch()

    async def look_for_electrumx(self) -> str:
        """Make its environment if there is none yet; returns why there will be no Electrum server, in words."""
        try:
            await find_electrumx(_ELECTRUMX_SECONDS)
        except SetupError as error:
            return str(error)
        return ""

    async def start_electrumx(self) -> str:
        """Start it beside the running node; returns why there is none, in words.

        Its index is made of the chain: one that it does not start with is thrown away, once.
        """
        try:
            await self.electrumx.start()
        except ServerFailed:
            shutil.rmtree(self.electrumx.folder, ignore_errors=True)
            try:
                await self.electrumx.start()
            except SetupError as error:
                return str(error)
        except SetupError as error:
            return str(error)
        return ""

    def generator(self) -> Generator:
        """What keeps the chain alive; run it while the node runs."""
        return Generator(self.node, chance=self._chance, say=self._say, shown=self.wallet, holder=self._holder)

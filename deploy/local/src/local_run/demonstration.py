"""The demonstration: a private regtest chain with a past, and life on it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from local_run import history
from local_run.generator import Generator
from local_run.node import RegtestNode

BANNER: Final = """\
======================================================================================
  DEMONSTRATION: a private regtest chain on this machine. Its blocks, transactions and
  amounts are generated; nothing here is real bitcoin. Set MAIN_RPC_URL, in the
  environment or in env/.env.main, to run on a node of your own.
======================================================================================"""

_COMPLETE: Final = "history-complete"


class Demonstration:
    """The node and the generator over one folder."""

    def __init__(self, folder: Path, *, rpc_port: int, zmq_port: int, say: Callable[[str], None]) -> None:
        """`say` is given each event in words."""
        self._folder = folder
        self._say = say
        self._chance = random.Random()  # noqa: S311 - amounts and moments, no secrets
        self.node = RegtestNode(folder / "bitcoind", rpc_port=rpc_port, zmq_port=zmq_port)

    @property
    def has_history(self) -> bool:
        """False before the first run, and after one that was interrupted while it built the chain."""
        return (self._folder / _COMPLETE).exists()

    async def start(self) -> None:
        """Start the node; on the first run also build the chain, which takes about 15 s.

        Raises ServerFailed, SetupError, and as shared.rpc does; then the node is not left running.
        """
        if not self.has_history:
            shutil.rmtree(self._folder, ignore_errors=True)  # half a chain, and what was derived from it
        await self.node.start()
        if self.has_history:
            return
        try:
            self._say(f"building a chain of {history.BLOCKS} blocks over {history.DAYS} days")
            await history.build(
                self.node,
                chance=self._chance,
                progress=lambda done, total: self._say(f"{done} of {total} blocks"),
            )
            (self._folder / _COMPLETE).touch()
        except BaseException:
            await self.node.stop()
            raise

    def generator(self) -> Generator:
        """What keeps the chain alive; run it while the node runs."""
        return Generator(self.node, chance=self._chance, say=self._say)

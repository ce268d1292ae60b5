"""What a replica remembers of one wallet."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from explorer.address.scan import Scans
from explorer.electrum.client import Electrum
from explorer.wallet.branches import Wallet
from explorer.wallet.chains import Walk
from explorer.wallet.followed import Followed
from explorer.wallet.scanned import ScannedCoins
from shared.lookups.parts import Tip
from shared.work import Alive

SETTLED: Final = 100
"""Blocks below the tip from which on the time of a block is taken for certain."""

WAIT_SECONDS: Final = 5.0
"""Between two signs of life of who waits for his turn."""


class Account:
    """One wallet's sources, walk and times; one job at a time has its turn."""

    def __init__(self, wallet: Wallet, name: str, electrum: Electrum, scans: Scans) -> None:
        self._wallet = wallet
        self.name = name
        self.followed = Followed(electrum, self._heard)
        self.scanned = ScannedCoins(scans, wallet, name)
        self.times: dict[int | None, int] = {}  # height -> Unix seconds
        self.changed = False  # since the look-up that is at work, or was last
        self._walk: Walk | None = None
        self._turn = asyncio.Lock()
        self._used_at = time.monotonic()

    def _heard(self) -> None:
        self.changed = True

    def walk(self, gap: int) -> Walk:
        """The walk with this gap; a new one knows what another knew."""
        if self._walk is None or self._walk.gap != gap:
            walk = Walk(self._wallet, gap)
            for script, told in self._walk.answers.items() if self._walk else ():
                walk.tell(script, told)
            self._walk = walk
        return self._walk

    def heights_without_time(self, tip: Tip) -> set[int | None]:
        """Blocks of its history whose time is to be asked for."""
        answers = self._walk.answers.values() if self._walk else ()
        heights = {touch.height for told in answers for touch in told.history or ()}
        return {one for one in heights if one is not None and (one not in self.times or one > tip.height - SETTLED)}

    def remember(self, times: dict[int | None, int], tip: Tip) -> None:
        """Times of blocks. Those near the tip are asked for each time, so that a reorganisation leaves none behind."""
        settled = {height: at for height, at in self.times.items() if (height or 0) <= tip.height - SETTLED}
        self.times = {**settled, **times}

    @property
    def busy(self) -> bool:
        """Whether a job is at work."""
        return self._turn.locked()

    @property
    def idle_seconds(self) -> float:
        """How long it was not looked at; 0 while a job is at work."""
        return 0.0 if self.busy else time.monotonic() - self._used_at

    @contextlib.asynccontextmanager
    async def turn(self, alive: Alive) -> AsyncIterator[None]:
        """Once no other job is at work; until then this says that it is alive."""
        while True:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._turn.acquire()
                break
            except TimeoutError:
                alive()
        try:
            yield
        finally:
            self._used_at = time.monotonic()
            self._turn.release()

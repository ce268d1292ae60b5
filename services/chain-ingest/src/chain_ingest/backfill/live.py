"""Whether the live path keeps up: what happens now comes before what happened once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from redis.exceptions import ResponseError

from chain_ingest.answers import ChainInfo
from chain_ingest.backfill.progress import Progress
from chain_ingest.condition import not_whole
from chain_ingest.node import Node
from shared import domains, inputs
from shared.domains import FOLDS
from shared.errors import DashboardError
from shared.service import Service

LOOK_SECONDS: Final = 1.0
"""Between two looks."""

HEIGHT_LAG: Final = 2
"""Blocks that the node may be ahead of the series."""

BLOCKS_LAG: Final = 20
TXS_LAG: Final = 20_000
"""Entries that a group may have to read."""


class NotWhole(DashboardError):
    """The node has not the best chain yet, and another may."""


class LivePath:
    """Looks at node and streams; `clear` is called before each request to the node."""

    def __init__(self, service: Service, node: Node, progress: Progress, *, alone: bool) -> None:
        """`alone`: there is no other node, so this one is waited for."""
        self.pruned_below = 0  # lowest height whose block the node has
        self._alone = alone
        self._service = service
        self._node = node
        self._progress = progress
        self._looked = float("-inf")
        self._paused = ""

    async def look(self) -> tuple[ChainInfo, str]:
        """What the node says of its chain, and why it is to be waited for; raises NotWhole where it is not."""
        info = await self._node.chain_info()
        self.pruned_below = info.pruneheight if info.pruned else 0
        words = not_whole(self._node.name, info)
        if words and not self._alone:
            raise NotWhole(words)
        return info, words

    async def clear(self) -> None:
        """Return at once while the live path keeps up, else when it does again; the heartbeat says what is awaited.

        Raises NotWhole.
        """
        while time.monotonic() - self._looked >= LOOK_SECONDS:
            reason = await self._lag()
            if reason != self._paused:
                self._service.log.info("backfill_paused" if reason else "backfill_resumed", reason=reason)
                self._paused = reason
            self._service.health.ok(paused=reason or None)
            if not reason:
                self._looked = time.monotonic()
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _lag(self) -> str:
        view = await self._progress.look()
        if view is None:
            return "chain-history has begun anew"
        info, words = await self.look()
        if words:
            return words
        if info.blocks > view.height + HEIGHT_LAG:
            return f"the series end at block {view.height}, node {self._node.name} is at {info.blocks}"
        keys = self._service.keys
        return await self._unread(keys.stream(domains.BLOCKS), BLOCKS_LAG) or await self._unread(
            keys.stream(domains.TXS), TXS_LAG
        )

    async def _unread(self, stream: str, limit: int) -> str:
        try:
            groups = await self._service.redis.xinfo_groups(stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return ""
        for group in groups:
            if group["name"].decode(errors="replace") not in FOLDS:
                continue  # a stranger's tool is nothing to wait for
            lag = inputs.lag_of(group)
            if lag is None:  # what was delivered is known always
                lag = int(group["pending"])
            if lag > limit:
                return f"{group['name'].decode()} is {lag} entries behind on {stream}"
        return ""

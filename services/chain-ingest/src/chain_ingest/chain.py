"""Follows the best chain: publishes each block that is connected or disconnected, in order, once.

The node's tip is the truth, as long as its chain has the work of what is published: a node with less is behind, and
nothing is taken back for it. From the tip we look for the newest block that we published; what lies between is
disconnected down and connected up. Blocks are fetched by hash, never by height.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from chain_ingest.answers import HeaderInfo
from chain_ingest.block import AppliedBlock
from chain_ingest.fetch import AT_ONCE, Fetcher, Unavailable
from chain_ingest.node import ChainMoved, Node, NodeBehind
from chain_ingest.progress import Progress
from shared import domains, redis
from shared.bus import PUBLISH_AT_ONCE, Producer
from shared.commit import Argument, Commands
from shared.errors import RpcRefused
from shared.events.base import Event
from shared.events.blocks import BlockConnected, BlockDisconnected, HeadersLoaded
from shared.keys import Keys
from shared.networks import RETARGET_INTERVAL
from shared.rpc import BATCH, NOT_FOUND

FIRST_BLOCKS: Final = 180
"""Blocks published in full at a beginning; the headers below them go into `headers.loaded`. What lacks more than that
is a new beginning, and the rest is the backfill's. More than the 144 that are shown, so that they are all there after a
reorganisation that leaves a shorter chain."""

FIRST_HEADERS: Final = 2 * RETARGET_INTERVAL
"""Headers in `headers.loaded`: the present retarget period and room for a reorganisation."""

JOINED: Final = 365 * 144
"""Headers in it at most where it goes down to what was published before, so that readers need not forget that."""

REMEMBERED: Final = FIRST_HEADERS + RETARGET_INTERVAL
"""Published hashes kept; a fork below them leads to a new beginning."""

TRIES: Final = 3
"""How often the node's chain is read again at once when it changed meanwhile."""

Connected = Callable[[Node, AppliedBlock], Awaitable[None]]
"""Told of each block right after it was published."""

Say = Callable[[str], Awaitable[None]]
"""Told what an operator should know."""


class ChainFollower:
    """Publishes blocks for one network. Memory is what Redis holds as long as the lease is ours."""

    def __init__(
        self,
        client: redis.Client,
        keys: Keys,
        producer: Producer,
        fetcher: Fetcher,
        progress: Progress,
        *,
        connected: Connected,
        say: Say,
    ) -> None:
        self._redis = client
        self._keys = keys
        self.producer = producer
        self._fetcher = fetcher
        self._progress = progress
        self._connected = connected
        self._say = say
        self._published: dict[int, str] = {}
        self._work = 0  # chainwork of what is published; 0 where that is not known
        self.tip_height = -1

    @property
    def tip_hash(self) -> str:
        """Hash of the last block published; empty before the first."""
        return self._published.get(self.tip_height, "")

    async def load(self) -> None:
        """Read what was published before."""
        await self.producer.load()
        stored: dict[bytes, bytes] = await self._redis.hgetall(self._keys.published(domains.BLOCKS))
        self._published = {int(height): block_hash.decode() for height, block_hash in stored.items()}
        self.tip_height = max(self._published, default=-1)
        work: bytes | None = await self._redis.hget(self._keys.producer(domains.BLOCKS), "work")
        self._work = int(work, 16) if work and self._published else 0

    async def lost(self) -> str:
        """What is gone of what was published, in words; empty where all is there."""
        there, expected = int(await self._redis.hlen(self._keys.published(domains.BLOCKS))), len(self._published)
        if there != expected:
            return f"{self._keys.published(domains.BLOCKS)} holds {there} blocks of {expected}"
        return await self.producer.lost()

    # --- where the node is -----------------------------------------------------------------------------

    async def measure(self, node: Node) -> None:
        """Raise NodeBehind where the node's chain has less work than what is published."""
        best = await node.best_hash()
        if best != self.tip_hash:
            await self._weigh(node, await node.header(best))

    async def _weigh(self, node: Node, tip: HeaderInfo) -> None:
        work = int(tip.chainwork, 16)
        if self._published and not self._work:
            self._work = await self._work_at_tip(node)
        if work >= self._work > 0 or (tip.height > self.tip_height and not self._work):
            return  # one that is longer counts for more where the node cannot tell the work of what is published
        blocks = self.tip_height - tip.height
        where = f"{blocks} block{'s' * (blocks != 1)} behind" if blocks > 0 else "on a branch with less work than"
        raise NodeBehind(
            f"node {node.name} is {where} what was published (it is at {tip.height}, published is {self.tip_height})",
            tip.hash,
            work,
        )

    async def _work_at_tip(self, node: Node) -> int:
        """Chainwork of what is published, where the record does not say it; 0 where this node does not know the block.

        The record is of a version that did not keep it, or was lost.
        """
        try:
            return int((await node.header(self.tip_hash)).chainwork, 16)
        except RpcRefused as error:
            if error.code != NOT_FOUND:
                raise
            return 0

    async def sync(self, node: Node) -> bool:
        """Publish what separates us from the node's tip; returns whether there was anything.

        Raises NodeBehind where the node has less than is published.
        """
        for attempt in range(TRIES):
            best = await node.best_hash()
            if best == self.tip_hash:
                return False
            tip = await node.header(best)
            await self._weigh(node, tip)
            try:
                await self._follow(node, tip)
                break
            except ChainMoved:
                if attempt + 1 == TRIES:
                    raise
        return True

    async def roll_back(self, node: Node) -> str:
        """Follow a node that has less, down to what it has; returns what was done, or nothing.

        Only where its chain leaves what is published at a block that is remembered: one that begins anew from the
        genesis block is on its way up.
        """
        tip = await node.header(await node.best_hash())
        before = self.tip_height
        if await self._fork(node, tip) is None:
            return ""
        await self._follow(node, tip)
        return f"from block {before} down to the chain of node {node.name}, which ends at block {tip.height}"

    async def begin_anew(self, node: Node) -> None:
        """Publish headers and blocks again from the start, for a reader that lost its place."""
        tip = await node.header(await node.best_hash())
        await self._weigh(node, tip)
        await self._connect(node, tip, await self._begin(node, tip))

    async def _follow(self, node: Node, tip: HeaderInfo) -> None:
        path = await self._path(node, tip)
        if path is None:
            path = await self._begin(node, tip)
        else:
            await self._disconnect(node, tip.height - len(path))
        await self._connect(node, tip, path)

    async def _path(self, node: Node, tip: HeaderInfo) -> list[HeaderInfo] | None:
        """Headers above the newest published block of the node's chain; None where there is none, or too many."""
        if self._published and tip.previousblockhash == self.tip_hash:
            return [tip]  # as nearly always
        fork = await self._fork(node, tip)
        if fork is None or tip.height - fork > FIRST_BLOCKS:
            return None
        headers = await node.branch(fork, tip)
        if headers[0].hash != self._published[fork]:
            raise ChainMoved(f"the chain of node {node.name} changed while it was read")
        return headers[1:]

    async def _fork(self, node: Node, tip: HeaderInfo) -> int | None:
        """Height of the newest block that is published and in the node's chain; None where none is remembered."""
        lowest = min(self._published, default=0)
        for top in range(min(tip.height, self.tip_height), lowest - 1, -BATCH):
            heights = range(max(lowest, top - BATCH + 1), top + 1)
            try:
                hashes = await node.hashes(heights)
            except RpcRefused as error:
                raise ChainMoved(f"the chain of node {node.name} became shorter while it was read") from error
            for height, block_hash in zip(reversed(heights), reversed(hashes), strict=True):
                if self._published.get(height) == block_hash:
                    return height
        return None

    # --- what is published -----------------------------------------------------------------------------

    async def _begin(self, node: Node, tip: HeaderInfo, first_block: int = 0) -> list[HeaderInfo]:
        """Publish `headers.loaded` for what lies below the first block; returns the headers from that block on."""
        first_block = min(max(1, first_block or tip.height - FIRST_BLOCKS + 1), tip.height + 1)
        first_header = max(0, first_block - FIRST_HEADERS)
        fork = await self._fork(node, tip)
        if fork is not None and fork >= first_block - JOINED:
            first_header = min(first_header, fork)
        headers = await node.branch(first_header, tip)
        base = headers[: first_block - first_header]
        top = base[-1]
        event = HeadersLoaded(
            height=first_header,
            headers=[(header.time, int(header.bits, 16)) for header in base],
            tip_hash=top.hash,
            chainwork=top.chainwork,
            median_time=top.mediantime,
            node=node.name,
            hashes=[header.hash for header in base],
            prev_hash=base[0].previousblockhash,
        )
        commands = Commands()
        commands.add("DEL", self._keys.published(domains.BLOCKS))
        commands.add("DEL", self._keys.resync(domains.BLOCKS))  # whoever asked for this beginning has it now
        published = {header.height: header.hash for header in base[-REMEMBERED:]}
        fields: list[Argument] = [part for pair in published.items() for part in pair]
        commands.spread("HSET", self._keys.published(domains.BLOCKS), fields)
        await self._commit([event], commands, top.chainwork)
        self._published, self.tip_height = published, top.height
        return headers[len(base) :]

    async def _disconnect(self, node: Node, ancestor: int) -> None:
        if self.tip_height == ancestor:
            return
        work = (await node.header(self._published[ancestor])).chainwork
        while self.tip_height > ancestor:
            commands = Commands()
            events: list[Event] = []
            for height in range(self.tip_height, max(ancestor, self.tip_height - PUBLISH_AT_ONCE), -1):
                events.append(
                    BlockDisconnected(
                        height=height,
                        hash=self._published[height],
                        prev_hash=self._published[height - 1],
                        node=node.name,
                    )
                )
                commands.add("HDEL", self._keys.published(domains.BLOCKS), height)
            await self._commit(events, commands, work)
            for _ in events:
                del self._published[self.tip_height]
                self.tip_height -= 1

    async def _connect(self, node: Node, tip: HeaderInfo, path: list[HeaderInfo]) -> None:
        """Publish the blocks of these headers; above those that nobody has, begin anew: so their headers are known."""
        missing: list[Unavailable] = []
        if len(path) > AT_ONCE:
            self._progress.begin("blocks published", len(path))
        try:
            async with contextlib.aclosing(self._fetcher.blocks(node, path)) as blocks:
                async for fetched in blocks:
                    if isinstance(fetched, Unavailable):
                        missing.append(fetched)
                        continue
                    event, block = fetched
                    await self._step_over(node, tip, missing, event.height)
                    missing = []
                    await self._publish(event)
                    # Hashed once the block is published: readers of the chain need not wait for all the txids.
                    await self._connected(node, await asyncio.to_thread(block.applied))
                    if len(path) > AT_ONCE:
                        self._progress.done(event.height - path[0].height + 1)
            await self._step_over(node, tip, missing, tip.height + 1)
        finally:
            self._progress.end()

    async def _step_over(self, node: Node, tip: HeaderInfo, missing: list[Unavailable], height: int) -> None:
        if not missing:
            return
        first, last = missing[0], missing[-1]
        which = f"block {first.height} {first.hash}" if first is last else f"blocks {first.height} to {last.height}"
        await self._say(f"{which} cannot be had, {first.why}: without statistics, the chain goes on above")
        await self._begin(node, tip, height)

    async def _publish(self, event: BlockConnected) -> None:
        commands = Commands()
        commands.add("HSET", self._keys.published(domains.BLOCKS), event.height, event.hash)
        forgotten = event.height - REMEMBERED
        if forgotten in self._published:
            commands.add("HDEL", self._keys.published(domains.BLOCKS), forgotten)
        await self._commit([event], commands, event.chainwork)
        self._published[event.height] = event.hash
        self._published.pop(forgotten, None)
        self.tip_height = event.height

    async def _commit(self, events: list[Event], commands: Commands, chainwork: str) -> None:
        """Publish; `chainwork` is that of what is published from then on."""
        commands.add("HSET", self._keys.producer(domains.BLOCKS), "work", chainwork)
        await self.producer.publish(events, commands)
        self._work = int(chainwork, 16)

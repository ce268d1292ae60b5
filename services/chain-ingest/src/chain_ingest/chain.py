"""Follows the best chain: publishes each block that is connected or disconnected, in order, once.

The node's tip is the truth. From it we walk back to the block that we published last, or to the newest ancestor of
it; what lies between is disconnected down and connected up. Blocks are fetched by hash, never by height.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from chain_ingest.block import BlockContents, coinbase_tag, read
from chain_ingest.node import Header, Node
from chain_ingest.pools import Pools
from shared import redis
from shared.bus import PUBLISH_AT_ONCE, Producer
from shared.commit import Commands
from shared.errors import RpcError, RpcRefused
from shared.events.base import Event
from shared.events.blocks import BlockConnected, BlockDisconnected, HeadersLoaded
from shared.keys import Keys
from shared.networks import RETARGET_INTERVAL

FIRST_BLOCKS: Final = 180
"""Blocks published in full at the first start; the headers below them go into `headers.loaded`.

More than the 144 that are shown, so that they are all there after a reorganisation that leaves a shorter chain.
"""

FIRST_HEADERS: Final = 2 * RETARGET_INTERVAL
"""Headers in `headers.loaded`: the present retarget period and room for a reorganisation."""

REMEMBERED: Final = FIRST_HEADERS + RETARGET_INTERVAL
"""Published hashes kept; a fork below them leads to a new beginning."""

FETCH_AHEAD: Final = 4
"""Blocks fetched side by side while catching up."""


@dataclass(frozen=True, slots=True)
class AppliedBlock:
    """A block that was just connected, as far as the mempool must know."""

    hash: str
    txids: list[str]
    spent: frozenset[bytes]


Connected = Callable[[Node, AppliedBlock], Awaitable[None]]
"""Told of each block right after it was published."""


class ChainFollower:
    """Publishes blocks for one network. Memory is what Redis holds as long as the lease is ours."""

    def __init__(
        self, client: redis.Client, keys: Keys, producer: Producer, pools: Pools, connected: Connected
    ) -> None:
        self._redis = client
        self._keys = keys
        self.producer = producer
        self._pools = pools
        self._connected = connected
        self._published: dict[int, str] = {}
        self.tip_height = -1
        self.remaining = 0  # blocks still to be published in the present catching up

    @property
    def tip_hash(self) -> str:
        """Hash of the last block published; empty before the first."""
        return self._published.get(self.tip_height, "")

    async def load(self) -> None:
        """Read what was published before."""
        await self.producer.load()
        stored: dict[bytes, bytes] = await self._redis.hgetall(self._keys.chain_published)
        self._published = {int(height): block_hash.decode() for height, block_hash in stored.items()}
        self.tip_height = max(self._published, default=-1)

    async def sync(self, node: Node) -> bool:
        """Publish what separates us from the node's tip; returns whether there was anything."""
        best = await node.best_hash()
        if best == self.tip_hash:
            return False
        path = await self._path(node, best) if self._published else None
        if path is None:
            path = await self._begin_anew(node, best)
        else:
            ancestor = path[0].height - 1 if path else (await node.header(best)).height
            await self._disconnect(node, ancestor)
        await self._connect(node, path)
        return True

    async def begin_anew(self, node: Node) -> None:
        """Publish headers and blocks again from the start, for a reader that lost its place."""
        await self._connect(node, await self._begin_anew(node, await node.best_hash()))

    async def _path(self, node: Node, best: str) -> list[Header] | None:
        """Headers above the newest published ancestor, lowest first; None where no ancestor is known."""
        path: list[Header] = []
        lowest = min(self._published)
        block_hash = best
        while True:
            header = await node.header(block_hash)
            if self._published.get(header.height) == header.hash:
                return path[::-1]
            if header.height <= lowest:
                return None
            path.append(header)
            block_hash = header.previousblockhash

    async def _begin_anew(self, node: Node, best: str) -> list[Header]:
        """Publish `headers.loaded` for what lies below the first blocks; returns the headers of those blocks."""
        tip = await node.header(best)
        first_block = max(1, tip.height - FIRST_BLOCKS + 1)
        first_header = max(0, first_block - FIRST_HEADERS)
        headers = await node.headers(await node.hashes(range(first_header, tip.height + 1)))
        for below, above in itertools.pairwise(headers):
            if above.previousblockhash != below.hash:
                raise RpcError("the chain changed while its headers were read")  # the loop tries again
        base = [header for header in headers if header.height < first_block]
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
        commands.add("DEL", self._keys.chain_published)
        commands.add("DEL", self._keys.chain_resync)  # whoever asked for this beginning has it now
        fields = [part for header in base for part in (header.height, header.hash)]
        commands.spread("HSET", self._keys.chain_published, list(fields))
        await self.producer.publish([event], commands)
        self._published = {header.height: header.hash for header in base}
        self.tip_height = top.height
        return headers[len(base) :]

    async def _disconnect(self, node: Node, ancestor: int) -> None:
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
                commands.add("HDEL", self._keys.chain_published, height)
            await self.producer.publish(events, commands)
            for _ in events:
                del self._published[self.tip_height]
                self.tip_height -= 1

    async def _connect(self, node: Node, path: list[Header]) -> None:
        self.remaining = len(path)
        for start in range(0, len(path), FETCH_AHEAD):
            part = path[start : start + FETCH_AHEAD]
            fetched = await asyncio.gather(*(self._fetch(node, header) for header in part))
            for event, applied in fetched:
                await self._publish(event)
                await self._connected(node, applied)
                self.remaining -= 1

    async def _publish(self, event: BlockConnected) -> None:
        commands = Commands()
        commands.add("HSET", self._keys.chain_published, event.height, event.hash)
        forgotten = event.height - REMEMBERED
        if forgotten in self._published:
            commands.add("HDEL", self._keys.chain_published, forgotten)
        await self.producer.publish([event], commands)
        self._published[event.height] = event.hash
        self._published.pop(forgotten, None)
        self.tip_height = event.height

    async def _fetch(self, node: Node, header: Header) -> tuple[BlockConnected, AppliedBlock]:
        try:
            block, stats, raw = await node.full_block(header.hash)
        except RpcRefused as error:
            raise RpcError(f"block {header.height} {header.hash} cannot be read from node {node.name}") from error
        contents = read(raw, block.tx)
        event = BlockConnected(
            height=block.height,
            hash=block.hash,
            prev_hash=block.previousblockhash,
            time=block.time,
            median_time=block.mediantime,
            bits=block.bits,
            difficulty=block.difficulty,
            chainwork=block.chainwork,
            tx_count=len(block.tx),
            size=block.size,
            weight=block.weight,
            inputs=stats.ins,
            outputs=stats.outs,
            output_value=stats.total_out,
            subsidy=stats.subsidy,
            fees=stats.totalfee,
            fee_rate_percentiles=stats.feerate_percentiles,
            fee_rate_avg=stats.avgfeerate,
            coinbase_tag=coinbase_tag(contents.coinbase_script),
            pool=await self._pool(node, contents),
            largest=contents.largest,
            node=node.name,
            output_bands=contents.output_bands,
        )
        return event, AppliedBlock(block.hash, block.tx, contents.spent)

    async def _pool(self, node: Node, contents: BlockContents) -> str | None:
        addresses = await node.addresses(contents.coinbase_outputs) if self._pools.needs_addresses else []
        return self._pools.find(contents.coinbase_script, addresses)

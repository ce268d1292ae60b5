"""Look-ups of blocks at the node, held against what was expected of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from explorer.core.answers import Block, Header
from explorer.core.expectations import Marks, expected, why_not
from explorer.core.newest import Newest
from explorer.core.node import Node, unknown
from shared.errors import RpcRefused
from shared.events.lookups import BlockWanted
from shared.expected import Record
from shared.lookups.block import PAGE, Answer, Found, Row
from shared.lookups.parts import Missing, Tip
from shared.networks import Network
from shared.pool_tags import Pools
from shared.rpc import satoshi

KEPT: Final = 16
"""Blocks that are remembered: their rows take some 2 MB where they are full."""

PRUNED: Final = "pruned data"

Recorded = Callable[[str], Awaitable[Record]]
"""What was recorded of a block by its hash just before it came. Raises one of shared.redis.TROUBLE."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What never changes about a block."""

    size: int
    stripped_size: int
    weight: int
    rows: list[Row]
    coinbase_script: str
    coinbase_addresses: list[str]

    @property
    def fees(self) -> int | None:
        """Satoshi of all fees; None where the node cannot tell one of them."""
        fees = [row.fee for row in self.rows[1:]]
        return None if None in fees else sum(fee for fee in fees if fee is not None)


class Blocks:
    """With the contents of those that were looked up last."""

    def __init__(self, network: Network, now_ms: Callable[[], int], pools: Pools, recorded: Recorded) -> None:
        self._network = network
        self._now_ms = now_ms
        self._pools = pools
        self._recorded = recorded
        self._contents: Newest[Contents] = Newest(KEPT)

    async def look_up(self, node: Node, wanted: BlockWanted) -> Answer:
        """The block as this node knows it. Raises RpcError where the node does not answer."""
        tip = await node.tip(wanted.tip)
        block_hash = wanted.hash or await node.hash_at(wanted.height or 0)
        if not block_hash:
            return Missing(why="not-yet", tip=tip)
        try:
            header = await node.header(block_hash)
            contents = await self._of(node, block_hash)
        except RpcRefused as error:
            if PRUNED in str(error):
                return Missing(why="pruned", tip=tip)
            if unknown(error):
                return Missing(why="unknown", tip=tip)
            raise
        best = header.confirmations > 0
        instead = None if best else await node.hash_at(header.height)
        record = await self._recorded(header.hash)
        return self._found(wanted, header, contents, tip, instead, record)

    async def _of(self, node: Node, block_hash: str) -> Contents:
        kept = self._contents.get(block_hash)
        if kept is None:
            block: Block = await node.rpc.call("getblock", block_hash, 2, kind=Block)
            kept = self._contents.put(block_hash, await asyncio.to_thread(_contents, block))
        return kept

    def _found(
        self,
        wanted: BlockWanted,
        header: Header,
        contents: Contents,
        tip: Tip,
        instead: str | None,
        record: Record,
    ) -> Found:
        best, rows = header.confirmations > 0, contents.rows
        marks = Marks(record.comparison)
        held = expected(record, rows, marks)
        return Found(
            hash=header.hash,
            height=header.height,
            version=header.version,
            prev_hash=header.previousblockhash,
            next_hash=header.nextblockhash if best else None,
            merkle_root=header.merkleroot,
            time=header.time,
            median_time=header.mediantime,
            bits=header.bits,
            nonce=header.nonce,
            difficulty=header.difficulty,
            chainwork=header.chainwork,
            size=contents.size,
            stripped_size=contents.stripped_size,
            weight=contents.weight,
            tx_count=len(rows),
            best=best,
            instead=instead if instead != header.hash else None,
            fees=contents.fees,
            subsidy=self._network.subsidy(header.height),
            output_value=sum(row.value for row in rows[1:]),
            rates=_percentiles(rows[1:]),
            coinbase_script=contents.coinbase_script,
            coinbase_addresses=contents.coinbase_addresses,
            pool=self._pools.find(bytes.fromhex(contents.coinbase_script), contents.coinbase_addresses),
            transactions=marks.marked(ordered(rows, wanted.order)[wanted.page * PAGE : (wanted.page + 1) * PAGE]),
            page=wanted.page,
            order=wanted.order,
            expected=held,
            not_expected=None if held is not None else why_not(record, header, tip),
            tip=tip,
            sources={"block": "node", "expected": "records"},
            as_of_ms=self._now_ms(),
        )


def _contents(block: Block) -> Contents:
    """Some 50 ms of a full block: not on the event loop."""
    rows = [
        Row(
            txid=tx.txid,
            position=at,
            vsize=tx.vsize,
            weight=tx.weight,
            value=sum(satoshi(one.value) for one in tx.vout),
            fee=satoshi(tx.fee) if at and tx.fee is not None else None,
            inputs=len(tx.vin),
            outputs=len(tx.vout),
        )
        for at, tx in enumerate(block.tx)
    ]
    first = block.tx[0]
    addresses = [one.scriptPubKey.address for one in first.vout if one.scriptPubKey.address]
    return Contents(block.size, block.strippedsize, block.weight, rows, first.vin[0].coinbase or "", addresses)


def ordered(rows: list[Row], order: str) -> list[Row]:
    """Rows by what is asked for, downwards with a minus; ties, and what is unknown at the end, by position."""
    name, down = order.removeprefix("-"), order.startswith("-")
    if name == "position":
        return rows[::-1] if down else rows
    known = [row for row in rows if _figure(row, name) is not None]
    unknown_ = [row for row in rows if _figure(row, name) is None]
    return [*sorted(known, key=lambda row: _figure(row, name) or 0, reverse=down), *unknown_]


def _figure(row: Row, name: str) -> float | None:
    if name == "rate":
        return None if row.fee is None else row.fee / row.vsize
    value: int | None = getattr(row, name)
    return value


def _percentiles(rows: list[Row]) -> list[float] | None:
    """sat/vB at 10, 25, 50, 75 and 90 % of the weight, as the node's `getblockstats` has them; None where unknown."""
    if not rows or any(row.fee is None for row in rows):
        return None
    by_rate = sorted(rows, key=lambda row: (row.fee or 0) * 4 / row.weight)
    total = sum(row.weight for row in rows)
    found: list[float] = []
    gone = 0
    for row in by_rate:
        gone += row.weight
        while len(found) < 5 and gone >= total * (0.1, 0.25, 0.5, 0.75, 0.9)[len(found)]:
            found.append((row.fee or 0) * 4 / row.weight)
    return found

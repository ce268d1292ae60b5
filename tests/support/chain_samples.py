"""Chains made up for the fold: every figure follows from height and a salt, so that forks differ."""

from __future__ import annotations

import hashlib

from shared.bands import VALUE_BOUNDS
from shared.events.backfill import BlocksMeasured, HeadersCollected, MeasuredBlock
from shared.events.blocks import BlockConnected, BlockDisconnected, HeadersLoaded, LargestTx
from shared.pow import work

BITS = 0x1D00FFFF
GENESIS_TIME = 1_231_006_505


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def number(*parts: object) -> int:
    return int(digest(*parts)[:8], 16)


def bits_at(height: int) -> int:
    """Every retarget period has its own difficulty."""
    return BITS - (height // 2016 % 50) * 0x101


def connected(height: int, prev: BlockConnected | None, salt: int = 0) -> BlockConnected:
    """A block on top of another; None: on the genesis block."""
    prev_hash = prev.hash if prev else digest("genesis")
    before = int(prev.chainwork, 16) if prev else work(BITS)
    time = (prev.time if prev else GENESIS_TIME) + number("time", height, salt) % 1200 - 60
    bits = bits_at(height)
    return BlockConnected(
        height=height,
        hash=digest("block", height, prev_hash, salt),
        prev_hash=prev_hash,
        time=time,
        median_time=time - 3_600,
        bits=f"{bits:08x}",
        difficulty=1.0,
        chainwork=f"{before + work(bits):064x}",
        tx_count=number("txs", height, salt) % 4000 + 1,
        size=number("size", height, salt) % 2_000_000,
        weight=number("weight", height, salt) % 4_000_000,
        inputs=1,
        outputs=2,
        output_value=number("value", height, salt),
        subsidy=5_000_000_000,
        fees=number("fees", height, salt),
        fee_rate_percentiles=[1, 2, 3, 4, salt],
        fee_rate_avg=3,
        coinbase_tag=f"/{salt}/",
        pool=None if salt % 3 else f"Pool {number('pool', height) % 5}",
        largest=sorted(
            (
                LargestTx(txid=digest("tx", height, salt, at), value=number("amount", height, salt, at))
                for at in range(number("count", height, salt) % (70 if height % 8 == 0 else 4))
            ),
            key=lambda tx: (-tx.value, tx.txid),
        )[:50],
        node="main",
        output_bands=[number("band", height, salt, band) % 1_000 for band in range(len(VALUE_BOUNDS))],
    )


def disconnected(block: BlockConnected) -> BlockDisconnected:
    return BlockDisconnected(height=block.height, hash=block.hash, prev_hash=block.prev_hash, node="main")


def loaded(below: list[BlockConnected], first: int = 0) -> HeadersLoaded:
    """A beginning with the headers of these blocks, from `first` on; genesis stands before the first block."""
    headers = [(GENESIS_TIME, BITS), *((block.time, int(block.bits, 16)) for block in below)]
    top = below[-1] if below else None
    return HeadersLoaded(
        height=first,
        headers=headers[first:],
        tip_hash=top.hash if top else digest("genesis"),
        chainwork=top.chainwork if top else f"{work(BITS):064x}",
        median_time=headers[-1][0],
        node="main",
        hashes=[digest("genesis"), *(block.hash for block in below)][first:],
        prev_hash=hash_at(below, first - 1),
    )


def hash_at(blocks: list[BlockConnected], height: int) -> str:
    """The hash at a height of a chain whose first block stands on genesis; empty below genesis."""
    return "" if height < 0 else digest("genesis") if height == 0 else blocks[height - 1].hash


def collected(blocks: list[BlockConnected], first: int, last: int) -> HeadersCollected:
    """The headers from `first` to `last` of a chain, as a backfill worker sends them."""
    times = [(GENESIS_TIME, BITS, digest("genesis")), *((b.time, int(b.bits, 16), b.hash) for b in blocks)]
    return HeadersCollected(
        height=first,
        prev_hash=hash_at(blocks, first - 1),
        tip_hash=hash_at(blocks, last),
        headers=[(time, bits, block_hash[-16:]) for time, bits, block_hash in times[first : last + 1]],
    )


def measured(blocks: list[BlockConnected], heights: list[int]) -> BlocksMeasured:
    """Statistics of these heights of a chain, as a backfill worker sends them."""
    found = []
    for height in heights:
        if height:
            fields = {name: getattr(blocks[height - 1], name) for name in MeasuredBlock.__struct_fields__}
            found.append(MeasuredBlock(**fields))
        else:
            found.append(GENESIS)
    return BlocksMeasured(blocks=found)


def chain(length: int, on: list[BlockConnected] | None = None, salt: int = 0) -> list[BlockConnected]:
    """So many more blocks on top of these (on genesis without any)."""
    blocks = list(on or [])
    for _ in range(length):
        blocks.append(connected(len(blocks) + 1, blocks[-1] if blocks else None, salt))
    return blocks


GENESIS = MeasuredBlock(
    height=0,
    hash=digest("genesis"),
    time=GENESIS_TIME,
    tx_count=1,
    size=285,
    weight=1140,
    inputs=0,
    outputs=1,
    output_value=0,
    fees=0,
    fee_rate_percentiles=[0] * 5,
    fee_rate_avg=0,
    output_bands=[0] * len(VALUE_BOUNDS),
    pool=None,
    largest=[],
)

"""Chains made up for the fold: every figure follows from height and a salt, so that forks differ."""

from __future__ import annotations

import hashlib

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
        pool=None if salt % 3 else "A pool",
        largest=[LargestTx(txid=digest("tx", height, salt), value=1)],
        node="main",
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
    )


def chain(length: int, on: list[BlockConnected] | None = None, salt: int = 0) -> list[BlockConnected]:
    """So many more blocks on top of these (on genesis without any)."""
    blocks = list(on or [])
    for _ in range(length):
        blocks.append(connected(len(blocks) + 1, blocks[-1] if blocks else None, salt))
    return blocks

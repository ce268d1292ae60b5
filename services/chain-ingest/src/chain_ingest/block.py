"""What a raw block tells: coinbase tag, outputs by value, largest transactions, spent coins; sizes and time.

`read` is for a block whose txids the node has told; `measure` needs the bytes alone and hashes only what it names.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from chain_ingest.transaction import Span, compact, fingerprint, span, txid
from shared.bands import VALUE_BOUNDS
from shared.events.blocks import LargestTx

LARGEST: Final = 50
HEADER: Final = 80

_TIME: Final = slice(68, 72)
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]{3,}")


@dataclass(frozen=True, slots=True)
class BlockContents:
    """What was read from one block."""

    coinbase_script: bytes
    coinbase_outputs: list[bytes]  # output scripts
    largest: list[LargestTx]
    spent: frozenset[bytes]  # fingerprints of the outpoints
    output_bands: list[int]  # outputs by value (shared.bands.VALUE_BOUNDS), coinbase excluded


@dataclass(frozen=True, slots=True)
class BlockMeasures:
    """What one block's bytes say without any help of the node."""

    hash: str
    time: int  # Unix seconds, the block's own
    tx_count: int
    size: int  # bytes
    weight: int  # weight units
    coinbase_script: bytes
    coinbase_outputs: list[bytes]  # output scripts
    largest: list[LargestTx]  # up to LARGEST, largest first, coinbase excluded
    output_bands: list[int]  # as in BlockContents


def read(raw: bytes, txids: list[str]) -> BlockContents:
    """Read a serialised block whose transactions have these txids, in order (the node knows them already).

    Raises ValueError or IndexError where the bytes are no block of so many transactions.
    """
    count, _ = compact(raw, HEADER)
    if count != len(txids):
        raise ValueError(f"block has {count} transactions but {len(txids)} txids were given")
    values: list[int] = []
    outputs: list[int] = []
    spent: set[bytes] = set()
    walk = _spans(raw)
    script, scripts = _coinbase(raw, next(walk))
    for where in walk:
        values.append(where.value)
        outputs += where.values
        spent.update(map(fingerprint, where.outpoints))
    # txids break ties, so that every node and every rebuild gives the same order
    top = heapq.nsmallest(LARGEST, ((-value, txids[place]) for place, value in enumerate(values, 1)))
    return BlockContents(
        coinbase_script=script,
        coinbase_outputs=scripts,
        largest=[LargestTx(txid=one, value=-value) for value, one in top],
        spent=frozenset(spent),
        output_bands=bands(outputs),
    )


def measure(raw: bytes) -> BlockMeasures:
    """Measure a serialised block. Raises ValueError or IndexError where the bytes are none."""
    count, start = compact(raw, HEADER)
    stripped = start
    values: list[int] = []
    starts: list[int] = []
    outputs: list[int] = []
    walk = _spans(raw)
    coinbase = next(walk)
    stripped += coinbase.stripped_size
    for where in walk:
        values.append(where.value)
        starts.append(where.start)
        outputs += where.values
        stripped += where.stripped_size
    script, scripts = _coinbase(raw, coinbase)
    return BlockMeasures(
        hash=header_hash(raw[:HEADER]),
        time=int.from_bytes(raw[_TIME], "little"),
        tx_count=count,
        size=len(raw),
        weight=3 * stripped + len(raw),  # BIP 141
        coinbase_script=script,
        coinbase_outputs=scripts,
        largest=_largest(raw, values, starts),
        output_bands=bands(outputs),
    )


def _largest(raw: bytes, values: list[int], starts: list[int]) -> list[LargestTx]:
    """In the order of `read`: only transactions that may be among them are hashed, all of those that tie at the end."""
    least = min(heapq.nlargest(LARGEST, values), default=0)
    candidates = [
        (-value, txid(raw, span(raw, start))) for value, start in zip(values, starts, strict=True) if value >= least
    ]
    return [LargestTx(txid=one, value=-value) for value, one in heapq.nsmallest(LARGEST, candidates)]


def _spans(raw: bytes) -> Iterator[Span]:
    """Each transaction, the coinbase first."""
    count, at = compact(raw, HEADER)
    if not count:
        raise ValueError("a block without a coinbase")
    for _ in range(count):
        where = span(raw, at)
        yield where
        at = where.end
    if at != len(raw):
        raise ValueError(f"{len(raw) - at} bytes follow the last transaction")


def header_hash(header: bytes) -> str:
    """A block's hash from the 80 bytes of its header, in RPC order."""
    return sha256(sha256(header).digest()).digest()[::-1].hex()


def bands(values: list[int]) -> list[int]:
    """How many of these output values (satoshi) lie in each band of VALUE_BOUNDS."""
    ordered = sorted(values)
    below = [bisect_left(ordered, bound) for bound in VALUE_BOUNDS]
    return [upper - lower for lower, upper in zip(below, [*below[1:], len(ordered)], strict=True)]


def _coinbase(raw: bytes, where: Span) -> tuple[bytes, list[bytes]]:
    """Script and output scripts of the first transaction."""
    length, at = compact(raw, where.body_start + 1 + 36)
    return raw[at : at + length], _output_scripts(raw, at + length + 4)


def _output_scripts(raw: bytes, at: int) -> list[bytes]:
    count, at = compact(raw, at)
    scripts = []
    for _ in range(count):
        length, at = compact(raw, at + 8)
        scripts.append(raw[at : at + length])
        at += length
    return scripts


def coinbase_tag(script: bytes) -> str:
    """Printable ASCII of a coinbase script: runs of three characters and more, joined by a space.

    The first push is the block's height (BIP 34) and never text.
    """
    start = 1 + script[0] if script and script[0] <= 8 else 0
    return " ".join(run.decode() for run in _PRINTABLE.findall(script[start:])).strip()[:100]

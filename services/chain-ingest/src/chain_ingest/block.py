"""What a raw block tells that the node's statistics do not: coinbase tag, largest transactions, spent coins."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from typing import Final

from chain_ingest.transaction import compact, fingerprint, span
from shared.events.blocks import LargestTx

LARGEST: Final = 50
HEADER: Final = 80

_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]{3,}")


@dataclass(frozen=True, slots=True)
class BlockContents:
    """What was read from one block."""

    coinbase_script: bytes
    coinbase_outputs: list[bytes]  # output scripts
    largest: list[LargestTx]
    spent: frozenset[bytes]  # fingerprints of the outpoints


def read(raw: bytes, txids: list[str]) -> BlockContents:
    """Read a serialised block whose transactions have these txids, in order (the node knows them already)."""
    count, at = compact(raw, HEADER)
    if count != len(txids):
        raise ValueError(f"block has {count} transactions but {len(txids)} txids were given")
    coinbase = span(raw, at)
    at = coinbase.end
    values: list[int] = []
    spent: set[bytes] = set()
    for _ in range(count - 1):
        where = span(raw, at)
        values.append(where.value)
        spent.update(map(fingerprint, where.outpoints))
        at = where.end
    if at != len(raw):
        raise ValueError(f"{len(raw) - at} bytes follow the last transaction")
    # txids break ties, so that every node and every rebuild gives the same order
    top = heapq.nsmallest(LARGEST, ((-value, txids[place]) for place, value in enumerate(values, 1)))
    script_length, script_at = compact(raw, coinbase.body_start + 1 + 36)
    return BlockContents(
        coinbase_script=raw[script_at : script_at + script_length],
        coinbase_outputs=_output_scripts(raw, script_at + script_length + 4),
        largest=[LargestTx(txid=txid, value=-value) for value, txid in top],
        spent=frozenset(spent),
    )


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

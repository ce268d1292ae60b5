"""A block as its bytes tell it, walked once; txids are worked out when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, repeat
from typing import Final

from chain_ingest.transaction import compact, fingerprint, walk

HEADER: Final = 80
_TIME: Final = slice(68, 72)


@dataclass(frozen=True, slots=True)
class AppliedBlock:
    """A block that was just connected, as far as the mempool must know."""

    hash: str
    txids: list[str]
    spent: dict[bytes, int]  # fingerprints of the outpoints -> the place of who spends it; coinbase excluded


class Block:
    """One block. Raises ValueError or IndexError where the bytes are none."""

    def __init__(self, raw: bytes) -> None:
        """Takes some 15 ms where the block is full: not on the event loop."""
        count, self.begin = compact(raw, HEADER)
        if not count:
            raise ValueError("a block without a coinbase")
        self.raw = raw
        self.txs = walk(raw, self.begin, count)
        """Columns, the coinbase first."""
        if self.txs.starts[-1] != len(raw):
            raise ValueError(f"{len(raw) - self.txs.starts[-1]} bytes follow the last transaction")
        self.hash = header_hash(raw[:HEADER])
        self.time = int.from_bytes(raw[_TIME], "little")  # Unix seconds, the block's own
        self.coinbase_script, self.coinbase_outputs = self._coinbase()

    def _coinbase(self) -> tuple[bytes, list[bytes]]:
        """Script and output scripts of the first transaction."""
        raw = self.raw
        length, at = compact(raw, self.txs.body_starts[0] + 1 + 36)
        script = raw[at : at + length]
        count, at = compact(raw, at + length + 4)
        scripts = []
        for _ in range(count):
            length, at = compact(raw, at + 8)
            scripts.append(raw[at : at + length])
            at += length
        return script, scripts

    def applied(self) -> AppliedBlock:
        """Hashes every transaction and every coin that was spent: some 25 ms where the block is full."""
        txids = [self.txs.txid(place) for place in range(len(self.txs))]
        places = chain.from_iterable(repeat(place, count) for place, count in enumerate(self.txs.inputs[1:], 1))
        spent = zip(map(fingerprint, self.txs.outpoints(self.txs.inputs[0])), places, strict=True)
        return AppliedBlock(self.hash, txids, dict(spent))


def header_hash(header: bytes) -> str:
    """A block's hash from the 80 bytes of its header, in RPC order."""
    return sha256(sha256(header).digest()).digest()[::-1].hex()

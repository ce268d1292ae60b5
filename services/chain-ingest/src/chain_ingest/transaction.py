"""Just enough of a serialised transaction: its txid, sizes, output value and inputs (BIP 144)."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

FINGERPRINT: Final = 4
"""Bytes of an input's fingerprint: the first of SHA-256 over its outpoint. Equal ones mean the same coin, but for
one chance in four billion; that is enough to tell what replaced what."""


class Span(NamedTuple):
    """Where a transaction lies in a buffer, and what it says."""

    start: int
    end: int
    segwit: bool
    body_start: int  # of the inputs' count
    body_end: int  # behind the last output
    values: list[int]  # of the outputs, satoshi
    outpoints: list[bytes]  # 36 bytes each, as serialised

    @property
    def value(self) -> int:
        """Sum of the outputs, satoshi."""
        return sum(self.values)

    @property
    def stripped_size(self) -> int:
        """Bytes without marker, flag and witness."""
        return self.body_end - self.body_start + 8  # version and lock time


class Transaction(NamedTuple):
    """A transaction of the mempool."""

    txid: str
    size: int  # bytes, with witness
    value: int  # sum of the outputs, satoshi
    inputs: bytes  # fingerprints, one after the other


def compact(buffer: bytes, at: int) -> tuple[int, int]:
    """A CompactSize integer and the position behind it."""
    first = buffer[at]
    if first < 0xFD:
        return first, at + 1
    width = 2 << (first - 0xFD)
    return int.from_bytes(buffer[at + 1 : at + 1 + width], "little"), at + 1 + width


def span(buffer: bytes, start: int) -> Span:
    """Walk the transaction that begins at `start`. Raises IndexError or ValueError where the bytes are none."""
    at = start + 4
    segwit = buffer[at] == 0 and buffer[at + 1] == 1
    if segwit:
        at += 2
    body_start = at
    count, at = compact(buffer, at)
    outpoints = []
    for _ in range(count):
        outpoints.append(buffer[at : at + 36])
        length = buffer[at + 36]
        if length < 0xFD:
            at += 41 + length
        else:
            length, at = compact(buffer, at + 36)
            at += length + 4
    inputs = count
    values = []
    count, at = compact(buffer, at)
    for _ in range(count):
        values.append(int.from_bytes(buffer[at : at + 8], "little"))
        length = buffer[at + 8]
        if length < 0xFD:
            at += 9 + length
        else:
            length, at = compact(buffer, at + 8)
            at += length
    body_end = at
    if segwit:
        for _ in range(inputs):
            items, at = compact(buffer, at)
            for _ in range(items):
                length, at = compact(buffer, at)
                at += length
    end = at + 4
    if end > len(buffer):
        raise ValueError(f"a transaction of {end - start} bytes in a buffer of {len(buffer) - start}")
    return Span(start, end, segwit, body_start, body_end, values, outpoints)


def txid(buffer: bytes, where: Span) -> str:
    """Hash of the transaction without its witness, in RPC order."""
    if where.segwit:
        stripped = (
            buffer[where.start : where.start + 4]
            + buffer[where.body_start : where.body_end]
            + buffer[where.end - 4 : where.end]
        )
    else:
        stripped = buffer[where.start : where.end]
    return sha256(sha256(stripped).digest()).digest()[::-1].hex()


def fingerprint(outpoint: bytes) -> bytes:
    """The short form of an outpoint, see FINGERPRINT."""
    return sha256(outpoint).digest()[:FINGERPRINT]


def parse(raw: bytes) -> Transaction:
    """Read a whole transaction, as `rawtx` and `getrawtransaction` give it."""
    where = span(raw, 0)
    inputs = b"".join(map(fingerprint, where.outpoints))
    return Transaction(txid(raw, where), where.end, where.value, inputs)

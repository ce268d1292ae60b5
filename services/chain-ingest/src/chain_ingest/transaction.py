"""Just enough of serialised transactions: txids, sizes, output values and inputs (BIP 144)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from itertools import repeat
from typing import Final, NamedTuple

FINGERPRINT: Final = 4
"""Bytes of an input's fingerprint: the first of SHA-256 over its outpoint. Equal ones mean the same coin, but for
one chance in four billion; that is enough to tell what replaced what."""

COINBASE: Final = bytes(32)
"""The txid in the outpoint of a coinbase's one input."""

OUTPOINT: Final = 36
"""Bytes of a txid and the number of an output."""

_COLUMNS: Final = 6
_output_at: Final = struct.Struct("<QB").unpack_from
"""Value of an output and the first byte of its script's length."""


class Transaction(NamedTuple):
    """A transaction of the mempool."""

    txid: str
    size: int  # bytes, with witness
    value: int  # sum of the outputs, satoshi
    inputs: bytes  # fingerprints, one after the other


@dataclass(frozen=True, slots=True)
class Walked:
    """Consecutive transactions of a buffer, by column: a full block has thousands, and an object for each costs more
    than reading it."""

    buffer: bytes
    starts: list[int]  # one more than there are transactions: the last is the end
    body_starts: list[int]  # of the inputs' count
    body_ends: list[int]  # behind the last output
    inputs: list[int]  # how many
    outputs: list[int]  # how many
    sums: list[int]  # of the outputs, satoshi
    values: list[int]  # of every output, satoshi
    inputs_at: list[int]  # where every input begins, with its outpoint

    def __len__(self) -> int:
        return len(self.sums)

    def stripped_size(self, place: int) -> int:
        """Bytes of a transaction without marker, flag and witness."""
        return self.body_ends[place] - self.body_starts[place] + 8  # version and lock time

    def size(self, place: int) -> int:
        """Bytes of a transaction."""
        return self.starts[place + 1] - self.starts[place]

    def weights(self) -> list[int]:
        """Weight units of each transaction (BIP 141)."""
        columns = zip(self.starts, self.starts[1:], self.body_starts, self.body_ends, strict=False)  # and the end
        return [end - start + 3 * (body_end - body_start + 8) for start, end, body_start, body_end in columns]

    def outpoints(self, first: int = 0) -> list[bytes]:
        """What the inputs from this one on spend, 36 bytes each as serialised."""
        return [self.buffer[at : at + OUTPOINT] for at in self.inputs_at[first:]]

    def txid(self, place: int) -> str:
        """Hash of a transaction without its witness, in RPC order."""
        start, body_start, end = self.starts[place], self.body_starts[place], self.starts[place + 1]
        stripped = self.buffer[start:end]
        if body_start != start + 4:
            stripped = (
                self.buffer[start : start + 4]
                + self.buffer[body_start : self.body_ends[place]]
                + self.buffer[end - 4 : end]
            )
        return sha256(sha256(stripped).digest()).digest()[::-1].hex()


def compact(buffer: bytes, at: int) -> tuple[int, int]:
    """A CompactSize integer and the position behind it."""
    first = buffer[at]
    if first < 0xFD:
        return first, at + 1
    width = 2 << (first - 0xFD)
    return int.from_bytes(buffer[at + 1 : at + 1 + width], "little"), at + 1 + width


def walk(buffer: bytes, at: int, count: int) -> Walked:
    """Walk `count` transactions from `at` on. Raises IndexError or ValueError where the bytes are none.

    Here and below sizes of one byte, nearly all of them, are read in place, and what is found of a transaction goes
    into one list as a row: calls and appends would be half of the time.
    """
    rows: list[int] = []
    values: list[int] = []
    inputs_at: list[int] = []
    add_row, add_input = rows.extend, inputs_at.append
    try:
        for _ in repeat(None, count):
            start, body = at, at + 4
            inputs = buffer[body]
            if segwit := inputs == 0 and buffer[body + 1] == 1:
                body += 2
                inputs = buffer[body]
            at = body + 1
            if inputs >= 0xFD:
                inputs, at = compact(buffer, body)
            for _ in repeat(None, inputs):
                add_input(at)
                length = buffer[at + OUTPOINT]
                if length < 0xFD:
                    at += OUTPOINT + 5 + length
                else:
                    length, at = compact(buffer, at + OUTPOINT)
                    at += length + 4
            before = len(values)
            at = read_outputs(buffer, at, values)
            outputs = len(values) - before
            total = values[-1] if outputs == 1 else sum(values[before:])
            end = at
            if segwit:
                at = _skip_witnesses(buffer, at, inputs)
            at += 4
            add_row((start, body, end, inputs, outputs, total))
    except struct.error as error:
        raise ValueError(f"the bytes end within an output ({error})") from error
    if at > len(buffer):
        raise ValueError(f"transactions that end at byte {at} in a buffer of {len(buffer)}")
    starts, body_starts, body_ends, inputs_of, outputs_of, sums = (rows[place::_COLUMNS] for place in range(_COLUMNS))
    return Walked(buffer, [*starts, at], body_starts, body_ends, inputs_of, outputs_of, sums, values, inputs_at)


def read_outputs(buffer: bytes, at: int, values: list[int]) -> int:
    """Append the values of the outputs whose count stands at `at`; returns the position behind the last one.

    Raises IndexError, ValueError or struct.error where the bytes end before.
    """
    count = buffer[at]
    at += 1
    if count >= 0xFD:
        count, at = compact(buffer, at - 1)
    for _ in repeat(None, count):
        value, length = _output_at(buffer, at)
        values.append(value)
        if length < 0xFD:
            at += 9 + length
        else:
            length, at = compact(buffer, at + 8)
            at += length
    return at


def _skip_witnesses(buffer: bytes, at: int, inputs: int) -> int:
    for _ in repeat(None, inputs):
        items = buffer[at]
        at += 1
        if items >= 0xFD:
            items, at = compact(buffer, at - 1)
        for _ in repeat(None, items):
            length = buffer[at]
            if length < 0xFD:
                at += 1 + length
            else:
                length, at = compact(buffer, at)
                at += length
    return at


def fingerprint(outpoint: bytes) -> bytes:
    """The short form of an outpoint, see FINGERPRINT."""
    return sha256(outpoint).digest()[:FINGERPRINT]


def parse(raw: bytes) -> Transaction:
    """Read a whole transaction, as `rawtx` and `getrawtransaction` give it."""
    walked = walk(raw, 0, 1)
    inputs = b"".join(map(fingerprint, walked.outpoints()))
    return Transaction(walked.txid(0), walked.size(0), walked.sums[0], inputs)


def is_coinbase(raw: bytes) -> bool:
    """Whether a serialised transaction is a block's first; of bytes that are none: False."""
    at = 6 if raw[4:6] == b"\x00\x01" else 4
    return raw[at : at + 1] == b"\x01" and raw[at + 1 : at + 33] == COINBASE

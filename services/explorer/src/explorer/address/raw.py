"""What a serialised transaction spends and makes (BIP 144), as far as the history of a script needs it."""

from __future__ import annotations

from typing import NamedTuple

COINBASE = bytes(32)


class Flow(NamedTuple):
    """Outpoints that a transaction spends, and its outputs: (txid in RPC order, number), (satoshi, script)."""

    spends: list[tuple[str, int]]
    makes: list[tuple[int, bytes]]


def flow(raw: bytes) -> Flow:
    """Raises ValueError where the bytes are no transaction."""
    try:
        return _flow(raw)
    except IndexError as error:
        raise ValueError(f"{len(raw)} bytes that end within a transaction") from error


def _flow(raw: bytes) -> Flow:
    at = 6 if raw[4] == 0 and raw[5] == 1 else 4
    count, at = _compact(raw, at)
    spends = []
    for _ in range(count):
        txid = raw[at : at + 32]
        number = int.from_bytes(raw[at + 32 : at + 36], "little")
        length, at = _compact(raw, at + 36)
        at += length + 4
        if txid != COINBASE:
            spends.append((txid[::-1].hex(), number))
    count, at = _compact(raw, at)
    makes = []
    for _ in range(count):
        value = int.from_bytes(raw[at : at + 8], "little")
        length, at = _compact(raw, at + 8)
        makes.append((value, raw[at : at + length]))
        at += length
    if at > len(raw):
        raise ValueError(f"{len(raw)} bytes that end within a transaction")
    return Flow(spends, makes)


def _compact(raw: bytes, at: int) -> tuple[int, int]:
    first = raw[at]
    if first < 0xFD:
        return first, at + 1
    width = 2 << (first - 0xFD)
    return int.from_bytes(raw[at + 1 : at + 1 + width], "little"), at + 1 + width

"""A raw transaction's identifier (BIP141, BIP144), to know that it is the one that was asked for."""

from __future__ import annotations

from explorer.electrum.answers import double_sha256


def txid(raw: bytes) -> str:
    """The identifier, in RPC order: of the transaction without its witness. ValueError where it is no transaction."""
    if raw[4:6] != b"\x00\x01":
        return double_sha256(raw)[::-1].hex()
    inputs, at = _number(raw, 6)
    for _ in range(inputs):
        length, at = _number(raw, at + 36)
        at = _within(raw, at + length + 4)
    outputs, at = _number(raw, at)
    for _ in range(outputs):
        length, at = _number(raw, at + 8)
        at = _within(raw, at + length)
    return double_sha256(raw[:4] + raw[6:at] + raw[-4:])[::-1].hex()


def _number(raw: bytes, at: int) -> tuple[int, int]:
    """A CompactSize, and where it ends."""
    first = raw[_within(raw, at + 1) - 1]
    if first < 0xFD:
        return first, at + 1
    end = _within(raw, at + 1 + (2 << (first - 0xFD)))
    return int.from_bytes(raw[at + 1 : end], "little"), end


def _within(raw: bytes, at: int) -> int:
    if at > len(raw):
        raise ValueError("a transaction that ends too early")
    return at

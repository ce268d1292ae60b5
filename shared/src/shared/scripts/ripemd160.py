"""RIPEMD-160 (Dobbertin, Bosselaers, Preneel 1996), for systems whose OpenSSL leaves it out."""

from __future__ import annotations

import struct
from typing import Final

_ORDER: Final = (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8)
"""The permutation that makes each round's order of words from the one before."""

_TURNS: Final = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7),
    (13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9),
    (14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6),
    (15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5),
)
"""Bits by which a word is turned, by round and by the word's number."""

_LEFT: Final = (0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_RIGHT: Final = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0)
_START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_WORD: Final = 0xFFFFFFFF


def ripemd160(message: bytes) -> bytes:
    """20 bytes. About 0.3 ms a block of 64 bytes."""
    padding = b"\x80" + bytes((55 - len(message)) % 64)
    padded = message + padding + struct.pack("<Q", 8 * len(message))
    state: tuple[int, ...] = _START
    for at in range(0, len(padded), 64):
        words = struct.unpack_from("<16I", padded, at)
        one = _line(state, words, range(16), _LEFT, (0, 1, 2, 3, 4))
        two = _line(state, words, [(9 * number + 5) % 16 for number in range(16)], _RIGHT, (4, 3, 2, 1, 0))
        state = tuple((state[(n + 1) % 5] + one[(n + 2) % 5] + two[(n + 3) % 5]) & _WORD for n in range(5))
    return struct.pack("<5I", *state)


def _line(
    state: tuple[int, ...],
    words: tuple[int, ...],
    order: range | list[int],
    constants: tuple[int, ...],
    mixing: tuple[int, ...],
) -> tuple[int, ...]:
    """One of the two lines: five rounds of sixteen steps."""
    a, b, c, d, e = state
    for turns, constant, mix in zip(_TURNS, constants, mixing, strict=True):
        for number in order:
            mixed = a + _mixed(mix, b, c, d) + words[number] + constant & _WORD
            a, b, c, d, e = e, (_turned(mixed, turns[number]) + e) & _WORD, b, _turned(c, 10), d
        order = [_ORDER[number] for number in order]
    return a, b, c, d, e


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & _WORD


def _mixed(mix: int, x: int, y: int, z: int) -> int:
    match mix:
        case 0:
            return x ^ y ^ z
        case 1:
            return x & y | ~x & z & _WORD
        case 2:
            return (x | ~y & _WORD) ^ z
        case 3:
            return x & z | y & ~z & _WORD
        case _:
            return x ^ (y | ~z & _WORD)

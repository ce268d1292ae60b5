"""Bech32 and bech32m (BIP 173, BIP 350): prefix, the separator 1, symbols of 5 bits, of which the last six check.

The checksum is the remainder of a polynomial over GF(32); it is worked out two symbols at a time, so that thousands of
addresses are written within one page.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Final, Literal, NamedTuple

from shared.scripts.reasons import refuse, wrong_sign
from shared.scripts.signs import plain

CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
LONGEST: Final = 90
CHECKS: Final = 6

Encoding = Literal["bech32", "bech32m"]

_CONSTANT: Final[dict[Encoding, int]] = {"bech32": 1, "bech32m": 0x2BC830A3}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_VALUE: Final = {sign: value for value, sign in enumerate(CHARSET)}
_PAIRS: Final = tuple(one + two for one in CHARSET for two in CHARSET)
_LEFT_OUT: Final = {"1": "l7", "b": "68", "i": "lj", "o": "0"}
"""What the symbols leave out because it looks like another, and which others those may be."""


def _carry(top: int) -> int:
    """What the 5 bits that are pushed out at the top add."""
    added = 0
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            added ^= generator
    return added


_CARRY: Final = tuple(map(_carry, range(32)))


def _step(state: int, value: int) -> int:
    return (state & 0x1FFFFFF) << 5 ^ value ^ _CARRY[state >> 25]


_CARRY_TWO: Final = tuple(_step(_step(top << 20, 0), 0) for top in range(1024))


@cache
def _after(prefix: str, version: int) -> int:
    """The remainder after the prefix and the version. Prefixes come from shared.networks alone."""
    return _step(_after_prefix(prefix), version)


def _after_prefix(prefix: str) -> int:
    state = 1
    for value in (*(ord(sign) >> 5 for sign in prefix), 0, *(ord(sign) & 31 for sign in prefix)):
        state = _step(state, value)
    return state


def encode(prefix: str, version: int, program: bytes) -> str:
    """The address of a witness program: bech32 for version 0, bech32m for later ones. `prefix` in lower case."""
    bits = 8 * len(program)
    left = int.from_bytes(program, "big") << -bits % 5
    symbols = -(-bits // 5)
    state = _after(prefix, version)
    parts = [prefix, "1", CHARSET[version]]
    if symbols % 2:
        symbols -= 1
        value = left >> 5 * symbols
        state = _step(state, value)
        parts.append(CHARSET[value])
    for shift in range(5 * symbols - 10, -1, -10):
        pair = left >> shift & 1023
        state = (state & 0xFFFFF) << 10 ^ pair ^ _CARRY_TWO[state >> 20]
        parts.append(_PAIRS[pair])
    for _ in range(3):
        state = (state & 0xFFFFF) << 10 ^ _CARRY_TWO[state >> 20]
    state ^= _CONSTANT["bech32m" if version else "bech32"]
    return "".join((*parts, _PAIRS[state >> 20], _PAIRS[state >> 10 & 1023], _PAIRS[state & 1023]))


class Decoded(NamedTuple):
    """What a text holds: in lower case, symbols without the checksum."""

    prefix: str
    encoding: Encoding | None  # whose checksum matches; None: not looked at
    symbols: bytes


def decode(text: str, known: Collection[str]) -> Decoded:
    """Raises Unreadable, with the places of up to two wrong symbols where the checksum tells them.

    `known` prefixes end at the first 1; of others nobody knows whether a 1 is part of them, and the last one counts.
    Of what has an unknown prefix the checksum is not looked at.
    """
    if len(text) > LONGEST:
        raise refuse("too-long", *range(LONGEST, len(text))[:LONGEST], length=len(text), most=LONGEST)
    _check_signs(text)
    small = text.lower()
    at = next((len(prefix) for prefix in known if small.startswith(f"{prefix}1")), small.rfind("1"))
    if at < 1:
        raise refuse("separator", *sorted(len(prefix) for prefix in known if small.startswith(prefix))[-1:])
    if len(text) - at <= CHECKS:
        raise refuse("too-short", length=len(text))
    for place in range(at + 1, len(text)):
        if small[place] not in _VALUE:
            raise wrong_sign("character", text, place, _LEFT_OUT.get(small[place], ""))
    prefix, symbols = small[:at], bytes(_VALUE[sign] for sign in small[at + 1 :])
    state = _after_prefix(prefix)
    for value in symbols:
        state = _step(state, value)
    if prefix not in known:
        return Decoded(prefix, None, symbols[:-CHECKS])
    for encoding, constant in _CONSTANT.items():
        if state == constant:
            return Decoded(prefix, encoding, symbols[:-CHECKS])
    raise refuse("checksum", *(len(text) - 1 - place for place in _located(state, len(symbols))))


def _check_signs(text: str) -> None:
    """Raises Unreadable for what is not ASCII, or where letters of both cases are."""
    for place, sign in enumerate(text):
        if not "!" <= sign <= "~":
            raise wrong_sign("character", text, place, plain(sign))
    capital = [place for place, sign in enumerate(text) if sign.isupper()]
    small = [place for place, sign in enumerate(text) if sign.islower()]
    if capital and small:
        raise refuse("mixed-case", *min(capital, small, key=len))


def bytes_of(symbols: bytes) -> bytes | None:
    """Bytes out of symbols of 5 bits; None where the bits left over are not zero, or are a whole symbol."""
    number = 0
    for value in symbols:
        number = number << 5 | value
    size, over = divmod(5 * len(symbols), 8)
    if over > 4 or number & (1 << over) - 1:
        return None
    return (number >> over).to_bytes(size, "big")


# --- where a checksum that does not match is wrong ---


@cache
def _single() -> tuple[list[list[int]], dict[int, int]]:
    """What one wrong symbol adds to the remainder: by its place from the right, and the place by what it adds."""
    adds = [list(range(1, 32))]
    while len(adds) < LONGEST:
        adds.append([_step(added, 0) for added in adds[-1]])
    return adds, {added: place for place, row in enumerate(adds) for added in row}


def _located(state: int, length: int) -> list[int]:
    """Places from the right, the leftmost first, of the one or two symbols that are wrong if no more are; else none.

    The code tells any four errors within 89 symbols, so that no two such explanations fit one checksum. Both checksums
    are tried, because the symbol of the version may be the wrong one, and the one with fewer errors is believed.
    """
    found = (_explained(state ^ constant, length) for constant in _CONSTANT.values())
    return min((places for places in found if places), key=len, default=[])


def _explained(residue: int, length: int) -> list[int]:
    adds, place_of = _single()
    if place_of.get(residue, length) < length:
        return [place_of[residue]]
    for one, row in enumerate(adds[:length]):
        for added in row:
            two = place_of.get(residue ^ added, length)
            if two < length:
                return sorted((one, two), reverse=True)
    return []

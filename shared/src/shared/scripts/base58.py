"""Base58check: a payload and 4 bytes of checksum, as digits of base 58; each leading zero byte is a 1."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

from shared.scripts.hashes import checksum
from shared.scripts.reasons import refuse, wrong_sign
from shared.scripts.signs import plain

DIGITS: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

_VALUE: Final = {digit: value for value, digit in enumerate(DIGITS)}
_PAIRS: Final = tuple(one + two for one in DIGITS for two in DIGITS)
_LEFT_OUT: Final = {"0": "oDQ", "O": "oQD", "I": "1iL", "l": "1iL"}
"""What base 58 leaves out because it looks like another, and which others those may be."""


def encode(payload: bytes) -> str:
    """The payload with its checksum."""
    whole = payload + checksum(payload)
    left = int.from_bytes(whole, "big")
    pairs = []
    while left:
        left, pair = divmod(left, 3364)
        pairs.append(_PAIRS[pair])
    pairs.reverse()
    return "1" * (len(whole) - len(whole.lstrip(b"\0"))) + "".join(pairs).lstrip("1")


def bytes_of(text: str) -> bytes:
    """What the digits stand for, checksum included and not looked at; a time that grows with the square of them.

    Raises Unreadable where a character is no digit.
    """
    number = 0
    for place, sign in enumerate(text):
        value = _VALUE.get(sign)
        if value is None:
            raise wrong_sign("character", text, place, _LEFT_OUT.get(sign, plain(sign)))
        number = number * 58 + value
    return bytes(len(text) - len(text.lstrip("1"))) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def matches(whole: bytes) -> bool:
    """Whether the last 4 bytes are the checksum of those before."""
    return checksum(whole[:-4]) == whole[-4:]


def refuse_checksum(text: str, size: int, versions: Container[int]) -> None:
    """Raises Unreadable that names the place of a wrong character, or of two that changed places, if one mends it all.

    For digits that do not match their checksum; `size` in bytes with the checksum, `versions` the first bytes that can
    be. About 3 ms for 34 digits. Returns where nothing, or more than one thing, would mend it.
    """
    number, limit = 0, 1 << 8 * size
    for sign in text:
        number = number * 58 + _VALUE[sign]
    found = []
    for places, mended in _mendings(text, number):
        if 0 <= mended < limit:
            whole = mended.to_bytes(size, "big")
            if whole[0] in versions and matches(whole):
                found.append((places, whole))
                if len(found) > 1:
                    return
    if found:
        (places, whole) = found[0]
        if len(encode(whole[:-4])) == len(text):
            raise refuse("checksum" if len(places) == 1 else "swapped", *places)


def _mendings(text: str, number: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """The place or places that change, and the number that the digits then are."""
    weight = 1
    below = 0  # value of the digit to the right
    for place in range(len(text) - 1, -1, -1):
        value = _VALUE[text[place]]
        for other in range(58):
            if other != value:
                yield (place,), number + (other - value) * weight
        if place + 1 < len(text) and value != below:
            yield (place, place + 1), number + (below - value) * weight + (value - below) * (weight // 58)
        weight *= 58
        below = value

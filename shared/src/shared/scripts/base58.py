"""Base58check: a payload and 4 bytes of checksum, as digits of base 58; each leading zero byte is a 1."""

from __future__ import annotations

import time
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


def stranger(text: str) -> int | None:
    """Place of the first character that is no digit."""
    return next((place for place, sign in enumerate(text) if sign not in _VALUE), None)


def bytes_of(text: str) -> bytes:
    """What the digits stand for, checksum included and not looked at; a time that grows with the square of them.

    Raises Unreadable where a character is no digit.
    """
    place = stranger(text)
    if place is not None:
        raise wrong_sign("character", text, place, _LEFT_OUT.get(text[place], plain(text[place])))
    number = _number(text)
    return bytes(len(text) - len(text.lstrip("1"))) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def matches(whole: bytes) -> bool:
    """Whether the last 4 bytes are the checksum of those before."""
    return checksum(whole[:-4]) == whole[-4:]


def checked(text: str, size: int) -> bytes | None:
    """The bytes before the checksum, `size` with it; None where it is wrong, or there are more. Only of digits."""
    number = _number(text)
    if number >> 8 * size:
        return None
    whole = number.to_bytes(size, "big")
    return whole[:-4] if matches(whole) else None


def fault(text: str, size: int, versions: Container[int] = range(256)) -> tuple[int, ...]:
    """The place of a wrong character, or of two neighbours that changed places, if one such change mends it all.

    For digits that do not match their checksum; `size` in bytes with the checksum, `versions` the first bytes that can
    be. Empty where nothing, or more than one thing, would mend it: of the some 6,400 changes of an extended key a wrong
    one fits by chance in one case of 650,000. About 3 ms for 34 digits, 10 ms for 111: long texts beside the event
    loop, which it lets go on at each character.
    """
    limit = 1 << 8 * size
    found: list[tuple[tuple[int, ...], bytes]] = []
    for places, mended in _mendings(text, _number(text)):
        if 0 <= mended < limit:
            whole = mended.to_bytes(size, "big")
            if whole[0] in versions and matches(whole):
                found.append((places, whole))
                if len(found) > 1:
                    return ()
    if not found:
        return ()
    [(places, whole)] = found
    return places if len(encode(whole[:-4])) == len(text) else ()


def refuse_checksum(text: str, size: int, versions: Container[int]) -> None:
    """Raises Unreadable that names the places of a fault, where they can be known; else returns."""
    places = fault(text, size, versions)
    if places:
        raise refuse("checksum" if len(places) == 1 else "swapped", *places)


def _number(text: str) -> int:
    number = 0
    for sign in text:
        number = number * 58 + _VALUE[sign]
    return number


def _mendings(text: str, number: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """The place or places that change, and the number that the digits then are."""
    weight = 1
    below = 0  # value of the digit to the right
    for place in range(len(text) - 1, -1, -1):
        time.sleep(0)  # whoever else waits for the interpreter has it now
        value = _VALUE[text[place]]
        for other in range(58):
            if other != value:
                yield (place,), number + (other - value) * weight
        if place + 1 < len(text) and value != below:
            yield (place, place + 1), number + (below - value) * weight + (value - below) * (weight // 58)
        weight *= 58
        below = value

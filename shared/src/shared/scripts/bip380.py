"""The checksum of descriptors (BIP 380), and which character breaks it.

The checksum is a linear code: a changed character changes it in a way that follows from its place alone. So the change
that is seen is compared with the change that each character could have made; one that fits by chance is rarer than
one in ten million.
"""

from __future__ import annotations

import time
from typing import Final

from shared.scripts.bech32 import CHARSET

INPUT: Final = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
"""Characters of a descriptor; the lower five bits of a place tell most slips apart."""

OUTPUT: Final = CHARSET
LENGTH: Final = 8

LONGEST_SEARCHED: Final = 3_000
"""Characters of a descriptor in which a slip is looked for."""

_GENERATOR: Final = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)
_PLACES: Final = {letter: place for place, letter in enumerate(INPUT)}


def stranger(text: str) -> int | None:
    """Place of the first character that no descriptor has."""
    return next((at for at, letter in enumerate(text) if letter not in _PLACES), None)


def checksum(text: str) -> str:
    """Eight characters; only of characters that a descriptor may have."""
    value = 1
    for symbol in _symbols(text):
        value = _step(value, symbol)
    for _ in range(LENGTH):
        value = _step(value, 0)
    value ^= 1
    return "".join(OUTPUT[value >> 5 * (LENGTH - 1 - at) & 31] for at in range(LENGTH))


def fault(text: str, said: str) -> int | None:
    """Place of the character that is mistyped, in `text + "#" + said`; None: it cannot be known.

    Some 0.3 s of work for LONGEST_SEARCHED: beside the event loop, which it lets go on at each character.
    """
    if len(text) > LONGEST_SEARCHED:
        return None
    right = checksum(text)
    wrong = [at for at in range(LENGTH) if said[at] != right[at]]
    if len(wrong) == 1:
        return len(text) + 1 + wrong[0]
    if any(letter not in OUTPUT for letter in said):
        return None
    seen = 0
    for one, other in zip(right, said, strict=True):
        seen = seen << 5 | (OUTPUT.index(one) ^ OUTPUT.index(other))
    effects = _effects(len(list(_symbols(text))))
    found = [at for at in range(len(text)) if _explains(text, at, effects, seen)]
    return found[0] if len(found) == 1 else None


def _explains(text: str, at: int, effects: list[list[int]], seen: int) -> bool:
    """Whether another character in this place would make the checksum right."""
    time.sleep(0)  # whoever else waits for the interpreter has it now
    group, place = divmod(at, 3)
    here, symbol = _PLACES[text[at]], group * 4 + place
    size = min(3, len(text) - group * 3)
    weight = 3 ** (size - 1 - place)
    classes = 0
    for letter in text[group * 3 : group * 3 + size]:
        classes = classes * 3 + (_PLACES[letter] >> 5)
    for upper in range(3):
        changed = classes + (upper - (here >> 5)) * weight
        rest = seen ^ effects[group * 4 + size][classes ^ changed]
        if rest in effects[symbol]:
            other = upper << 5 | (here & 31) ^ effects[symbol].index(rest)
            if other < len(INPUT) and other != here:
                return True
    return False


def _symbols(text: str) -> list[int]:
    """Each character's lower five bits, and after every third what stands above them."""
    symbols = []
    for start in range(0, len(text), 3):
        places = [_PLACES[letter] for letter in text[start : start + 3]]
        classes = 0
        for place in places:
            classes = classes * 3 + (place >> 5)
        symbols += [*(place & 31 for place in places), classes]
    return symbols


def _effects(count: int) -> list[list[int]]:
    """By symbol: what each change (0 to 31) of it does to the checksum."""
    bits = [1, 2, 4, 8, 16]
    for _ in range(LENGTH):
        bits = [_step(bit, 0) for bit in bits]
    rows = []
    for _ in range(count):
        row = [0] * 32
        for change in range(1, 32):
            lowest = change & -change
            row[change] = row[change ^ lowest] ^ bits[lowest.bit_length() - 1]
        rows.append(row)
        bits = [_step(bit, 0) for bit in bits]
    return rows[::-1]


def _step(value: int, symbol: int) -> int:
    top = value >> 35
    value = (value & 0x7FFFFFFFF) << 5 ^ symbol
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            value ^= generator
    return value

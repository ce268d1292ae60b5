"""What kind an output's script is, and what little a page needs to know about it (bitcoin/src/script/solver.cpp)."""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from shared.lookups.parts import Kind
from shared.scripts.opcodes import OP_0, OP_1, OP_16, OP_CHECKMULTISIG, OP_CHECKSIG, OP_RETURN, small_number, steps

ANCHOR: Final = bytes.fromhex("51024e73")
"""The script that anybody may spend: pay to anchor."""

MOST_KEYS: Final = 20
"""Keys that OP_CHECKMULTISIG takes."""

_MOST_PUSHES: Final = 1_000
_LONGEST_MULTISIG: Final = 5 + MOST_KEYS * 67
_KEY_SIZES: Final = {2: 33, 3: 33, 4: 65, 6: 65, 7: 65}
"""By a public key's first byte; 6 and 7 are of an old form that holds its parity as well."""


class Witness(NamedTuple):
    """A witness program, of whatever version."""

    version: int  # 0 to 16
    program: bytes  # 2 to 40 bytes


class Multisig(NamedTuple):
    """A bare multisig output: so many signatures of these keys."""

    needed: int
    keys: tuple[bytes, ...]


def kind_of(script: bytes) -> Kind:  # noqa: PLR0911 - a row of templates, the most frequent first
    """The kind. An OP_RETURN is one by its first byte, whatever follows: nobody can spend it."""
    size = len(script)
    if not size:
        return "empty"
    first = script[0]
    if first == OP_0 and size in (22, 34) and script[1] + 2 == size:
        return "v0_p2wpkh" if size == 22 else "v0_p2wsh"
    if OP_1 <= first <= OP_16 and 4 <= size <= 42 and script[1] + 2 == size:
        if first == OP_1 and size == 34:
            return "v1_p2tr"
        return "p2a" if script == ANCHOR else "witness"
    if size == 25 and script.startswith(b"\x76\xa9\x14") and script.endswith(b"\x88\xac"):
        return "p2pkh"
    if size == 23 and script.startswith(b"\xa9\x14") and script.endswith(b"\x87"):
        return "p2sh"
    if first == OP_RETURN:
        return "op_return"
    if public_key(script):
        return "p2pk"
    return "multisig" if multisig(script) else "unknown"


def witness(script: bytes) -> Witness | None:
    """The witness program, where the script is one; of version 0 also one that nobody can spend."""
    size = len(script)
    if 4 <= size <= 42 and script[1] + 2 == size and (script[0] == OP_0 or OP_1 <= script[0] <= OP_16):
        return Witness(script[0] and script[0] - OP_1 + 1, script[2:])
    return None


def is_key(key: bytes) -> bool:
    """Whether these bytes have the form of a public key. Whether it is a point of the curve is not looked at."""
    return bool(key) and _KEY_SIZES.get(key[0]) == len(key)


def public_key(script: bytes) -> bytes | None:
    """The key of a P2PK output."""
    if len(script) in (35, 67) and script[0] == len(script) - 2 and script[-1] == OP_CHECKSIG and is_key(script[1:-1]):
        return script[1:-1]
    return None


def multisig(script: bytes) -> Multisig | None:
    """Keys of a bare multisig output, and how many of them must sign."""
    if not 37 <= len(script) <= _LONGEST_MULTISIG or script[-1] != OP_CHECKMULTISIG:
        return None
    found = list(islice(steps(script), MOST_KEYS + 4))
    if not 4 <= len(found) <= MOST_KEYS + 3 or found[-1].code != OP_CHECKMULTISIG:
        return None  # that byte may have been part of a push
    needed, count = small_number(found[0]), small_number(found[-2])
    keys = tuple(step.pushed or b"" for step in found[1:-2])
    if not needed or count != len(keys) or needed > count or not all(map(is_key, keys)):
        return None
    return Multisig(needed, keys)


def pushes(script: bytes) -> list[bytes]:
    """What an OP_RETURN output pushes, at most 1,000 of them; of one that ends too early what there is.

    Numbers and whatever else stands between are left out.
    """
    if script[:1] != bytes((OP_RETURN,)):
        return []
    return list(islice((step.pushed for step in steps(script, 1) if step.pushed), _MOST_PUSHES))

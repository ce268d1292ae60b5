"""A script's instructions (bitcoin/src/script/script.h), named as Esplora names them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

OP_0: Final = 0x00
OP_PUSHDATA1: Final = 0x4C
OP_PUSHDATA4: Final = 0x4E
OP_1: Final = 0x51
OP_16: Final = 0x60
OP_RETURN: Final = 0x6A
OP_CHECKSIG: Final = 0xAC
OP_CHECKMULTISIG: Final = 0xAE

_FROM_61: Final = """\
NOP VER IF NOTIF VERIF VERNOTIF ELSE ENDIF VERIFY RETURN TOALTSTACK FROMALTSTACK 2DROP 2DUP 3DUP 2OVER 2ROT 2SWAP IFDUP
DEPTH DROP DUP NIP OVER PICK ROLL ROT SWAP TUCK CAT SUBSTR LEFT RIGHT SIZE INVERT AND OR XOR EQUAL EQUALVERIFY
RESERVED1 RESERVED2 1ADD 1SUB 2MUL 2DIV NEGATE ABS NOT 0NOTEQUAL ADD SUB MUL DIV MOD LSHIFT RSHIFT BOOLAND BOOLOR
NUMEQUAL NUMEQUALVERIFY NUMNOTEQUAL LESSTHAN GREATERTHAN LESSTHANOREQUAL GREATERTHANOREQUAL MIN MAX WITHIN RIPEMD160
SHA1 SHA256 HASH160 HASH256 CODESEPARATOR CHECKSIG CHECKSIGVERIFY CHECKMULTISIG CHECKMULTISIGVERIFY NOP1 CLTV CSV NOP4
NOP5 NOP6 NOP7 NOP8 NOP9 NOP10 CHECKSIGADD
"""


def _names() -> tuple[str, ...]:
    pushes = ["OP_0", *(f"OP_PUSHBYTES_{size}" for size in range(1, 76)), "OP_PUSHDATA1", "OP_PUSHDATA2"]
    numbers = ["OP_PUSHDATA4", "OP_PUSHNUM_NEG1", "OP_RESERVED", *(f"OP_PUSHNUM_{number}" for number in range(1, 17))]
    named = [*pushes, *numbers, *(f"OP_{name}" for name in _FROM_61.split())]
    return (*named, *(f"OP_RETURN_{code}" for code in range(len(named), 255)), "OP_INVALIDOPCODE")


NAMES: Final = _names()
"""By the opcode. Those that have no meaning are called OP_RETURN_187 and so on, because they end a script."""


class Step(NamedTuple):
    """One instruction. `pushed` is what it pushes where that follows it; None of all others, of OP_0 as well."""

    code: int
    pushed: bytes | None = None
    whole: bool = True  # False: the script ends before what is to be pushed, or before its length


def steps(script: bytes, at: int = 0) -> Iterator[Step]:
    """The instructions from the byte `at` on. The last one is not whole where the script ends too early."""
    while at < len(script):
        code = script[at]
        at += 1
        if code == OP_0 or code > OP_PUSHDATA4:
            yield Step(code)
            continue
        size, width = code, 0
        if code >= OP_PUSHDATA1:
            width = 1 << code - OP_PUSHDATA1
            size = int.from_bytes(script[at : at + width], "little")
        at += width
        pushed = script[at : at + size]
        yield Step(code, pushed, at <= len(script) and len(pushed) == size)
        at += size


def small_number(step: Step) -> int | None:
    """The number 0 to 16 that an instruction stands for, or 17 to 20 pushed in one byte (GetScriptNumber)."""
    if step.code == OP_0:
        return 0
    if OP_1 <= step.code <= OP_16:
        return step.code - OP_1 + 1
    if step.code == 1 and step.pushed and 17 <= step.pushed[0] <= 20:
        return step.pushed[0]
    return None

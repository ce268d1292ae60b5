"""Scripts and witnesses of a transaction as a page shows them: in words, and never more than fits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from shared.lookups.parts import Input, Output
from shared.scripts import message
from shared.scripts.asm import CUT, disassembled
from shared.scripts.kinds import pushes
from shared.scripts.opcodes import Step, steps

ASM_MOST: Final = 1_500
"""Characters of a script in words."""

HEX_MOST: Final = 400
"""Characters of a witness."""

ITEMS_MOST: Final = 12
"""Witnesses of one input."""

_ANNEX: Final = 0x50


class Shown(NamedTuple):
    """Some bytes in hex; cut ones end in CUT."""

    size: int  # bytes in all
    hex: str


class Unlocking(NamedTuple):
    """What an input shows beside its coin."""

    script: str  # in words; empty: there is none
    witness: list[Shown]
    left: int  # witnesses that are not shown
    inner: str  # the script that the coin's script is a hash or a root of, in words


def asm(script: str) -> str:
    """A script in words, of at most ASM_MOST characters."""
    return disassembled(bytes.fromhex(script), ASM_MOST)


def unlocking(one: Input) -> Unlocking | None:
    """None where there is nothing to show."""
    if one.txid is None or not (one.script_sig or one.witness):
        return None
    sizes = one.witness_sizes or [len(it) // 2 for it in one.witness]
    items = [_shown(it, size) for it, size in zip(one.witness[:ITEMS_MOST], sizes, strict=False)]
    inner = _inner(one)
    return Unlocking(
        script=asm(one.script_sig) if one.script_sig else "",
        witness=items,
        left=len(sizes) - len(items),
        inner=asm(inner) if inner else "",
    )


def _shown(item: str, size: int) -> Shown:
    return Shown(size, item if len(item) <= HEX_MOST else item[:HEX_MOST] + CUT)


def _inner(one: Input) -> str:
    """In hex; empty where there is none, or it was cut off."""
    kind = one.coin.kind if one.coin is not None else ""
    whole = not one.witness_sizes or len(one.witness_sizes) == len(one.witness)
    pushed = [step.pushed for step in _steps(one.script_sig)]
    last = (pushed[-1] or b"").hex() if pushed else ""
    if kind == "v0_p2wsh" or (kind == "p2sh" and last.startswith("0020") and len(last) == 68):
        return one.witness[-1] if one.witness and whole else ""
    if kind == "v1_p2tr":
        stack = one.witness
        if len(stack) > 1 and stack[-1].startswith(f"{_ANNEX:02x}"):
            stack = stack[:-1]
        return stack[-2] if len(stack) > 1 and whole else ""
    return last if kind == "p2sh" and one.script_sig_size is None else ""


def _steps(script: str) -> Iterator[Step]:
    return islice(steps(bytes.fromhex(script)), 10_000)


def said(one: Output) -> message.Message | None:
    """What an OP_RETURN says."""
    if one.kind != "op_return":
        return None
    return message.message(b"".join(pushes(bytes.fromhex(one.script))))


def coinbase_said(one: Input) -> message.Message:
    """What a coinbase's script says."""
    return message.coinbase(bytes.fromhex(one.script_sig))

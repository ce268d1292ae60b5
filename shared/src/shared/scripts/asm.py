"""A script in words, as Esplora writes it: `OP_DUP OP_HASH160 OP_PUSHBYTES_20 ... OP_EQUALVERIFY OP_CHECKSIG`."""

from __future__ import annotations

from typing import Final

from shared.scripts.opcodes import NAMES, steps

MOST: Final = 20_000
"""Characters after which nothing more is written; what is cut off ends in CUT."""

CUT: Final = "…"
PAST_END: Final = "<push past end>"


def disassembled(script: bytes, most: int = MOST) -> str:
    """The script in words, of at most `most` characters and CUT. What ends too early ends in PAST_END."""
    words: list[str] = []
    left = most
    for step in steps(script):
        words.append(NAMES[step.code])
        left -= len(words[-1]) + 1
        if step.pushed and step.whole:
            words.append(step.pushed[: most + 1].hex())
            left -= len(words[-1]) + 1
        elif not step.whole:
            words.append(PAST_END)
        if left < -1:
            return " ".join(words)[:most] + CUT
    return " ".join(words)

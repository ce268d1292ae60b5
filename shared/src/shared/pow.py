"""Proof of work in numbers: compact bits, targets, difficulty, work, hashrate (bitcoin/src/arith_uint256, chain.h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_DIFFICULTY_ONE_MANTISSA: Final = 0xFFFF
_DIFFICULTY_ONE_EXPONENT: Final = 29


def target(bits: int) -> int:
    """The number that a block's hash must not exceed, from its compact form."""
    exponent, mantissa = bits >> 24, bits & 0x007FFFFF
    return mantissa << (8 * (exponent - 3)) if exponent >= 3 else mantissa >> (8 * (3 - exponent))


def difficulty(bits: int) -> float:
    """How many times harder than the easiest target of mainnet; as `getdifficulty` computes it."""
    ratio = _DIFFICULTY_ONE_MANTISSA / (bits & 0x00FFFFFF)
    return float(ratio * 256.0 ** (_DIFFICULTY_ONE_EXPONENT - (bits >> 24)))


def change_percent(difficulty: float, before: float) -> float:
    """How far a retarget period's difficulty is above that of the period before, in per cent.

    Both of their first blocks, which bear it on every network; on test networks any other may be of minimum difficulty.
    """
    return (difficulty / before - 1) * 100


def work(bits: int) -> int:
    """Hashes expected for one block."""
    return (1 << 256) // (target(bits) + 1)


def hashrate(times: Sequence[int], works: Sequence[int], place: int, window: int) -> float:
    """Hashes a second over the `window` blocks that end at index `place`, as `getnetworkhashps` estimates them.

    `works` is cumulative (chainwork). The time is the span from the earliest to the latest of all blocks in between,
    since block times need not rise.
    """
    first = max(0, place - window)
    inside = times[first : place + 1]
    seconds = max(inside) - min(inside)
    return (works[place] - works[first]) / seconds if seconds else 0.0

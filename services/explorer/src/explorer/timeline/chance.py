"""How likely a transaction is to be in a block by some time. Pure.

Miners take what pays most first. So a transaction is mined by the first block that has room for all that lies ahead of
it, for itself, and for what came in at higher feerates until then. Blocks are found at random, one in `interval` on
average (a Poisson process); what comes in is taken as an even flow. With room for C virtual bytes a block, A ahead and
r coming in a second, block k has room until the moment (k C - A) / r; the chance is that some block k is found by its
moment. That it is not follows exactly: at each of these moments, which lie C / r apart, fewer than k blocks are there.
"""

from __future__ import annotations

import math
from typing import Final

from shared.lookups.transaction import Chance

BLOCK_VSIZE: Final = 998_000
"""Virtual bytes of a block that are for transactions: Bitcoin Core keeps 8,000 weight units back by default."""

HOUR: Final = 3_600
SIX_HOURS: Final = 6 * HOUR

_MOST: Final = 500
"""Blocks that are reckoned with: more than six hours have, by any chance."""

_TINY: Final = 1e-12


def chance(ahead: int, vsize: int, inflow: float | None, interval: float) -> Chance | None:
    """The chances of a transaction of `vsize` virtual bytes with `ahead` ahead of it.

    `inflow` is virtual bytes a second at higher feerates, `interval` seconds from block to block. None where the
    inflow is not known.
    """
    if inflow is None:
        return None
    if ahead < 0 or vsize <= 0 or inflow < 0 or interval <= 0 or not math.isfinite(inflow + interval):
        raise ValueError(f"{ahead} ahead of {vsize} vB, {inflow} vB/s, {interval} s: expected none below zero")
    load, rate = (ahead + vsize) / BLOCK_VSIZE, inflow / BLOCK_VSIZE  # in blocks
    return Chance(
        next_block=_next(load, rate, interval),
        hour=within(load, rate, interval, HOUR),
        six_hours=within(load, rate, interval, SIX_HOURS),
        ahead=ahead,
        inflow=inflow,
        interval=interval,
    )


def _next(load: float, rate: float, interval: float) -> float:
    """That the next block has room."""
    if load > 1:
        return 0.0
    return 1.0 if rate == 0 else -math.expm1(-(1 - load) / rate / interval)


def within(load: float, rate: float, interval: float, seconds: float) -> float:
    """That it is mined within so many seconds; `load` and `rate` are in blocks, and in blocks a second."""
    block = max(math.ceil(load), 1)  # the first that may have room
    if block > _MOST:
        return 0.0
    missed = [1.0]  # by how many blocks are there: the chance that they are, and that it is in none of them
    now = 0.0
    while (until := (block - load) / rate if rate else math.inf) < seconds:
        missed = _later(missed, (until - now) / interval, block)
        now, block = until, block + 1
        if block > _MOST:
            return 1 - math.fsum(missed)
    missed = _later(missed, (seconds - now) / interval, block)
    return min(max(1 - math.fsum(missed), 0.0), 1.0)


def _later(missed: list[float], expected: float, below: int) -> list[float]:
    """The same once `expected` more blocks are found on average; what has `below` of them or more is mined."""
    found = [0.0] * below
    jump = math.exp(-expected)
    more = 0
    while more < below:
        for there, probability in enumerate(missed[: below - more]):
            found[there + more] += probability * jump
        more += 1
        jump *= expected / more
        if jump < _TINY and more > expected:
            break
    return found

"""What a miner would build from the mempool, and what to pay to be in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Final

from mempool.graph import Chunk, Tx, members
from shared.views import PreciseFees, ProjectedBlock, RecommendedFees

BLOCK_VSIZE: Final = 1_000_000
"""Virtual bytes that a block holds (4,000,000 weight units)."""

_HALF: Final = BLOCK_VSIZE // 2
"""A block is not counted on to be full before so much waits for it."""

COINBASE_VSIZE: Final = 1_000
"""Room that miners leave for header and coinbase (`-blockreservedweight`, 8,000 WU in Core 29, 4,000 before)."""

BLOCKS: Final = 8
"""Blocks projected; the last one holds all that is left."""

_PRECISE: Final = 1_000
"""Steps of precise feerates in 1 sat/vB."""

_QUANTILES: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_ESPLORA_BUCKET: Final = 50_000
"""Virtual bytes after which Esplora closes a bucket of its histogram."""


def projected_blocks(chunks: Sequence[Tx | Chunk]) -> list[ProjectedBlock]:
    """Blocks filled with chunks in order."""
    ends = [*islice(_ends(chunks), BLOCKS - 1), len(chunks)]
    return [_block(chunks[start:end]) for start, end in pairwise((0, *ends)) if start < end]


def next_block(chunks: Sequence[Tx | Chunk]) -> int:
    """How many chunks the first of the projected blocks holds."""
    return next(_ends(chunks), len(chunks))


def _ends(chunks: Sequence[Tx | Chunk]) -> Iterator[int]:
    """Where blocks end that others follow: a chunk that does not fit any more opens the next one."""
    capacity = BLOCK_VSIZE - COINBASE_VSIZE
    filled = 0
    for place, chunk in enumerate(chunks):
        if filled and filled + chunk.vsize > capacity:
            yield place
            filled = 0
        filled += chunk.vsize


def _block(chunks: Sequence[Tx | Chunk]) -> ProjectedBlock:
    vsize = sum(chunk.vsize for chunk in chunks)
    count = size = weight = fees = 0
    for chunk in chunks:
        fees += chunk.fee
        for tx in members(chunk):
            count += 1
            size += tx.size
            weight += tx.weight
    rates = _quantiles(chunks, vsize)
    return ProjectedBlock(
        tx_count=count,
        size=size,
        vsize=vsize,
        weight=weight,
        total_fees=fees,
        median_fee_rate=rates[3],
        fee_range=rates,
    )


def _quantiles(chunks: Sequence[Tx | Chunk], vsize: int) -> list[float]:
    """Feerates at _QUANTILES of the block's vsize, lowest first; the chunks come highest first."""
    rates: list[float] = []
    passed = 0
    wanted = iter(_QUANTILES)
    threshold = next(wanted) * vsize
    for chunk in reversed(chunks):
        passed += chunk.vsize
        while passed >= threshold:
            rates.append(chunk.rate)
            quantile = next(wanted, None)
            if quantile is None:
                return rates
            threshold = quantile * vsize
    return rates


def esplora_histogram(chunks: Sequence[Tx | Chunk]) -> list[tuple[float, int]]:
    """(feerate, vsize) pairs, highest first: buckets of _ESPLORA_BUCKET vB or more, named by their lowest feerate."""
    pairs: list[tuple[float, int]] = []
    vsize = 0
    rate = 0.0
    for chunk in chunks:
        if vsize > _ESPLORA_BUCKET and chunk.rate != rate:
            pairs.append((round(rate, 3), vsize))
            vsize = 0
        vsize += chunk.vsize
        rate = chunk.rate
    if vsize:
        pairs.append((round(rate, 3), vsize))
    return pairs


def next_block_full(blocks: Sequence[ProjectedBlock]) -> bool:
    """Whether what waits fills more than half of the next block; else the minimum is enough."""
    return len(blocks) > 1 or (bool(blocks) and blocks[0].vsize > _HALF)


def recommended_fees(blocks: Sequence[ProjectedBlock], min_fee_rate: float) -> RecommendedFees:
    """Feerates for the next block, half an hour, an hour, and in no hurry, as mempool.space has them: whole, from 1."""
    units = _fees(blocks, max(1, _up(min_fee_rate, 1)), 1)
    return RecommendedFees(**dict(zip(RecommendedFees.__struct_fields__, units, strict=True)))


def precise_fees(blocks: Sequence[ProjectedBlock], min_fee_rate: float) -> PreciseFees:
    """The same by the same rules, in steps of 1 / _PRECISE and from what the node really accepts."""
    units = _fees(blocks, _up(min_fee_rate, _PRECISE), _PRECISE)
    return PreciseFees(**{name: one / _PRECISE for name, one in zip(PreciseFees.__struct_fields__, units, strict=True)})


def _up(rate: float, parts: int) -> int:
    """A feerate in `parts` of 1 sat/vB, rounded up; what floating point adds does not count."""
    return math.ceil(rate * parts - 1e-9)


def _fees(blocks: Sequence[ProjectedBlock], minimum: int, parts: int) -> tuple[int, int, int, int, int]:
    """Fastest, half an hour, an hour, economy and minimum, in `parts` of 1 sat/vB.

    Each is the median of the first, second and third projected block, smoothed with the one before. Blocks that will
    not be full cost the minimum; one nearly full costs in proportion.
    """
    medians: list[int] = []
    for place in range(3):
        if place >= len(blocks):
            medians.append(minimum)
            continue
        follows = place + 1 < len(blocks)
        medians.append(_median(blocks[place], follows, medians[-1] if medians else None, minimum, parts))
    fastest = max(minimum, medians[0])
    half_hour = min(fastest, max(minimum, medians[1]))
    hour = min(half_hour, max(minimum, medians[2]))
    economy = min(hour, max(minimum, min(2 * minimum, medians[2])))
    return fastest, half_hour, hour, economy, minimum


def _median(block: ProjectedBlock, follows: bool, previous: int | None, minimum: int, parts: int) -> int:
    median = block.median_fee_rate
    rate = median if previous is None else (median + previous / parts) / 2
    if block.vsize <= _HALF or median * parts < minimum:
        return minimum
    if block.vsize <= 0.95 * BLOCK_VSIZE and not follows:
        return max(minimum, math.floor(rate * parts * (block.vsize - _HALF) / _HALF + 0.5))  # halves up, as JavaScript
    return max(minimum, _up(rate, parts))

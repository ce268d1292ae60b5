"""Which blocks are measured together: the same for every worker, so that they agree on what a claim means."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from shared.events.backfill import BlocksMeasured, MeasuredBlock

BLOCKS: Final = 24
"""Heights in one batch; the first is a multiple of it."""

ENTRY_BYTES: Final = 190_000
"""JSON in one entry of the stream at most, but for a block that is larger by itself."""

REMEMBERED: Final = 4_096
REMEMBERED_SECONDS: Final = 30.0
"""Batches that a worker does not take up again so soon, and for how long: by then they are folded, or were lost."""


def missing_batches(missing: Sequence[tuple[int, int]], lowest: int) -> Iterator[tuple[int, list[int]]]:
    """(number, heights) of each batch that lacks something from height `lowest` on, newest first.

    `missing` as in HistoryView, or its `given_up`: from and to, newest first. Heights rise.
    """
    number, heights = -1, list[int]()
    for begin, last in missing:
        first = max(begin, lowest)
        if first > last:
            continue
        for at in range(last // BLOCKS, first // BLOCKS - 1, -1):
            if at != number and heights:
                yield number, heights
                heights = []
            number = at
            heights = [*range(max(first, at * BLOCKS), min(last, at * BLOCKS + BLOCKS - 1) + 1), *heights]
    if heights:
        yield number, heights


def runs(heights: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive heights; they come in rising."""
    first = last = -1
    for height in heights:
        if first >= 0 and height != last + 1:
            yield first, last
            first = height
        elif first < 0:
            first = height
        last = height
    if first >= 0:
        yield first, last


def entries(blocks: Iterable[MeasuredBlock]) -> Iterator[BlocksMeasured]:
    """The blocks in as few events as ENTRY_BYTES allows."""
    together: list[MeasuredBlock] = []
    size = 0
    for block in blocks:
        length = len(msgspec.json.encode(block))
        if together and size + length > ENTRY_BYTES:
            yield BlocksMeasured(blocks=together)
            together, size = [], 0
        together.append(block)
        size += length
    if together:
        yield BlocksMeasured(blocks=together)


class Lately:
    """Numbers of batches that this worker was at lately; bounded."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def __contains__(self, number: int) -> bool:
        return time.monotonic() < self._until.get(number, 0.0)

    def add(self, number: int, seconds: float | None = None) -> None:
        """Remember one, for REMEMBERED_SECONDS unless told, and forget the oldest beyond REMEMBERED."""
        self._until.pop(number, None)
        self._until[number] = time.monotonic() + (REMEMBERED_SECONDS if seconds is None else seconds)
        if len(self._until) > REMEMBERED:
            del self._until[next(iter(self._until))]

    def clear(self) -> None:
        """Forget all."""
        self._until.clear()

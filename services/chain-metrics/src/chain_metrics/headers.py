"""The newest headers of the best chain: what every figure of the chain is computed from."""

from __future__ import annotations

from typing import Final

from shared.pow import work

KEPT: Final = 3 * 2016
"""Headers kept: two retarget periods below the present one."""

_MEDIAN_SPAN: Final = 11


class Headers:
    """Times, bits and chainwork by height, contiguous up to the tip."""

    def __init__(self) -> None:
        self.first = 0  # height of the lowest one kept
        self.times: list[int] = []
        self.bits: list[int] = []
        self.works: list[int] = []  # cumulative

    def __len__(self) -> int:
        return len(self.times)

    @property
    def tip(self) -> int:
        """Height of the newest one; -1 where there is none."""
        return self.first + len(self.times) - 1 if self.times else -1

    @property
    def median_time(self) -> int:
        """Median time past of the tip (BIP 113)."""
        recent = sorted(self.times[-_MEDIAN_SPAN:])
        return recent[len(recent) // 2]

    def load(self, first: int, headers: list[tuple[int, int]], chainwork: int) -> None:
        """Replace everything: (time, bits) from height `first` on, with the chainwork of the last. The newest count."""
        self.first = first + max(0, len(headers) - KEPT)
        headers = headers[-KEPT:]
        self.times = [time for time, _ in headers]
        self.bits = [bits for _, bits in headers]
        self.works = []
        total = chainwork
        for bits in reversed(self.bits):
            self.works.append(total)
            total -= work(bits)
        self.works.reverse()

    def push(self, time: int, bits: int) -> int | None:
        """Add the next one; returns the height that is forgotten for it."""
        self.times.append(time)
        self.bits.append(bits)
        self.works.append((self.works[-1] if self.works else 0) + work(bits))
        if len(self.times) <= KEPT:
            return None
        del self.times[0], self.bits[0], self.works[0]
        self.first += 1
        return self.first - 1

    def pop(self) -> None:
        """Take the newest one off."""
        del self.times[-1], self.bits[-1], self.works[-1]

    def time(self, height: int) -> int:
        """Time of the block at this height."""
        return self.times[height - self.first]

    def knows(self, height: int) -> bool:
        """Whether the height is kept."""
        return self.first <= height <= self.tip

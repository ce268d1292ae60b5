"""Headers of the best chain by height, as far as they were read. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from explorer.core.answers import Header

KEPT: Final = 4_000
"""Headers kept at most, some 1 kB each."""


class BestChain:
    """The chain below one newest block: what stands there at a height is the same for as long as that is."""

    def __init__(self) -> None:
        self._tip = ""
        self._headers: dict[int, Header] = {}

    def moved(self, tip: Header) -> None:
        """The node has this newest block; unless it follows the one before, everything below it may be another."""
        if tip.previousblockhash != self._tip:
            self._headers.clear()
        self._tip = tip.hash

    def get(self, height: int, tip: str) -> Header | None:
        """The header at this height below the block `tip`; None where it is not known."""
        return self._headers.get(height) if tip == self._tip else None

    def put(self, headers: Mapping[int, Header], tip: str) -> None:
        """Keep what was read while `tip` was the newest block."""
        if tip != self._tip:
            return
        self._headers.update(headers)
        while len(self._headers) > KEPT:
            del self._headers[next(iter(self._headers))]  # what was read first

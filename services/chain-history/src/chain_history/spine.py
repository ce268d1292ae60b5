"""The chain that is known, from its lowest header to its tip: every header, in 16 bytes a block."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from shared.records import Header


class Spine:
    """Contiguous heights. `floor_hash` is what the next header below must hash to; empty above genesis."""

    def __init__(self) -> None:
        self.first = 0
        self.floor_hash = ""
        self.tip_hash = ""
        self._tails = array("Q")
        self._times = array("I")
        self._bits = array("I")

    def __len__(self) -> int:
        return len(self._tails)

    @property
    def tip(self) -> int:
        """Height of the newest header, known or not; -1 where nothing is known."""
        return self.first + len(self._tails) - 1

    def load(self, first: int, floor_hash: str, tip_hash: str, packed: bytes) -> None:
        """Take over packed headers from height `first` on."""
        self.first, self.floor_hash, self.tip_hash = first, floor_hash, tip_hash
        self._tails = array("Q", packed)[1::2]
        self._times, self._bits = array("I", packed)[0::4], array("I", packed)[1::4]

    def begin(self, first: int, below: str) -> None:
        """Forget everything; the next header pushed has this height, on top of the block of this hash."""
        self.__init__()  # type: ignore[misc]  # the one way that cannot forget a field
        self.first, self.floor_hash, self.tip_hash = first, below, below

    def push(self, header: Header, block_hash: str) -> None:
        """Add one on top."""
        self._tails.append(int.from_bytes(header.tail, "little"))
        self._times.append(header.time)
        self._bits.append(header.bits)
        self.tip_hash = block_hash

    def pop(self) -> None:
        """Take the topmost off; the caller says which hash is the tip then."""
        self._tails.pop()
        self._times.pop()
        self._bits.pop()

    def extend_down(self, headers: Sequence[Header], floor_hash: str) -> None:
        """Add these below, in rising order."""
        self._tails = array("Q", [int.from_bytes(header.tail, "little") for header in headers]) + self._tails
        self._times = array("I", [header.time for header in headers]) + self._times
        self._bits = array("I", [header.bits for header in headers]) + self._bits
        self.first -= len(headers)
        self.floor_hash = floor_hash

    def has(self, height: int, tail: bytes) -> bool:
        """Whether the block at this height ends with these bytes."""
        return self.first <= height <= self.tip and self._tails[height - self.first] == int.from_bytes(tail, "little")

    def time(self, height: int) -> int:
        """Time of the block at this height, which is known."""
        return self._times[height - self.first]

    @property
    def latest(self) -> int:
        """The latest time of all headers; 0 where there is none."""
        return max(self._times, default=0)

    def spans(self, seconds: int) -> set[int]:
        """The numbers of the spans of so many seconds in which there is a header."""
        return {time // seconds for time in self._times}

    def header(self, height: int) -> Header:
        """The header at this height, which is known."""
        at = height - self.first
        return Header(self._times[at], self._bits[at], self._tails[at].to_bytes(8, "little"))

    def headers(self, first: int, last: int) -> dict[int, Header]:
        """Those of the headers from `first` to `last` that are known, by height."""
        return {height: self.header(height) for height in range(max(first, self.first), min(last, self.tip) + 1)}

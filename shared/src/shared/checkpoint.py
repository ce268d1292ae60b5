"""Where a fold stands in its stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """The checkpoint: the last entry folded, its sequence, and the sequence of the last derived event."""

    entry: str = "0-0"
    seq: int = 0
    derived_seq: int = 0

    @classmethod
    def parse(cls, cursor: str) -> Position:
        """Read the cursor as it is stored; an empty one is the beginning. Raises ValueError where it is none."""
        if not cursor:
            return cls()
        entry, seq, derived_seq = cursor.split(" ")
        _order(entry)
        return cls(entry, int(seq), int(derived_seq))

    def __str__(self) -> str:
        return f"{self.entry} {self.seq} {self.derived_seq}"

    def is_beyond(self, entry: str) -> bool:
        """Whether the last entry folded came after this entry id."""
        return _order(self.entry) > _order(entry)


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)

"""Where a fold stands in its streams."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Position:
    """The checkpoint: the last entry folded, its sequence, and the sequence of the last derived event."""

    entry: str = "0-0"
    seq: int = 0
    derived_seq: int = 0
    beside: tuple[tuple[str, int], ...] = ()
    """Entry and sequence of each further stream, in their order; one that is not named here was not read yet."""

    @classmethod
    def parse(cls, cursor: str) -> Position:
        """Read the cursor as it is stored; an empty one is the beginning. Raises ValueError where it is none."""
        if not cursor:
            return cls()
        entry, seq, derived_seq, *further = cursor.split(" ")
        beside = tuple(zip(further[::2], map(int, further[1::2]), strict=True))
        for one in (entry, *(further[::2])):
            _order(one)
        return cls(entry, int(seq), int(derived_seq), beside)

    def __str__(self) -> str:
        return " ".join(map(str, (self.entry, self.seq, self.derived_seq, *sum(self.beside, ()))))

    def of(self, place: int) -> tuple[str, int]:
        """The last entry folded of a stream, and its sequence; 0 is the first stream, 1 the first beside it."""
        if place == 0:
            return self.entry, self.seq
        return self.beside[place - 1] if place <= len(self.beside) else ("0-0", 0)

    def moved(self, place: int, entry: str, seq: int) -> Position:
        """The same with this one stream read up to there."""
        if place == 0:
            return replace(self, entry=entry, seq=seq)
        beside = [self.of(at + 1) for at in range(max(place, len(self.beside)))]
        beside[place - 1] = entry, seq
        return replace(self, beside=tuple(beside))

    def is_beyond(self, entry: str) -> bool:
        """Whether the last entry folded came after this entry id."""
        return is_beyond(self.entry, entry)


def is_beyond(one: str, other: str) -> bool:
    """Whether an entry id comes after another."""
    return _order(one) > _order(other)


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)

"""How records of one kind are packed: one after another, each as wide as the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Layout(Generic[R]):
    """How one kind of record is packed."""

    width: int  # bytes
    pack: Callable[[R], bytes]
    unpack: Callable[[bytes | bytearray, int], R | None]
    """The record at an offset; None where there is none."""
    version: int = 1
    """Goes up by one with every change of what the bytes mean (shared.layouts)."""
    before: Layout[R] | None = None
    """The layout of the version before, whose `unpack` gives today's records; never written any more."""
    unpack_all: Callable[[bytes], Iterable[R | None]] | None = None
    """All records of so many whole widths, where there is a faster way than one by one."""

    def records(self, raw: bytes) -> Iterable[R | None]:
        """Every record in these bytes, None where there is none; what is left at their end is none."""
        end = len(raw) // self.width * self.width
        if self.unpack_all is not None:
            return self.unpack_all(raw if end == len(raw) else raw[:end])
        unpack = self.unpack
        return (unpack(raw, at) for at in range(0, end, self.width))

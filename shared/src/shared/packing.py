"""How records of one kind are packed: one after another, each as wide as the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Generic, TypeVar

R = TypeVar("R")
T = TypeVar("T", bound=tuple[Any, ...])


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


def flat(kind: Callable[..., T], numbers: str) -> Layout[T]:
    """Of records that are nothing but numbers (`numbers` as struct names them), behind a byte that says that one is."""
    packed = Struct(f"<?{numbers}")

    def unpack(buffer: bytes | bytearray, at: int) -> T | None:
        there, *values = packed.unpack_from(buffer, at)
        return kind(*values) if there else None

    def unpack_all(raw: bytes) -> Iterable[T | None]:
        return [kind(*values) if there else None for there, *values in packed.iter_unpack(raw)]

    return Layout(packed.size, lambda record: packed.pack(True, *record), unpack, unpack_all=unpack_all)

"""How the timeline is packed: what is over in small hashes (listpacks), what still waits in one hash.

A record is one stay in the mempool: when the transaction was seen, and how that ended. It is a field of its own, named
by the transaction and the moment of the end: nothing that is stored must be read to add to it, and what is folded twice
is the same field. 8 bytes of the txid beside those that choose the bucket tell it apart: 72 bits or more. A whole txid
stands only where it names another transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, Literal

from shared.errors import BadEntry

End = Literal["replaced", "conflict", "evicted", "expired", "gone", "mined"]

ENDS: Final[tuple[End, ...]] = ("replaced", "conflict", "evicted", "expired", "gone", "mined")
"""By their number in a record: only ever added to."""

_FOR: Final = 15  # in place of an end: what went for this transaction
_SEEN, _ACCEPTED, _AFTER = 0x10, 0x20, 0x40

TAIL: Final = 5
"""Last bytes of a block's hash that a record names it by: a chapter has some thousand blocks at most."""

IDENTITY: Final = 8

_MOMENT: Final = Struct(">I")
_WAITING: Final = Struct("<IQIB")
_FIRST_WAITING: Final = Struct("<IQI")  # layout 1: without the band

UNCOUNTED: Final = 0x80
"""Beside the band of what waits: its wait is counted nowhere (explorer.timeline.waits)."""

UNKNOWN: Final = 0x7F
"""In place of a band: it came before bands were kept."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One time in the mempool that is over."""

    end: End
    end_ms: int
    seen_ms: int | None  # None: it was not seen coming
    accepted: int | None = None  # Unix seconds by the node's clock, where that was well before it was seen
    after_ms: int | None = None  # of `gone`: it was still there then
    ref: bytes = b""  # the txid of what replaced it; or TAIL bytes of a block, and the txid that took its coins there

    @property
    def block(self) -> bytes:
        """What it names a block by; empty where it names none."""
        return self.ref[:TAIL] if self.end in ("mined", "conflict") else b""

    @property
    def by(self) -> bytes:
        """The txid of what it went for; empty where that is not known."""
        return self.ref if self.end == "replaced" else self.ref[TAIL:] if self.end == "conflict" else b""


@dataclass(frozen=True, slots=True)
class Went:
    """Another transaction went for this one."""

    time_ms: int
    txid: bytes


@dataclass(slots=True)
class Waiting:
    """A transaction in the mempool."""

    generation: int  # of the beginning after which it was told of last
    seen_ms: int
    accepted: int  # 0: about when it was seen
    parents: tuple[bytes, ...]  # in the mempool, when it was told of
    band: int = UNCOUNTED | UNKNOWN  # its place in shared.bands.FEERATE_BOUNDS as it came in, and UNCOUNTED
    children: list[bytes] = field(default_factory=list)  # not stored: they follow from the parents


def bucket(txid: bytes, bits: int) -> int:
    """The bucket of a chapter with `bits` bits."""
    return int.from_bytes(txid[:4], "big") >> (32 - bits)


def identity(txid: bytes) -> bytes:
    """What stands for a transaction within its bucket."""
    return txid[2 : 2 + IDENTITY]


def stay_field(txid: bytes, start_ms: int, stay: Stay) -> bytes:
    """The name of a stay's field in a chapter that starts at `start_ms`."""
    return identity(txid) + _MOMENT.pack(stay.end_ms - start_ms)


def pack_stay(stay: Stay) -> bytes:
    """A stay, but for what its name says."""
    head, body = ENDS.index(stay.end), b""
    if stay.seen_ms is not None:
        head |= _SEEN
        body += _varint(max(stay.end_ms - stay.seen_ms, 0))
        if stay.accepted is not None:
            head |= _ACCEPTED
            body += _varint(max(stay.seen_ms // 1000 - stay.accepted, 0))
    if stay.after_ms is not None:
        head |= _AFTER
        body += _varint(max(stay.end_ms - stay.after_ms, 0))
    return bytes((head,)) + body + stay.ref


def went_record(txid: bytes, start_ms: int, went: Went) -> tuple[bytes, bytes]:
    """Field and value of what went for `txid`."""
    return identity(txid) + _MOMENT.pack(went.time_ms - start_ms) + went.txid[:4], bytes((_FOR,)) + went.txid


def unpack(name: bytes, value: bytes, start_ms: int) -> Stay | Went:
    """A record; raises BadEntry where it is none."""
    try:
        (moment,) = _MOMENT.unpack_from(name, IDENTITY)
        head, numbers = value[0], _Varints(value, 1)
        time_ms = start_ms + moment
        if head & 0xF == _FOR:
            return Went(time_ms, value[1:33])
        seen_ms = time_ms - next(numbers) if head & _SEEN else None
        accepted = seen_ms // 1000 - next(numbers) if head & _ACCEPTED and seen_ms is not None else None
        after_ms = time_ms - next(numbers) if head & _AFTER else None
        return Stay(ENDS[head & 0xF], time_ms, seen_ms, accepted, after_ms, value[numbers.at :])
    except (IndexError, ValueError, StopIteration, ArithmeticError) as error:
        raise BadEntry(f"{name!r} = {value!r} is no record of the timeline: {error!r}") from error


def pack_waiting(waiting: Waiting) -> bytes:
    """What waits."""
    head = _WAITING.pack(waiting.generation, waiting.seen_ms, waiting.accepted, waiting.band)
    return head + b"".join(waiting.parents)


def unpack_waiting(raw: bytes) -> Waiting:
    """The same again, or what layout 1 has of it; raises struct.error or ValueError where it is none."""
    of_old = len(raw) % 32 == _FIRST_WAITING.size
    form = _FIRST_WAITING if of_old else _WAITING
    generation, seen_ms, accepted, *band = form.unpack_from(raw)
    if (len(raw) - form.size) % 32:
        raise ValueError(f"{len(raw)} bytes are no transaction that waits")
    parents = tuple(raw[at : at + 32] for at in range(form.size, len(raw), 32))
    return Waiting(generation, seen_ms, accepted, parents, *band)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


class _Varints(Iterator[int]):
    """Numbers one after the other; raises IndexError where the bytes end within one."""

    def __init__(self, raw: bytes, at: int) -> None:
        self._raw = raw
        self.at = at

    def __next__(self) -> int:
        number = shift = 0
        while (byte := self._raw[self.at]) > 0x7F:
            number |= (byte & 0x7F) << shift
            self.at, shift = self.at + 1, shift + 7
        self.at += 1
        return number | byte << shift

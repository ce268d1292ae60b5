"""What an event is on the wire: a stream entry with the fields `type`, `v`, `seq` and `data`.

`data` is JSON. `seq` counts the entries of one stream without a hole, so that a reader sees a loss at once.
Amounts are integers in satoshi, sizes in virtual bytes or weight units, times in Unix seconds unless the name
ends in `_ms`, hashes and txids lower-case hex in RPC order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from shared.errors import BadEntry, TooNew

_encode = msgspec.json.Encoder(decimal_format="number").encode

# --- what a number or a text may be: whatever decodes can be packed into records (shared.records), summed and shown ---

_U32: Final = 2**32 - 1
_MONEY: Final = 21 * 10**14

Satoshi = Annotated[int, Meta(ge=0, le=_MONEY)]
"""0 to 21 million bitcoin."""

Delta = Annotated[int, Meta(ge=-_MONEY, le=_MONEY)]
"""Satoshi of either sign: a fee that a person may have prioritised away."""

Turnover = Annotated[int, Meta(ge=0, le=10**16)]
"""Satoshi that moved within one block, where a coin may move several times: up to 100 million bitcoin."""

Height = Annotated[int, Meta(ge=0, le=499_999_999)]
"""Below 500 million, from where on a lock time is a time."""

UnixSeconds = Annotated[int, Meta(ge=0, le=_U32)]
"""Up to the year 2106, as in a block's header."""

UnixMs = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""Up to the year 9999."""

Count = Annotated[int, Meta(ge=0, le=_U32)]
Size = Annotated[int, Meta(ge=0, le=_U32)]
Weight = Annotated[int, Meta(ge=0, le=_U32)]
Bits = Annotated[int, Meta(ge=0, le=_U32)]
Rate = Annotated[int, Meta(ge=0, le=_U32)]
"""Below 2^32; `Rate` is a whole feerate: that limit is 43 bitcoin for a virtual byte."""

Percentiles = Annotated[list[Rate], Meta(min_length=5, max_length=5)]

Long = Annotated[int, Meta(ge=0, le=2**53)]
"""Up to 2^53: bytes of memory, sums of sizes, running numbers."""

Feerate = Annotated[float, Meta(ge=0, le=_MONEY)]
Difficulty = Annotated[float, Meta(ge=0, le=1e70)]
"""Up to that of the lowest target, 1."""

Hash = Annotated[str, Meta(min_length=64, max_length=64)]
"""64 characters. That they are hex digits is seen where they are read; a pattern here would cost half as much again."""

HashOrNone = Annotated[str, Meta(max_length=64)]
"""The same, or empty."""

TxidStart = Annotated[str, Meta(min_length=12, max_length=12)]
"""The first 6 bytes of a txid, in hex."""

HashTail = Annotated[str, Meta(min_length=16, max_length=16)]
Work = Annotated[str, Meta(min_length=1, max_length=64)]
HexBits = Annotated[str, Meta(min_length=1, max_length=8)]


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of every event. Unknown fields are tolerated when decoding; missing ones are an error."""

    TYPE: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    """Raised when a field's meaning changes. A field that is added, with a value for where it is missing, does not."""

    def fields(self) -> tuple[bytes, bytes, bytes]:
        """`type`, `v` and `data` as they stand in a stream entry."""
        return self.TYPE.encode(), str(self.VERSION).encode(), _encode(self)


class Family:
    """The events that one stream may carry, decoded by their type."""

    def __init__(self, *events: type[Event]) -> None:
        self._decoders: dict[bytes, tuple[msgspec.json.Decoder[Any], bytes]] = {
            event.TYPE.encode(): (msgspec.json.Decoder(event), str(event.VERSION).encode()) for event in events
        }
        self.events = events
        self.types: tuple[str, ...] = tuple(event.TYPE for event in events)

    def decode(self, kind: bytes, data: bytes, version: bytes = b"1") -> Event | None:
        """The event, or None when the type is not one that this reader knows.

        Raises TooNew where the entry's version is above the one that this reader knows, BadEntry where the data does
        not fit the type, or a number is out of range.
        """
        found = self._decoders.get(kind)
        if found is None:
            return None
        decoder, known = found
        if version != known:
            _check_version(kind, version, known)
        try:
            event: Event = decoder.decode(data)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise BadEntry(f"{kind.decode(errors='replace')}: {error}; data begins {data[:120]!r}") from error
        return event


def _check_version(kind: bytes, version: bytes, known: bytes) -> None:
    """An older version is read as it is: what was added since has a value for where it is missing."""
    if not version.isdigit():
        raise BadEntry(f"{kind.decode()}: v is {version[:40]!r}, expected a number")
    if int(version) > int(known):
        raise TooNew(
            f"{kind.decode()} is of version {int(version)}, this service knows {int(known)}: update the service"
        )


def entry_fields(event: Event, seq: int) -> Iterable[bytes]:
    """Field names and values of a stream entry, flat, as XADD takes them."""
    kind, version, data = event.fields()
    return b"type", kind, b"v", version, b"seq", str(seq).encode(), b"data", data

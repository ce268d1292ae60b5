"""What an event is on the wire: a stream entry with the fields `type`, `v`, `seq` and `data`.

`data` is JSON. `seq` counts the entries of one stream without a hole, so that a reader sees a loss at once.
Amounts are integers in satoshi, sizes in virtual bytes or weight units, times in Unix seconds unless the name
ends in `_ms`, hashes and txids lower-case hex in RPC order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from shared.errors import BadEntry, TooNew

_encode = msgspec.json.Encoder().encode


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
        self._decoders: dict[bytes, msgspec.json.Decoder[Any]] = {
            event.TYPE.encode(): msgspec.json.Decoder(event) for event in events
        }
        self._versions: dict[bytes, bytes] = {event.TYPE.encode(): str(event.VERSION).encode() for event in events}
        self.types: tuple[str, ...] = tuple(event.TYPE for event in events)

    def decode(self, kind: bytes, data: bytes, version: bytes = b"1") -> Event | None:
        """The event, or None when the type is not one that this reader knows.

        Raises TooNew where the entry's version is above the one that this reader knows, BadEntry where the data does
        not fit the type.
        """
        decoder = self._decoders.get(kind)
        if decoder is None:
            return None
        if version != self._versions[kind]:
            self._check(kind, version)
        try:
            event: Event = decoder.decode(data)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise BadEntry(f"{kind.decode(errors='replace')}: {error}; data begins {data[:120]!r}") from error
        return event

    def _check(self, kind: bytes, version: bytes) -> None:
        """An older version is read as it is: what was added since has a value of its own where it is missing."""
        name, known = kind.decode(errors="replace"), int(self._versions[kind])
        if not version.isdigit():
            raise BadEntry(f"{name}: v is {version[:40]!r}, expected a number")
        if int(version) > known:
            raise TooNew(f"{name} is of version {int(version)}, this service knows {known}: update the service")


def entry_fields(event: Event, seq: int) -> Iterable[bytes]:
    """Field names and values of a stream entry, flat, as XADD takes them."""
    kind, version, data = event.fields()
    return b"type", kind, b"v", version, b"seq", str(seq).encode(), b"data", data

"""Cursors of `/api/v1/events`: where a client stands in each stream, as text in the `id` of every message.

One stream: the entry's id, `1795380763461-0`. Several: `blocks:1795380763461-0,fees:1795380763999-3`. `0` in the place
of an id, or alone for all streams, asks for all that is kept; `0-0` is where a client of an empty stream stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

_ID: Final = re.compile(r"(\d{1,20})(?:-(\d{1,20}))?", re.ASCII)
_MAX: Final = 2**64 - 1


class EntryId(NamedTuple):
    """A stream entry's id: milliseconds and a number within."""

    ms: int
    number: int

    def __str__(self) -> str:
        if self.number < 0:
            return "0"
        return f"{self.ms}-{self.number}"

    @classmethod
    def of(cls, raw: bytes | str) -> EntryId:
        """From what Redis says."""
        ms, _, number = (raw.decode() if isinstance(raw, bytes) else raw).partition("-")
        return cls(int(ms), int(number or 0))


BEGINNING: Final = EntryId(0, 0)
"""Where a client of a stream without any entry stands: whatever comes is new to it."""

ALL_KEPT: Final = EntryId(0, -1)
"""Before everything: what is kept is asked for, wherever that begins."""


class BadCursor(ValueError):
    """The cursor is not of the form that we give out; says what is wrong and what is expected."""


def encode(streams: Sequence[str], positions: Mapping[str, EntryId]) -> str:
    """The cursor of a client of these streams."""
    if len(streams) == 1:
        return str(positions[streams[0]])
    return ",".join(f"{name}:{positions[name]}" for name in streams)


def decode(text: str, streams: Sequence[str], known: Sequence[str]) -> dict[str, EntryId]:
    """The positions in a cursor, those of streams that are not asked for left out. Raises BadCursor."""
    if text == "0":
        return dict.fromkeys(streams, ALL_KEPT)
    if len(streams) == 1 and ":" not in text:
        return {streams[0]: _entry_id(text, text)}
    positions: dict[str, EntryId] = {}
    for part in text.split(","):
        name, colon, value = part.strip().partition(":")
        if not colon or name not in known:
            raise BadCursor(f"cursor {text!r}: {part!r} names no stream; expected {_form(streams)}")
        if name in positions:
            raise BadCursor(f"cursor {text!r}: {name} stands there twice; expected {_form(streams)}")
        positions[name] = _entry_id(value, text)
    return {name: position for name, position in positions.items() if name in streams}


def _entry_id(value: str, text: str) -> EntryId:
    match = _ID.fullmatch(value.strip())
    if match is None:
        raise BadCursor(f"cursor {text!r}: {value!r} is no entry id; expected MILLISECONDS-NUMBER, as in an event's id")
    if value.strip() == "0":
        return ALL_KEPT
    entry = EntryId(int(match[1]), int(match[2] or 0))
    if max(entry) > _MAX:
        raise BadCursor(f"cursor {text!r}: {value!r} is out of range; expected two numbers below 2^64")
    return entry


def _form(streams: Sequence[str]) -> str:
    return ",".join(f"{name}:ID" for name in streams)

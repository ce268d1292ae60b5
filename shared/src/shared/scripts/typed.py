"""What a person typed or pasted, without what came along unseen; each character knows where it stood."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from shared.errors import Unreadable
from shared.scripts.reasons import refuse, wrong_sign
from shared.scripts.signs import INVISIBLE, foreign_digit, plain

_AROUND: Final = "\"'`,;.\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}"
"""What surrounds a value in a sentence."""

_ODD: Final = re.compile(r"[^ -~]")


class Typed(NamedTuple):
    """Characters, and the place of each in what was typed."""

    text: str
    places: Sequence[int]

    def part(self, start: int, stop: int) -> Typed:
        """The characters from `start` to before `stop`."""
        return Typed(self.text[start:stop], self.places[start:stop])

    def compact(self) -> Typed:
        """Without its spaces: long values are written in groups, and mails break them."""
        kept = [at for at, sign in enumerate(self.text) if not sign.isspace()]
        return Typed("".join(self.text[at] for at in kept), [self.places[at] for at in kept])

    def ascii(self) -> str:
        """As long a text in which ASCII stands for what looks or counts the same."""
        return self.text if self.text.isascii() else "".join(plain(s) or foreign_digit(s) or s for s in self.text)

    def foreign(self) -> Unreadable:
        """The error for the first digit that is none of ASCII, else for the first character that is not of ASCII."""
        odd = [at for at, sign in enumerate(self.text) if not sign.isascii()]
        place = next((at for at in odd if foreign_digit(self.text[at])), odd[0])
        digit = foreign_digit(self.text[place])
        if digit:
            return self.moved(wrong_sign("foreign-digit", self.text, place, digit=digit))
        return self.moved(wrong_sign("character", self.text, place, plain(self.text[place])))

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Errors about these characters become errors about what was typed."""
        try:
            yield
        except Unreadable as error:
            raise self.moved(error) from None

    def moved(self, error: Unreadable) -> Unreadable:
        """An error about these characters, as one about what was typed."""
        return refuse(error.reason, *(self.places[at] for at in error.places if at < len(self.places)), **error.fields)


def typed(text: str, most: int) -> Typed:
    """Raises Unreadable for what is empty, too long or no text; the time is bounded by `most` characters."""
    if len(text) > most:
        raise refuse("too-long", length=len(text), most=most)
    found = Typed(text, range(len(text)))
    if not INVISIBLE.isdisjoint(text):
        kept = [at for at, sign in enumerate(text) if sign not in INVISIBLE]
        found = Typed("".join(text[at] for at in kept), kept)
    for odd in _ODD.finditer(found.text):
        if unicodedata.category(odd[0]) in ("Cc", "Cf", "Cs") and not odd[0].isspace():
            raise found.moved(wrong_sign("control", found.text, odd.start()))
    start, stop = 0, len(found.text)
    while start < stop and (found.text[start].isspace() or found.text[start] in _AROUND):
        start += 1
    while start < stop and (found.text[stop - 1].isspace() or found.text[stop - 1] in _AROUND):
        stop -= 1
    if start == stop:
        raise refuse("empty")
    return found.part(start, stop)

"""What people wrote into the chain: the payload of an OP_RETURN, the script of a coinbase.

Anybody writes there what they like, to machines and to readers. What is told as text holds no control character, none
that turns the direction of writing or has no width, and no pile of accents; writing from right to left can still move
what stands beside it, so that a page sets it apart (`<bdi>`). It is not escaped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple

from shared.scripts.opcodes import steps
from shared.scripts.signs import INVISIBLE

MOST: Final = 2_000
"""Bytes that are looked at."""

_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"
_BLANKS: Final = frozenset("\t\n\r\x0b\x0c")
_JOINER: Final = "\u200d"
_SHORTEST_RUN: Final = 4
_MOST_MARKS: Final = 2
_WORD: Final = re.compile(r"\w+")
_GOOD: Final = frozenset("LNPS")


class Message(NamedTuple):
    """Some bytes, in hex and as text."""

    hex: str  # of the first MOST bytes
    text: str | None  # None: it is none
    size: int  # bytes in all
    cut: bool  # there are more than MOST
    mixed: bool = False  # a word of it mixes Latin letters with Cyrillic or Greek ones, which look the same


def message(payload: bytes) -> Message:
    """The payload. It is text if it is UTF-8, says something, and has no more than one odd character in eight."""
    start, cut = payload[:MOST], len(payload) > MOST
    text = _text(start, cut)
    return Message(start.hex(), text, len(payload), cut, bool(text) and _mixed(text or ""))


def coinbase(script: bytes) -> Message:
    """A coinbase's script: the runs of four and more characters in what it pushes, joined by a space.

    Where it is no sequence of pushes, which nothing demands, in the whole of it.
    """
    start, cut = script[:MOST], len(script) > MOST
    found = list(steps(start))
    whole = all(step.whole and (step.pushed is not None or step.code < 0x61) for step in found)
    parts = [step.pushed or b"" for step in found] if whole else [start]
    text = " ".join(run for part in parts for run in _runs(part)) or None
    return Message(start.hex(), text, len(script), cut, bool(text) and _mixed(text or ""))


def _text(payload: bytes, cut: bool) -> str | None:
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        if not cut or error.start < len(payload) - 3 or error.reason != "unexpected end of data":
            return None
        text = payload[: error.start].decode()
    harmless = "".join(_harmless(text))
    odd = harmless.count(_REPLACED)
    says = any(unicodedata.category(sign)[0] in _GOOD and sign != _REPLACED for sign in harmless)
    return harmless.strip() if says and 8 * odd <= len(harmless) else None


def _harmless(text: str) -> Iterable[str]:
    marks = 0
    for sign in text:
        category = unicodedata.category(sign)
        marks = marks + 1 if category[0] == "M" else 0
        if sign in _BLANKS or category[0] == "Z":
            yield " "
        elif sign == _JOINER or marks > _MOST_MARKS:
            continue  # of emoji made of several, and piles of accents
        elif "\ufe00" <= sign <= "\ufe0f":
            continue  # which picture of a character is meant
        elif category[0] == "C" or sign in INVISIBLE:
            yield _REPLACED
        else:
            yield sign


def _runs(part: bytes) -> list[str]:
    harmless = "".join(_harmless(part.decode(errors="replace")))
    runs = (run.strip() for run in harmless.split(_REPLACED))
    return [run for run in runs if len(run) >= _SHORTEST_RUN]


def _mixed(text: str) -> bool:
    for word in _WORD.findall(text):
        alphabets = {unicodedata.name(sign, "").partition(" ")[0] for sign in word if not sign.isascii()}
        latin = any(sign.isascii() and sign.isalpha() for sign in word)
        if alphabets & {"CYRILLIC", "GREEK"} and (latin or "LATIN" in alphabets):
            return True
    return False

"""Single characters: how one is told without doing harm, and what it may have been taken for."""

from __future__ import annotations

import unicodedata
from typing import Final

Field = int | str | tuple[str, ...]
"""What goes into a sentence."""

INVISIBLE: Final = frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060"
    "\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\u3164\ufeff\uffa0"
    "\ufe00\ufe01\ufe02\ufe03\ufe04\ufe05\ufe06\ufe07\ufe08\ufe09\ufe0a\ufe0b\ufe0c\ufe0d\ufe0e\ufe0f"
)
"""Characters without a width, or that turn the direction of writing: copied along unseen, and never meant."""

_TWINS: Final = dict(
    zip(
        "АВСЕНІЈКМОРЅТХУаеоросухіјѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρυιαɡıℓ",  # noqa: RUF001 - these are what is looked for
        "ABCEHIJKMOPSTXYaeopocyxijshdqwABEZHIKMNOPTYXovpuiagil",
        strict=False,
    )
)
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_NAMES: Final = {"\t": "TAB", "\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\0": "NULL", "\x7f": "DELETE"}


def told(sign: str) -> dict[str, Field]:
    """`codepoint` and `name` of a character, and itself as `sign` where it can be shown."""
    category = unicodedata.category(sign)
    name = unicodedata.name(sign, "") or _NAMES.get(sign, "")
    shown = sign if category[0] in "LNPS" and category != "Lm" else ""
    return {"sign": shown, "codepoint": f"U+{ord(sign):04X}", "name": name}


def plain(sign: str) -> str:
    """The ASCII character that looks the same, by compatibility or to the eye; empty where there is none."""
    if sign.isascii():
        return sign
    if sign in _TWINS:
        return _TWINS[sign]
    if sign in _DASHES:
        return "-"
    folded = unicodedata.normalize("NFKC", sign)
    return folded if len(folded) == 1 and folded.isascii() else ""


def foreign_digit(sign: str) -> str:
    """The ASCII digit that stands for the same number; empty of what is no digit, or ASCII."""
    value = unicodedata.digit(sign, None) if not sign.isascii() else None
    return "" if value is None else str(value)

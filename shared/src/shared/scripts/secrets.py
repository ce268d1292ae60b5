"""What nobody should paste: private keys and the words of a seed, known by their form.

Web looks before it seals or keeps anything. So what has such a form is one, also where its checksum is wrong: a key
with a slip is still nearly a key.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from shared.scripts.reasons import refuse

_BASE58: Final = "1-9A-HJ-NP-Za-km-z"

_LETTER: Final = "[0-9A-Za-z]"

_EXTENDED: Final = re.compile(rf"(?<!{_LETTER})[xyztuvYZUV]prv[{_BASE58}]{{8,}}")
"""BIP 32 and SLIP-132, of all networks."""

_WIF: Final = re.compile(rf"(?<!{_LETTER})(?:[5-9][{_BASE58}]{{50}}|[KLc][{_BASE58}]{{51}})(?!{_LETTER})")
"""`5`, `K`, `L` of main; `9`, `c` of the others; 51 or 52 characters. Between a hex key's
zeros there are such runs, too."""

_ENCRYPTED: Final = re.compile(rf"(?<!{_LETTER})6P[{_BASE58}]{{56}}(?!{_LETTER})")
"""BIP 38."""

_MINI: Final = re.compile(rf"\s*S(?:[{_BASE58}]{{21}}|[{_BASE58}]{{29}})\s*")
"""The short form of Casascius coins."""

_FEWEST_WORDS, _MOST_WORDS = 11, 60
"""Seeds have 12 to 24 words, SLIP-39 up to 33 a share; one may be missing, or a passphrase stand behind them."""

_NUMBERED: Final = re.compile(r"^\d{1,2}[.):\-]*")
"""`1.` before a word."""

_LONGEST_LOOKED_AT: Final = 200_000


def found(text: str) -> Literal["private-key", "seed-words", ""]:
    """Whether there is a private key or a seed in it; empty: neither."""
    text = text[:_LONGEST_LOOKED_AT]
    if any(form.search(text) for form in (_EXTENDED, _WIF, _ENCRYPTED)) or _MINI.fullmatch(text):
        return "private-key"
    return "seed-words" if _is_seed(text) else ""


def refuse_secrets(text: str) -> None:
    """Raises Unreadable where a private key, or the words of a seed, seem to be in the text."""
    if why := found(text):
        raise refuse(why)


def _is_seed(text: str) -> bool:
    """Many short words and nothing else: in any of the lists' languages, with numbers and commas between."""
    entries = re.split(r"[\s,;\"'\[\]]+", text)
    words = [word for entry in entries if (word := _NUMBERED.sub("", entry))]
    return _FEWEST_WORDS <= len(words) <= _MOST_WORDS and all(word.isalpha() and len(word) <= 16 for word in words)

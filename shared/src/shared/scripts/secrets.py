"""What nobody should ever enter: private keys and the words of a seed. Told without repeating any of it."""

from __future__ import annotations

import re
from typing import Final

from shared.scripts.reasons import refuse

_DIGIT: Final = "[1-9A-HJ-NP-Za-km-z]"
_PRIVATE: Final = re.compile(
    rf"[xyzYZtuvUV]prv{_DIGIT}{{8,}}"  # extended
    rf"|(?<![0-9A-Za-z])[5KL9c]{_DIGIT}{{50,51}}(?![0-9A-Za-z])"  # wallet import format
    rf"|(?<![0-9A-Za-z])6P{_DIGIT}{{56}}(?![0-9A-Za-z])"  # encrypted (BIP 38)
)
_WORDS: Final = re.compile(r"([A-Za-z]{3,8}[\s,]+){10,24}[A-Za-z]{3,8}")


def refuse_secrets(text: str) -> None:
    """Raises Unreadable where a private key, or the words of a seed (BIP 39), seem to be in the text."""
    if _PRIVATE.search(text):
        raise refuse("private-key")
    if _WORDS.fullmatch(text):
        raise refuse("seed-words")

"""Who reads: in which language, and with values in which currency."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from web.words.currency import counted, counting
from web.words.language import Language, speaking, spoken


@dataclass(frozen=True, slots=True)
class Reader:
    """All whose pages are the same."""

    language: Language
    currency: str

    @property
    def key(self) -> str:
        """By which what was made for them is kept."""
        return f"{self.language.tag} {self.currency}"


def reader() -> Reader:
    """Whom is rendered for now."""
    return Reader(spoken(), counted())


@contextmanager
def reading(who: Reader) -> Iterator[None]:
    """Render for this reader meanwhile."""
    with speaking(who.language), counting(who.currency):
        yield

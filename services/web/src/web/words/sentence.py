"""Sentences that are English as they stand and another language once they are shown.

What is made once and shown to many (a chart, a notice) is made of these: JSON, comparisons and logs take the English
text that it is, pages the language that is spoken when it becomes part of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from web.words.language import ENGLISH, speaking, spoken


def gettext(message: str) -> str:
    """This message in the language that is spoken."""
    return spoken().words.gettext(message) if message else ""  # whose translation is the head of the catalogue


def in_template(message: str, **values: object) -> Markup:
    """The same as markup, values escaped: what Jinja's i18n does, without its detour, since pages say much."""
    said = gettext(message)
    return Markup(said) % values if values or "%" in said else Markup(said)  # noqa: S704 - words of ours


def ngettext(one: str, many: str, count: float) -> str:
    """The form of a message that goes with a number."""
    return spoken().words.ngettext(one, many, _counted(count))


def pgettext(context: str, message: str) -> str:
    """A message that means something else elsewhere."""
    return spoken().words.pgettext(context, message)


def note(message: str) -> str:
    """A message that is translated where it is used; this only tells the catalogue of it."""
    return message


def pnote(context: str, message: str) -> str:
    """The same of a message that means something else elsewhere."""
    del context
    return message


def _counted(count: float) -> int:
    """The number that decides the form: gettext's rules know whole ones, and no fraction takes the singular."""
    return int(count) if count == int(count) else 2


class Sentence(str):
    """`speak` says it in the language that is spoken. As a `str`, and wherever nobody formats it, it is English."""

    __slots__ = ("_speak",)
    _speak: Callable[[], str]

    def __new__(cls, speak: Callable[[], str]) -> Sentence:
        """Says it in English at once."""
        with speaking(ENGLISH):
            made = super().__new__(cls, speak())
        made._speak = speak
        return made

    def __str__(self) -> str:
        return self._speak()

    def __format__(self, spec: str) -> str:
        return format(self._speak(), spec)

    def __html__(self) -> Markup:
        """As a template shows it."""
        return escape(self._speak())


def say(message: str, **values: object) -> Sentence:
    """A message of the catalogue; `%(name)s` in it is replaced by the value, said in the same language."""
    return Sentence(lambda: _filled(gettext(message), values))


def count(one: str, many: str, number: float, **values: object) -> Sentence:
    """A message in the form that goes with a number, which is `%(number)s` in it."""
    filled = {"number": Sentence(lambda: spoken().number(f"{number:,}")), **values}
    return Sentence(lambda: _filled(ngettext(one, many, number), filled))


def shown(form: Callable[..., Any], *values: Any) -> Sentence:
    """What a format makes of the values."""
    return Sentence(lambda: str(form(*values)))


def joined(*parts: str, by: str = " ") -> Sentence:
    """Sentences one after another."""
    return Sentence(lambda: by.join(str(part) for part in parts))


def altered(sentence: str, change: Callable[[str], str]) -> Sentence:
    """The sentence as `change` makes it, in each language."""
    return Sentence(lambda: change(str(sentence)))


def _filled(message: str, values: dict[str, Any]) -> str:
    return message % values if values else message

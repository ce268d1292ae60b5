"""A language in which every message of the catalogue stands in brackets: what stands outside is in no catalogue.

The values that a message is filled with stand outside its brackets again, so that they must bring their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, Final

from babel import Locale
from babel.messages.catalog import Catalog

from docs.catalogues import gathered
from web.words.language import Language

OPEN, CLOSE = "⟦", "⟧"
_PLACE: Final = re.compile(r"(%\(\w+\)s)")
_NO_WORDS: Final = frozenset({"script", "style", "code", "pre"})
"""Elements whose text is a machine's."""

_VOID: Final = frozenset({"meta", "link", "br", "rect", "path", "line"})
_TOLD: Final = frozenset({"aria-label", "title", "data-label", "content", "alt", "placeholder"})
"""Attributes that people are told."""


def language() -> Language:
    """The language `xx`."""
    catalogue = Catalog(locale="en", charset="utf-8")
    for message in gathered():
        if message.id:
            locations = message.locations
            catalogue.add(message.id, _bracketed(message.id), locations=locations, context=message.context)
    return Language("xx", Locale.parse("en_GB"), catalogue)


def _bracketed(message: Any) -> Any:
    if not isinstance(message, str):
        return tuple(map(_bracketed, message))
    parts = _PLACE.split(message)
    return "".join(part if _PLACE.fullmatch(part) or not part else f"{OPEN}{part}{CLOSE}" for part in parts)


class _Told(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []  # of attributes, and of the page as a whole
        self._body: list[str] = []
        self._silent: list[str] = []  # open elements that are a machine's, or in a language of their own

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        if tag == "br":
            self._body.append("\n")
        if tag not in _VOID and (self._silent or tag in _NO_WORDS or (tag != "html" and "lang" in held)):
            self._silent.append(tag)
            return
        if not (tag == "meta" and held.get("name") != "description"):
            self.texts += [value for name, value in attrs if name in _TOLD and value]

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            assert self._silent.pop() == tag
        else:
            self._body.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._body.append(data)

    def close(self) -> None:
        super().close()
        self.texts.append("".join(self._body))


def outside(html: str) -> Iterator[str]:
    """Every run of text that people are told and that stands in no brackets."""
    told = _Told()
    told.feed(html)
    told.close()
    for text in told.texts:
        depth, found = 0, ""
        for sign in text:
            if sign == OPEN:
                depth += 1
            elif sign == CLOSE:
                depth -= 1
            found += "\n" if depth or sign == CLOSE else sign
        assert depth == 0, text
        yield from (run.strip() for run in found.split("\n") if run.strip())

"""A language: its words, its numbers, its dates. `speaking` says which one is rendered in; without it, English.

English stands in the code; each further language has a catalogue `locales/TAG.po`, compiled at the start. How numbers
and dates are written comes from CLDR, read once a language, since a format is called for every figure.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any, Final

from babel import Locale
from babel.dates import match_skeleton
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER: Final = Path(__file__).parent / "locales"
"""The catalogues."""

COOKIE: Final = "language"
"""The cookie with the tag of the language that a reader has chosen."""

_FIELD: Final = re.compile(r"'([^']*)'|(d+|M+|L+|y+)|([^'dMLy]+)")
"""Quoted text, a field, or other text in a CLDR pattern of a date."""

_DATES: Final = {"day": "yMMMMd", "month": "yMMMM", "date": "MMMMd", "short_day": "yMMMd", "short_date": "MMMd"}
"""CLDR's names of the dates that pages write: 3 June 2026, June 2026, 3 June, 3 Jun 2026, 3 Jun."""

_ALONE: Final = {"short_month": "LLL", "year": "y"}
"""Patterns that are the same everywhere: a month's short name where it stands alone, and the year."""

_HEADER: Final = 200
"""Characters of a header that are looked at; who sends more wants no language of ours."""


class Language:
    """One language. `tag` names it in addresses and files, `html` in markup, `name` is what its speakers call it."""

    def __init__(self, tag: str, locale: Locale, catalogue: Catalog | None = None) -> None:
        self.tag = tag
        self.html = str(locale).replace("_", "-")
        name = locale.get_language_name() or tag
        self.name = f"{name[:1].upper()}{name[1:]}"
        self.words: NullTranslations = NullTranslations() if catalogue is None else _compiled(catalogue)
        self.ordinal: Callable[[float], str] = locale.ordinal_form
        symbols = locale.number_symbols["latn"]
        self.decimal: str = symbols["decimal"]
        self._signs = {".": symbols["decimal"], ",": symbols["group"]}
        self._number = None if self._signs == {".": ".", ",": ","} else str.maketrans(self._signs)
        self._countries = {code: str(told) for code, told in locale.territories.items() if len(code) == 2}
        self._months = {
            form: tuple(locale.months[use][width].values())
            for form, use, width in (
                ("MMM", "format", "abbreviated"),
                ("MMMM", "format", "wide"),
                ("LLL", "stand-alone", "abbreviated"),
                ("LLLL", "stand-alone", "wide"),
            )
        }
        if catalogue is None:  # in columns of dates three letters each, where CLDR has "Sept"
            self._months["MMM"] = self._months["LLL"] = tuple(name[:3] for name in self._months["MMMM"])
        self._patterns = {name: _pattern(locale, skeleton) for name, skeleton in _DATES.items()} | _ALONE
        self._dates = {name: _FIELD.findall(pattern) for name, pattern in self._patterns.items()}
        self.script = None if catalogue is None else self._script(catalogue, locale)

    def number(self, text: str) -> str:
        """A number as Python writes it (1,234.5), with the signs of this language."""
        return text if self._number is None else text.translate(self._number)

    def country(self, code: str) -> str:
        """The name of a country by its ISO 3166 code; of one that CLDR does not know, the code."""
        return self._countries.get(code, code)

    def date(self, form: str, moment: datetime) -> str:
        """A date in the form `day`, `month`, `date`, `short_day`, `short_date`, `short_month` or `year`."""
        return "".join(quoted or text or self._field(field, moment) for quoted, field, text in self._dates[form])

    def _field(self, field: str, moment: datetime) -> str:
        if field in self._months:
            return str(self._months[field][moment.month - 1])
        number = {"d": moment.day, "M": moment.month, "L": moment.month, "y": moment.year}[field[0]]
        return str(number).rjust(len(field), "0")

    def _script(self, catalogue: Catalog, locale: Locale) -> Mapping[str, Any]:
        """What the script of a page must know to write as the server does."""
        said = {}
        for message in catalogue:
            if message.id and any(place.endswith(".js") for place, _ in message.locations):
                one, strings = message.id if isinstance(message.id, str) else message.id[0], message.string
                said[f"{message.context}\4{one}" if message.context else one] = (
                    list(strings) if isinstance(strings, tuple) else strings
                )
        order = [form for form in ("zero", "one", "two", "few", "many") if form in locale.plural_form.tags]
        return {
            "words": dict(sorted(said.items())),
            "plurals": [*order, "other"],
            "signs": self._signs,
            "months": {form: self._months[form] for form in ("MMM", "LLL")},
            "dates": {form: self._patterns[form] for form in ("short_day", "short_date")},
        }


def _pattern(locale: Locale, skeleton: str) -> str:
    known = locale.datetime_skeletons
    found = skeleton if skeleton in known else match_skeleton(skeleton, known)
    if skeleton == "yMMMMd":
        return str(locale.date_formats["long"].pattern)
    return str(known[found].pattern)


def _compiled(catalogue: Catalog) -> GNUTranslations:
    held = io.BytesIO()
    write_mo(held, catalogue)
    held.seek(0)
    return GNUTranslations(held)


def loaded(path: Path) -> Language:
    """The language of a catalogue. Raises PoFileError for one that cannot be read."""
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.stem, abort_invalid=True)
    return Language(path.stem, Locale.parse(path.stem), catalogue)


ENGLISH: Final = Language("en", Locale.parse("en_GB"))

LANGUAGES: Final[Mapping[str, Language]] = {
    "en": ENGLISH,
    **{path.stem: loaded(path) for path in sorted(FOLDER.glob("*.po"))},
}
"""Every language by its tag."""

_SPOKEN: ContextVar[Language] = ContextVar("language", default=ENGLISH)


def spoken() -> Language:
    """The language that is rendered in now."""
    return _SPOKEN.get()


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Render in this language meanwhile."""
    token = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


# --- what a reader wants ----------------------------------------------------------------------------------


def chosen(tag: str | None) -> Language | None:
    """The language that a tag such as `de`, `de-AT` or `en-GB` asks for (RFC 4647, 3.4); None where there is none."""
    return LANGUAGES.get((tag or "").strip().lower().partition("-")[0])


@lru_cache(maxsize=256)
def accepted(header: str) -> Language:
    """The one of ours that Accept-Language likes best (RFC 9110, 12.5.4): the first of those with the same weight."""
    best, weight = ENGLISH, 0.0
    for part in header[:_HEADER].split(","):
        tag, _, parameters = part.partition(";")
        wanted, quality = chosen(tag), _quality(parameters)
        if wanted is not None and quality > weight:
            best, weight = wanted, quality
    return best


def _quality(parameters: str) -> float:
    name, _, value = parameters.replace(" ", "").partition("=")
    if name.lower() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0

"""A number as a person reads it, and what stands in its place where the number cannot be.

A format that is decorated here is total: not finite, no moment of the calendar, beyond what a float holds - all of it
becomes the words `ABSURD`, and the page around it stands.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Final, NamedTuple, ParamSpec, TypeVar

from markupsafe import Markup, escape

from web.words.sentence import gettext, note

ABSURD: Final = note("out of range")
"""What stands for a number that cannot be."""


class Quantity(NamedTuple):
    """A number as text, and its unit."""

    number: str
    unit: str

    def __str__(self) -> str:
        return f"{self.number} {self.unit}".rstrip()

    def __html__(self) -> str:
        """Number and unit with a mark each; a short unit stays on the number's line."""
        number = f'<span class="n">{escape(self.number)}</span>'
        space = "&nbsp;" if len(self.unit) <= 8 else " "
        return f'{number}{space}<span class="u">{escape(self.unit)}</span>' if self.unit else number


P = ParamSpec("P")
T = TypeVar("T", Quantity, str, Markup)


def _total(make: Callable[[str], T]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """`make` builds what stands for a number that cannot be formatted: not finite, or beyond what the format holds."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def safe(*args: P.args, **kwargs: P.kwargs) -> T:
            value = args[0] if args else None
            if isinstance(value, float) and not math.isfinite(value):
                return make(gettext(ABSURD))
            try:
                return function(*args, **kwargs)
            except (ValueError, OverflowError, OSError):  # of the C library's calendar, or of a huge whole number
                return make(gettext(ABSURD))

        return safe

    return decorate


measured: Final = _total(lambda text: Quantity(text, ""))
plainly: Final = _total(str)
marked: Final = _total(Markup)
"""Decorators of formats, by what they return."""

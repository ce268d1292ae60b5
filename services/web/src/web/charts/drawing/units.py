"""How the values of a line look, in its legend and along its axis. The script on the page follows the same rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from shared.networks import COIN
from web.words import formats
from web.words.language import spoken
from web.words.quantity import Quantity
from web.words.sentence import say

_SI: Final = ("", "k", "M", "G", "T", "P", "E", "Z")
_HIGHEST: Final = {"H/s": 6, "vB": 2, "vB/s": 2, "B": 3, "": 4}
"""Units that take prefixes of thousands, with the highest one that is usual."""

_TINY: Final = 0.01
"""An axis that ends below this (regtest's difficulty) is in powers of a thousandth."""

_WORDS: Final = ("", say("thousand"), say("million"))
"""For units that take no prefix: "million BTC"."""


def quantity(value: float, unit: str) -> Quantity:
    """A value of a line with its unit. Amounts in BTC below 0.01 read in satoshi."""
    form = _FORMS.get(unit)
    if form is not None:
        shown = form(value)
    elif unit in _HIGHEST:
        shown = formats.scaled(value, unit, highest=_SI[_HIGHEST[unit]])
    else:
        shown = Quantity(formats.trimmed(formats.significant(value)), unit)
    return shown._replace(number=_signed(shown.number))


def _btc(value: float) -> Quantity:
    if value and abs(value) < 0.01:
        return Quantity(formats.number(value * COIN), "sat")
    return Quantity(formats.trimmed(formats.significant(value, 4)), "BTC")


def _signed(number: str) -> str:
    """With the minus sign of print, and none before nothing."""
    bare = number.removeprefix("-")
    return bare if bare == number or not bare.strip("0.,") else f"−{bare}"  # noqa: RUF001 - the minus sign of print


_FORMS: Final[dict[str, Callable[[float], Quantity]]] = {
    "": formats.difficulty,
    "BTC": _btc,
    "sat/vB": formats.feerate,
    "%": lambda value: Quantity(formats.number(value, 2), "%"),
}


class Divisor(NamedTuple):
    """What the numbers along an axis are divided by, and the unit that stands above them."""

    by: float
    unit: str


def divisor(top: float, unit: str) -> Divisor:
    """For an axis whose largest number is `top`."""
    size = abs(top)
    if unit in _HIGHEST and 0 < size < _TINY:
        exponent = 3 * math.floor(math.log10(size) / 3)
        return Divisor(10.0**exponent, f"×10{formats.raised(exponent)} {unit}".rstrip())  # noqa: RUF001 - the sign
    if unit in _HIGHEST:
        power = min(_power(size), _HIGHEST[unit])
        prefix = _SI[power].upper() if unit == "" else _SI[power]
        return Divisor(1000.0**power, f"{prefix}{unit}")
    if unit == "BTC" and 0 < size < 0.01:
        satoshi = divisor(size * COIN, "sat")
        return Divisor(satoshi.by / COIN, satoshi.unit)
    power = 2 if size >= 1e6 else 1 if size >= 1e4 else 0
    return Divisor(1000.0**power, f"{_WORDS[power]} {unit}".strip())


def _power(size: float) -> int:
    power = 0
    while size >= 1000 and power < len(_SI) - 1:
        size /= 1000
        power += 1
    return power


def even(values: Sequence[float], by: float) -> list[str]:
    """Numbers at equal distances, with as many decimals as they need to differ."""
    shown = [value / by for value in values]
    step = min((b - a for a, b in pairwise(shown)), default=1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return [_signed(formats.number(value, decimals)) if value else "0" for value in shown]


def compact(value: float, unit: str) -> str:
    """A number along a logarithmic axis: 1, 20 k, 5 M, 0.01. Its unit stands above the axis."""
    if value < 1:
        return spoken().number(f"{value:.10f}".rstrip("0"))
    power = _power(value)
    prefix = _SI[power].upper() if unit == "" else _SI[power]
    return f"{formats.number(value / 1000.0**power)} {prefix}".rstrip()

"""How values look: the one place where a number becomes words, with its unit.

A figure is a `Quantity`: on a page its number and unit are marked up apart, as text they read "138.96 T".
Nothing here rounds a value that the JSON API serves; it only says how a person reads it. Every function is total: a
number that no clock, count or amount can be becomes words (web.quantity), never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from markupsafe import Markup

from shared.networks import COIN
from web.words.currency import SYMBOLS, counted
from web.words.language import spoken
from web.words.quantity import ABSURD, Quantity, marked, measured, plainly
from web.words.sentence import gettext, ngettext, pgettext, pnote

_SI: Final = ("", "k", "M", "G", "T", "P", "E")
_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, decimals: int = 0) -> str:
    """With thousands marked and so many decimals, by the language that is spoken: 1,234.50."""
    return spoken().number(f"{value:,.{decimals}f}")


@measured
def whole(value: float) -> Quantity:
    """A count: 953,568."""
    return Quantity(number(value), "")


def _finite(value: float | Decimal) -> float | None:
    """As a number that can be told; None where it is none."""
    try:
        told = float(value)
    except OverflowError:
        return None
    return told if math.isfinite(told) else None


def money(value: float | Decimal, currency: str = "") -> str:
    """An amount of a currency, of the one that is counted in where none is named: $97,412, $0.23, 1.93 T."""
    amount, currency = _finite(value), currency or counted()
    if amount is None:
        return gettext(ABSURD)
    size = abs(amount)
    for least, form in _LARGE:
        if size >= least:
            text = pgettext("money", form) % {"amount": significant(amount / least)}
            break
    else:
        decimals = 0 if size >= 1_000 else 2 if size >= 0.01 or not size else 2 - math.floor(math.log10(size)) - 1
        text = number(amount, min(decimals, 10))
    symbol = SYMBOLS.get(currency)
    if symbol is None:
        return f"{text}\N{NO-BREAK SPACE}{currency}"
    return pgettext("money", "%(symbol)s%(amount)s") % {"symbol": symbol, "amount": text}


_LARGE: Final = (
    (1e12, pnote("money", "%(amount)s T")),
    (1e9, pnote("money", "%(amount)s bn")),
    (1e6, pnote("money", "%(amount)s M")),
)
"""From where on amounts of money are told in millions, billions, trillions; prices of one bitcoin are not."""


def price(value: float | Decimal, currency: str = "") -> str:
    """What one bitcoin costs: $97,412, ¥14,400,000; to the cent below a thousand."""
    amount, currency = _finite(value), currency or counted()
    if amount is None:
        return gettext(ABSURD)
    size = abs(amount)
    text = number(amount, 0 if size >= 1_000 else 2 if size >= 1 else 4)
    symbol = SYMBOLS.get(currency)
    if symbol is None:
        return f"{text}\N{NO-BREAK SPACE}{currency}"
    return pgettext("money", "%(symbol)s%(amount)s") % {"symbol": symbol, "amount": text}


@measured
def blocks(value: float) -> Quantity:
    """A count: 1 block, 2,016 blocks."""
    return Quantity(number(value), ngettext("block", "blocks", value))


@measured
def transactions(value: float) -> Quantity:
    """A count: 1 transaction, 2,016 transactions."""
    return Quantity(number(value), ngettext("transaction", "transactions", value))


@measured
def txs(value: float) -> Quantity:
    """A count where there is little room: 2,016 tx."""
    return Quantity(number(value), ngettext("tx", "tx", value))


def trimmed(text: str) -> str:
    """A number without the zeros that end its decimals."""
    decimal = spoken().decimal
    return text.rstrip("0").rstrip(decimal) if decimal in text else text


def significant(value: float, digits: int = 3) -> str:
    """At least `digits` significant digits, never fewer than the whole number has: 1.02, 13.1, 1,021."""
    size = abs(value)
    decimals = digits - 1
    for limit in (10.0, 100.0, 1_000.0, 10_000.0):
        if size < limit:
            break
        decimals -= 1
    return number(value, max(decimals, 0))


def tiny(value: float) -> str:
    """A number below one with three significant digits: 0.0035, 4.66×10⁻¹⁰."""  # noqa: RUF002
    if abs(value) >= 0.0001:
        return spoken().number(f"{value:.3g}")
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{spoken().number(mantissa)}×10{raised(int(exponent))}"  # noqa: RUF001


@plainly
def ratio(value: float) -> str:
    """How many times something is: 1, 15.2, 0.0035, 4.66×10⁻¹⁰."""  # noqa: RUF002
    return tiny(value) if 0 < abs(value) < 1 else trimmed(significant(value))


def raised(exponent: int) -> str:
    """An exponent as it stands behind a power of ten: ⁻¹⁰."""
    return str(exponent).translate(_RAISED)


@measured
def scaled(value: float, unit: str, *, digits: int = 3, highest: str = "E", lowest: str = "") -> Quantity:
    """A value with the prefix of thousands that suits it, between `lowest` and `highest`."""
    power = _SI.index(lowest)
    top = _SI.index(highest)
    size = abs(value) / 1000.0**power
    while size >= 1000 and power < top:
        size /= 1000
        power += 1
    short = value / 1000.0**power
    if power == 0 and short == int(short):
        text = number(short)
    elif 0 < abs(short) < 1:
        text = tiny(short)
    else:
        text = significant(short, digits)
    return Quantity(text, f"{_SI[power]}{unit}")


@measured
def hashrate(value: float) -> Quantity:
    """H/s up to EH/s."""
    return scaled(value, "H/s")


@measured
def difficulty(value: float) -> Quantity:
    """A pure number, with K, M, G or T for its thousands; small ones (regtest) keep their digits."""
    plain = scaled(value, "", digits=5 if value >= 1e6 else 3, highest="T")
    return Quantity(plain.number, plain.unit.upper())


@measured
def vsize(value: float) -> Quantity:
    """Virtual bytes: vB, kvB, MvB."""
    return scaled(value, "vB", highest="M")


@measured
def vsize_rate(value: float) -> Quantity:
    """Virtual bytes a second, whole below a thousand."""
    return Quantity(number(value), "vB/s") if value < 1000 else scaled(value, "vB/s", highest="M")


@measured
def size(value: float) -> Quantity:
    """Bytes: B, kB, MB, GB (thousands, as Bitcoin Core counts its limits)."""
    return scaled(value, "B", highest="G")


@measured
def btc(satoshi: int, digits: int = 8) -> Quantity:
    """BTC with at most `digits` decimals, trailing zeros left out: 3.125, 20,044,409.38."""
    return Quantity(trimmed(number(satoshi / COIN, digits)), "BTC")


@measured
def satoshis(satoshi: int) -> Quantity:
    """BTC with all eight decimals, so that amounts of a column stand digit below digit: 3.12500000."""
    return Quantity(number(satoshi / COIN, 8), "BTC")


@measured
def amount(satoshi: int) -> Quantity:
    """Satoshi below 0.01 BTC, else BTC with the decimals that its size deserves."""
    size = abs(satoshi)
    if size < COIN // 100:
        return Quantity(spoken().number(f"{satoshi:,}"), "sat")
    digits = 4 if size < 10 * COIN else 3 if size < 1000 * COIN else 2
    return Quantity(number(satoshi / COIN, digits), "BTC")


@measured
def feerate(value: float) -> Quantity:
    """sat/vB: two decimals below ten, one below a hundred, three digits below 0.1; trailing zeros left out."""
    if 0 < value < 0.1:
        return Quantity(tiny(value), "sat/vB")
    return Quantity(trimmed(number(value, 2 if value < 10 else 1 if value < 100 else 0)), "sat/vB")


@measured
def percent(value: float, digits: int = 1) -> Quantity:
    """A share: 43.1 %."""
    return Quantity(spoken().number(f"{value:.{digits}f}"), "%")


@plainly
def plain(value: float, digits: int = 1) -> str:
    """A number with so many decimals, where its unit is in the words around it: 4.2."""
    return spoken().number(f"{value:.{digits}f}")


@marked
def change(value: float, digits: int = 2) -> Markup:
    """A change in percent with sign and arrow, so that colour is not the only sign of its direction."""
    rounded = round(value, digits)
    kind, arrow = ("up", "▲") if rounded > 0 else ("down", "▼") if rounded < 0 else ("flat", "")
    sign = "+" if rounded > 0 else "−" if rounded < 0 else "±"  # noqa: RUF001 - the minus sign of print
    mark = f'<span aria-hidden="true">{arrow}</span> ' if arrow else ""
    number = f'<span class="n">{sign}{plain(abs(rounded), digits)}</span>&nbsp;<span class="u">%</span>'
    return Markup(f'<span class="change {kind}">{mark}{number}</span>')  # noqa: S704 - words of ours and digits


def short(value: str, keep: int = 8) -> str:
    """A hash or txid, shortened in the middle."""
    return value if len(value) <= 2 * keep + 1 else f"{value[:keep]}…{value[-keep:]}"


@plainly
def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    return _ORDINALS.get(spoken().ordinal(number), _ORDINALS["other"])(number)


_ORDINALS: Final[Mapping[str, Callable[[int], str]]] = {
    "one": lambda n: pgettext("1st, 21st", "%(number)sst") % {"number": n},
    "two": lambda n: pgettext("2nd, 22nd", "%(number)snd") % {"number": n},
    "few": lambda n: pgettext("3rd, 23rd", "%(number)srd") % {"number": n},
    "other": lambda n: pgettext("4th, 11th", "%(number)sth") % {"number": n},
}
"""By CLDR's names of the forms."""


@plainly
def detail(value: str | float | None) -> str:
    """A heartbeat's detail: whole numbers with their thousands marked, "none" for nothing."""
    if value is None:
        return gettext("none")
    if isinstance(value, str):
        return value
    return spoken().number(f"{value:,}") if isinstance(value, int) else significant(value)


def label(name: str) -> str:
    """A machine's name as a label: `headers_behind` becomes "Headers behind"."""
    return gettext(named(name))


def named(name: str) -> str:
    """The message that stands for a machine's name."""
    words = name.replace("_", " ").replace(".", " ").strip()
    return words[:1].upper() + words[1:]


def country(code: str) -> str:
    """What a country is called: Germany, of DE."""
    return spoken().country(code)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        whole, blocks, transactions, txs, hashrate, difficulty, vsize, vsize_rate, size, btc, satoshis, amount, feerate,
        percent, plain, change, short, ordinal, detail, label, money, price, ratio, country,
    )
}  # fmt: skip
"""Filters of the templates, by their name."""

"""How values look: the one place where a number becomes words, with its unit.

A figure is a `Quantity`: on a page its number and unit are marked up apart, as text they read "138.96 T".
Nothing here rounds a value that the JSON API serves; it only says how a person reads it. Every function is total: a
number that no clock, count or amount can be becomes words (web.quantity), never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from jinja2 import pass_context
from markupsafe import Markup

from shared.networks import COIN
from web.words.quantity import Quantity, marked, measured, plainly

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
YEAR: Final = 31_556_952  # of the Gregorian calendar, 365.2425 days

_SI: Final = ("", "k", "M", "G", "T", "P", "E")
_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@measured
def whole(value: float) -> Quantity:
    """A count: 953,568."""
    return Quantity(f"{value:,.0f}", "")


@measured
def counted(value: float, noun: str, plural: str = "") -> Quantity:
    """A count of something: 1 block, 2,016 blocks."""
    return Quantity(f"{value:,.0f}", noun if value == 1 else plural or f"{noun}s")


def significant(value: float, digits: int = 3) -> str:
    """At least `digits` significant digits, never fewer than the whole number has: 1.02, 13.1, 1,021."""
    size = abs(value)
    decimals = digits - 1
    for limit in (10.0, 100.0, 1_000.0, 10_000.0):
        if size < limit:
            break
        decimals -= 1
    return f"{value:,.{max(decimals, 0)}f}"


def tiny(value: float) -> str:
    """A number below one with three significant digits: 0.0035, 4.66×10⁻¹⁰."""  # noqa: RUF002
    if abs(value) >= 0.0001:
        return f"{value:.3g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}×10{raised(int(exponent))}"  # noqa: RUF001


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
    number = value / 1000.0**power
    if power == 0 and number == int(number):
        text = f"{number:,.0f}"
    elif 0 < abs(number) < 1:
        text = tiny(number)
    else:
        text = significant(number, digits)
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
    return Quantity(f"{value:,.0f}", "vB/s") if value < 1000 else scaled(value, "vB/s", highest="M")


@measured
def size(value: float) -> Quantity:
    """Bytes: B, kB, MB, GB (thousands, as Bitcoin Core counts its limits)."""
    return scaled(value, "B", highest="G")


@measured
def btc(satoshi: int, digits: int = 8) -> Quantity:
    """BTC with at most `digits` decimals, trailing zeros left out: 3.125, 20,044,409.38."""
    text = f"{satoshi / COIN:,.{digits}f}"
    return Quantity(text.rstrip("0").rstrip(".") if "." in text else text, "BTC")


@measured
def amount(satoshi: int) -> Quantity:
    """Satoshi below 0.01 BTC, else BTC with the decimals that its size deserves."""
    size = abs(satoshi)
    if size < COIN // 100:
        return Quantity(f"{satoshi:,}", "sat")
    digits = 4 if size < 10 * COIN else 3 if size < 1000 * COIN else 2
    return Quantity(f"{satoshi / COIN:,.{digits}f}", "BTC")


@measured
def feerate(value: float) -> Quantity:
    """sat/vB: two decimals below ten, one below a hundred, three digits below 0.1; trailing zeros left out."""
    if 0 < value < 0.1:
        return Quantity(tiny(value), "sat/vB")
    text = f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return Quantity(text, "sat/vB")


@measured
def percent(value: float, digits: int = 1) -> Quantity:
    """A share: 43.1 %."""
    return Quantity(f"{value:.{digits}f}", "%")


@marked
def change(value: float, digits: int = 2) -> Markup:
    """A change in percent with sign and arrow, so that colour is not the only sign of its direction."""
    rounded = round(value, digits)
    kind, arrow = ("up", "▲") if rounded > 0 else ("down", "▼") if rounded < 0 else ("flat", "")
    sign = "+" if rounded > 0 else "−" if rounded < 0 else "±"  # noqa: RUF001 - the minus sign of print
    mark = f'<span aria-hidden="true">{arrow}</span> ' if arrow else ""
    number = f'<span class="n">{sign}{abs(rounded):.{digits}f}</span>&nbsp;<span class="u">%</span>'
    return Markup(f'<span class="change {kind}">{mark}{number}</span>')  # noqa: S704 - words of ours and digits


@plainly
def duration(seconds: float, parts: int = 2) -> str:
    """A span of time in its largest units: "3 y 45 d", "2 h 5 min", "40 s"."""
    rest = max(0, int(seconds))
    words: list[str] = []
    for length, name in ((YEAR, "y"), (DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")):
        count, rest = divmod(rest, length)
        if count or words:
            words.append(f"{count} {name}")
        if len(words) == parts:
            break
    while len(words) > 1 and words[-1].startswith("0 "):
        words.pop()
    return " ".join(words) or "0 s"


@plainly
def age(seconds: float) -> str:
    """How long ago ("just now", "40 s ago", "1 h 5 min ago"). The script on the page ticks it on by the same rule."""
    if seconds < 1:
        return "just now"
    return f"{duration(seconds, 1 if seconds < HOUR else 2)} ago"


@plainly
def long_duration(seconds: float) -> str:
    """A long span in years, days and hours: "17 years 323 days 4 h". The script on the page has the same rule."""
    years, rest = divmod(max(0, int(seconds)), YEAR)
    days, rest = divmod(rest, DAY)
    return f"{years} year{'' if years == 1 else 's'} {days} day{'' if days == 1 else 's'} {rest // HOUR} h"


@plainly
def milliseconds(value: float) -> str:
    """A span given in milliseconds: "9 min 32 s"."""
    return duration(value / 1000)


@plainly
def utc(seconds: float) -> str:
    """The exact time, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _time_tag(seconds: float, text: str, ticks: Literal["", "ago", "since", "until"] = "") -> Markup:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")[:19]
    attribute = f" data-{ticks}" if ticks else ""
    tag = f'<time datetime="{moment.replace(" ", "T")}Z" title="{moment} UTC"{attribute}>{text}</time>'
    return Markup(tag)  # noqa: S704 - words of ours and digits


@marked
def ago(seconds: float, now: float) -> Markup:
    """A moment in the past as its age, which the browser ticks on."""
    return _time_tag(seconds, age(now - seconds), "ago")


@marked
def since(seconds: float, now: float) -> Markup:
    """The time since a moment in years, days and hours, which the browser ticks on."""
    return _time_tag(seconds, long_duration(now - seconds), "since")


@marked
def clock(seconds: float, now: float) -> Markup:
    """The time of the day, with the date where that is another."""
    moment = datetime.fromtimestamp(seconds, UTC)
    today = moment.date() == datetime.fromtimestamp(now, UTC).date()
    return _time_tag(seconds, moment.strftime("%H:%M:%S UTC" if today else "%-d %B, %H:%M UTC"))


@marked
def day(seconds: float) -> Markup:
    """A date, with the exact time in its title."""
    return _time_tag(seconds, datetime.fromtimestamp(seconds, UTC).strftime("%-d %B %Y"))


@marked
def moment(seconds: float) -> Markup:
    """A moment in UTC, to the minute, for columns and captions that name the zone: 3 Jun 2026, 14:20."""
    return _time_tag(seconds, datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y, %H:%M"))


@marked
def month(seconds: float) -> Markup:
    """Month and year: as exact as a far estimate deserves."""
    return _time_tag(seconds, datetime.fromtimestamp(seconds, UTC).strftime("%B %Y"))


@marked
def until(seconds: float, now: float) -> Markup:
    """A moment to come as the time left, or "due"."""
    left = seconds - now
    return _time_tag(seconds, f"in {duration(left)}" if left > 0 else "due now", "until")


def short(value: str, keep: int = 8) -> str:
    """A hash or txid, shortened in the middle."""
    return value if len(value) <= 2 * keep + 1 else f"{value[:keep]}…{value[-keep:]}"


@plainly
def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


@plainly
def detail(value: str | float | None) -> str:
    """A heartbeat's detail: whole numbers with their thousands marked, "none" for nothing."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else significant(value)


def label(name: str) -> str:
    """A machine's name as a label: `headers_behind` becomes "Headers behind"."""
    words = name.replace("_", " ").replace(".", " ").strip()
    return words[:1].upper() + words[1:]


def _by_the_page(function: Callable[[float, float], Markup]) -> Callable[[Mapping[str, Any], float], Markup]:
    """Counted by the one clock that a page names (`now`, Redis'), by which its script goes on."""

    @pass_context
    def counted_now(context: Mapping[str, Any], seconds: float) -> Markup:
        return function(seconds, context["now"])

    return counted_now


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    **{
        function.__name__: function
        for function in (
            whole, counted, hashrate, difficulty, vsize, vsize_rate, size, btc, amount, feerate, percent, change,
            duration, milliseconds, utc, day, moment, month, short, ordinal, detail, label,
        )
    },
    **{function.__name__: _by_the_page(function) for function in (ago, since, clock, until)},
}  # fmt: skip
"""Filters of the templates, by their name."""

"""How spans of time and moments look: ages that the page's script counts on, dates as the language writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from jinja2 import pass_context
from markupsafe import Markup

from web.words.language import spoken
from web.words.quantity import marked, plainly
from web.words.sentence import count, gettext, pgettext, pnote

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
YEAR: Final = 31_556_952  # of the Gregorian calendar, 365.2425 days

_UNITS: Final = (
    (YEAR, pnote("unit of time", "y")),
    (DAY, pnote("unit of time", "d")),
    (HOUR, pnote("unit of time", "h")),
    (MINUTE, pnote("unit of time", "min")),
    (1, pnote("unit of time", "s")),
)


@plainly
def duration(seconds: float, parts: int = 2) -> str:
    """A span of time in its largest units: "3 y 45 d", "2 h 5 min", "40 s"."""
    rest = max(0, int(seconds))
    found: list[tuple[int, str]] = []
    for length, unit in _UNITS:
        units, rest = divmod(rest, length)
        if units or found:
            found.append((units, unit))
        if len(found) == parts:
            break
    while len(found) > 1 and not found[-1][0]:
        found.pop()
    return " ".join(f"{units} {pgettext('unit of time', unit)}" for units, unit in found or [(0, "s")])


@plainly
def age(seconds: float) -> str:
    """How long ago ("just now", "40 s ago", "1 h 5 min ago"). The script on the page ticks it on by the same rule."""
    if seconds < 1:
        return gettext("just now")
    return gettext("%(duration)s ago") % {"duration": duration(seconds, 1 if seconds < HOUR else 2)}


@plainly
def long_duration(seconds: float) -> str:
    """A long span in years, days and hours: "17 years 323 days 4 h". The script on the page has the same rule."""
    years, rest = divmod(max(0, int(seconds)), YEAR)
    days, rest = divmod(rest, DAY)
    told = (count("%(number)s year", "%(number)s years", years), count("%(number)s day", "%(number)s days", days))
    return " ".join([*map(str, told), f"{rest // HOUR} {pgettext('unit of time', 'h')}"])


@plainly
def milliseconds(value: float) -> str:
    """A span given in milliseconds: "9 min 32 s"."""
    return duration(value / 1000)


@plainly
def utc(seconds: float) -> str:
    """The exact time, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@plainly
def date(seconds: float) -> str:
    """A date as plain words: 3 June 2026."""
    return spoken().date("day", datetime.fromtimestamp(seconds, UTC))


@plainly
def minute(seconds: float) -> str:
    """A moment in plain words: 3 June 2026, 14:20 UTC."""
    return f"{date(seconds)}, {datetime.fromtimestamp(seconds, UTC):%H:%M} UTC"


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
    if today:
        return _time_tag(seconds, f"{moment:%H:%M:%S} UTC")
    return _time_tag(seconds, f"{spoken().date('date', moment)}, {moment:%H:%M} UTC")


@marked
def day(seconds: float) -> Markup:
    """A date, with the exact time in its title."""
    return _time_tag(seconds, date(seconds))


@marked
def moment(seconds: float) -> Markup:
    """A moment in UTC, to the minute, for columns and captions that name the zone: 3 Jun 2026, 14:20."""
    when = datetime.fromtimestamp(seconds, UTC)
    return _time_tag(seconds, f"{spoken().date('short_day', when)}, {when:%H:%M}")


@marked
def month(seconds: float) -> Markup:
    """Month and year: as exact as a far estimate deserves."""
    return _time_tag(seconds, spoken().date("month", datetime.fromtimestamp(seconds, UTC)))


@marked
def until(seconds: float, now: float) -> Markup:
    """A moment to come as the time left, or "due"."""
    left = seconds - now
    text = gettext("in %(duration)s") % {"duration": duration(left)} if left > 0 else gettext("due now")
    return _time_tag(seconds, text, "until")


def _by_the_page(function: Callable[[float, float], Markup]) -> Callable[[Mapping[str, Any], float], Markup]:
    """Counted by the one clock that a page names (`now`, Redis'), by which its script goes on."""

    @pass_context
    def counted_now(context: Mapping[str, Any], seconds: float) -> Markup:
        return function(seconds, context["now"])

    return counted_now


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    **{made.__name__: made for made in (duration, milliseconds, utc, day, moment, month)},
    **{made.__name__: _by_the_page(made) for made in (ago, since, clock, until)},
}
"""Filters of the templates, by their name."""

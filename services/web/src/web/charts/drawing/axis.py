"""Which moments and values an axis names, and where they lie. The script on the page follows the same rules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from web.charts.drawing import units
from web.words.language import spoken

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_LENGTHS: Final = (
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 3, 7, 14)),
)
"""Seconds from one tick to the next, shorter than a month."""

_MONTHS: Final = (1, 3, 6, 12, 24, 60, 120)
"""Months from one tick to the next."""

_MONTH: Final = 30.436875 * _DAY
_MONDAY: Final = 4 * _DAY  # 5 January 1970, the first Monday of Unix time

STEPS: Final = 5
"""Distances between the ticks of a value axis, more or less."""

_LEVEL: Final = 0.3
"""A lowest value below this share of the highest begins the axis at zero: the picture is then not misleading."""


class Tick(NamedTuple):
    """A mark on an axis: where (0 to 1), its label, and what the label leaves out where that changes."""

    at: float
    label: str
    context: str = ""


# --- time ------------------------------------------------------------------------------------------------


def time_ticks(start: int, end: int, most: int) -> list[Tick]:
    """Round moments in UTC, some `most` of them: hours with their day, days with their year, months, years."""
    length = max(1, end - start)
    step = next((step for step in _LENGTHS if length / step <= most), 0)
    moments: Iterable[datetime]
    if step:
        offset = _MONDAY if step % (7 * _DAY) == 0 else 0
        first = -(-(start - offset) // step) * step + offset
        moments = (datetime.fromtimestamp(moment, UTC) for moment in range(first, end + 1, step))
        forms = ("clock", "short_day") if step < _DAY else ("short_date", "year")
    else:
        months = next((months for months in _MONTHS if length / (months * _MONTH) <= most), _MONTHS[-1])
        moments = _months(start, end, months)
        forms = ("short_month", "year") if months < 12 else ("year", "")
    named = [(moment.timestamp(), _named(moment, forms[0]), _named(moment, forms[1])) for moment in moments]
    ticks = []
    for index, (moment, label, context) in enumerate(named):
        follows = named[index + 1][2] if index + 1 < len(named) else context
        # The first one tells its day or year as well, unless the next one does so right beside it.
        news = context != named[index - 1][2] if index else follows == context
        ticks.append(Tick((moment - start) / length, label, context if news else ""))
    return ticks


def _named(moment: datetime, form: str) -> str:
    if form == "clock":
        return f"{moment:%H:%M}"
    return spoken().date(form, moment) if form else ""


def _months(start: int, end: int, step: int) -> Iterator[datetime]:
    """The first moments of every `step`-th month, counted from the year 0."""
    begin = datetime.fromtimestamp(start, UTC)
    month = (begin.year * 12 + begin.month - 1) // step * step
    while (moment := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)).timestamp() <= end:
        if moment.timestamp() >= start:
            yield moment
        month += step


# --- values ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """A value axis: its ends, its ticks, and the unit that stands above it."""

    low: float
    high: float
    log: bool
    unit: str
    ticks: list[Tick]

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the bottom, 1 at the top."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def _scaled(values: Sequence[float], labels: Sequence[str], ends: tuple[float, float], log: bool, unit: str) -> Scale:
    found = Scale(*ends, log, unit, [])
    found.ticks.extend(Tick(found.place(value), label) for value, label in zip(values, labels, strict=True))
    return found


def scale(low: float, high: float, unit: str, *, log: bool = False, from_zero: bool = False) -> Scale:
    """A scale that holds `low` to `high` and ends at round values. A logarithmic one needs `low` above zero."""
    if log:
        return _log_scale(low, high, unit)
    if from_zero or 0 <= low <= _LEVEL * high:
        low = min(low, 0.0)
    if from_zero:
        high = max(high, 0.0)
    if low == high:
        room = abs(low) / 10 or 1.0
        low, high = low - room if low else 0.0, high + room
    step = _round((high - low) / STEPS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    values = [index * step for index in range(first, last + 1)]
    by = units.divisor(max(abs(values[0]), abs(values[-1])), unit)
    return _scaled(values, units.even(values, by.by), (values[0], values[-1]), False, by.unit)


def _round(step: float) -> float:
    """The next step above that is 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(step))
    return power * next(factor for factor in (1, 2, 5, 10) if step <= factor * power * (1 + 1e-9))


def _log_scale(low: float, high: float, unit: str) -> Scale:
    if high < 10 * low:
        return _short_log_scale(low, high, unit)
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    ladder = [factor * 10.0**power for power in range(first - 1, last + 2) for factor in (1, 2, 5)]
    bottom = max(value for value in ladder if value <= low * (1 + 1e-9))
    top = min(value for value in ladder if value >= high * (1 - 1e-9) and value > bottom)
    if top / bottom <= 100:
        values = [value for value in ladder if bottom <= value <= top]
    else:
        stride = -(-(last - first) // 6)
        powers = range(-(-first // stride) * stride, last + 1, stride)
        values = [10.0**power for power in powers if bottom <= 10.0**power <= top]
    labels = [units.compact(value, unit) for value in values]
    return _scaled(values, labels, (bottom, top), True, unit)


def _short_log_scale(low: float, high: float, unit: str) -> Scale:
    """Within one power of ten even steps tell more."""
    if low == high:
        low, high = low * 0.9, high * 1.1
    step = _round((high - low) / STEPS)
    bottom = math.floor(low / step * 10 + 1e-9) * step / 10
    values = [index * step for index in range(math.ceil(bottom / step - 1e-9), math.ceil(high / step - 1e-9) + 1)]
    by = units.divisor(values[-1], unit)
    return _scaled(values, units.even(values, by.by), (bottom, values[-1]), True, by.unit)

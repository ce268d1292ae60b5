"""What a bitcoin costs, and has cost since it was first traded."""

from __future__ import annotations

from collections import Counter
from typing import Final

from shared.domains import MARKET
from shared.prices import BEGINNING
from shared.series import DAY, HOUR, MINUTE
from web.charts.chart import Chart, Column, Figure, Line, Table
from web.charts.data.prices import Priced, priced
from web.charts.data.reduction import reduced
from web.charts.metric import Material, Metric
from web.charts.span import Span
from web.http.answers import Unavailable
from web.state import conditions
from web.words import formats
from web.words.sentence import joined, say, shown

_MINUTES_KEPT: Final = 2 * DAY
_HOURS_KEPT: Final = 90 * DAY

_EACH: Final = {MINUTE: say("each minute"), HOUR: say("each hour"), DAY: say("each day")}

NAMES: Final = {
    "market": say("the median of the exchanges, as it was published here"),
    "cross": say("the price in US dollars through the ECB's rates"),
    "sample": say("made up, for the demonstration"),
}
"""Whose prices these are, where it is no company's."""


async def chart(material: Material) -> Chart:
    """Read and drawn."""
    span, currency = material.span, material.currency
    step = _step(span, material.now)
    first = -(-span.start // step) * step  # the first whole span
    found = await priced(material.reader, currency, step, first, span.end)
    if not found and not material.snapshot.has(MARKET.name):
        absence = conditions.absence(material.snapshot, material.now, MARKET)
        raise Unavailable(joined(absence.why, absence.then))
    return drawn(found, material.metric, span, currency, step)


METRIC: Final = Metric(
    "price",
    say("Price"),
    say("What one bitcoin costs: the median of exchanges, and before that what others have kept."),
    chart,
    place=5,
    default="1y",
    of=(MARKET.name,),
    in_currency=True,
    begins=BEGINNING,
)


def _step(span: Span, now: int) -> int:
    if span.seconds <= DAY + HOUR and span.start >= now - _MINUTES_KEPT:
        return MINUTE
    return HOUR if span.seconds <= 62 * DAY and span.start >= now - _HOURS_KEPT else DAY


def drawn(found: list[Priced], metric: str, span: Span, currency: str, step: int) -> Chart:
    """The chart of these prices: closes, and the range of each span where it is known."""
    times, columns = _columns(found, step, span.end)
    names = (("price", say("Price")), ("high", say("Highest")), ("low", say("Lowest")))
    lines = [
        Line(name, label, currency, points, colour=0, quiet=name != "price")
        for (name, label), points in zip(names, reduced(times, columns), strict=True)
        if any(value is not None for _, value in points)
    ]
    figure = Figure(
        "price",
        say("Price of one bitcoin in %(currency)s", currency=currency),
        lines,
        _EACH[step],
        fills=[("high", "low")],
        log=True,
        note=_change(found, currency),
        empty="" if found else say("No price is known of this time. They are fetched as far back as 2010."),
        domain="market",
    )
    sources = Counter(one.source for one in found)
    notice = say("These prices are made up, for the demonstration.") if "sample" in sources else ""
    table = Table(
        say("Whose prices these are"),
        [Column(say("Source"), "text"), Column(say("Points"), "count"), Column(say("First"), "time")],
        [(NAMES.get(name, name), many, _first(found, name)) for name, many in sources.most_common()],
        "" if found else say("There is no point in this time."),
    )
    source = say("Exchanges, mempool.space, blockchain.info and the European Central Bank")
    as_of = found[-1].time + step if found else None
    if as_of is not None:
        as_of = min(as_of, span.end)
    return Chart(
        metric, span.range, span.start, span.end, currency, [figure], [table] if found else [], source, as_of, notice
    )


def _columns(found: list[Priced], step: int, end: int) -> tuple[list[int], list[list[float | None]]]:
    """Times and the three lines, with a gap where spans are missing."""
    times: list[int] = []
    columns: list[list[float | None]] = [[], [], []]
    for one in found:
        if times and one.time - times[-1] > 3 * step:
            times.append(times[-1] + step)
            for column in columns:
                column.append(None)
        times.append(min(one.time + step, end) if one is found[-1] else one.time)  # the last one is of now
        for column, value in zip(columns, (one.close, one.high, one.low), strict=True):
            column.append(value)
    return times, columns


def _change(found: list[Priced], currency: str) -> str:
    if len(found) < 2:
        return ""
    first, last = found[0].open or found[0].close, found[-1].close
    percent = (last / first - 1) * 100
    sign = "+" if percent > 0 else ""
    return say(
        "From %(first)s to %(last)s over this time: %(change)s.",
        first=shown(formats.price, first, currency),
        last=shown(formats.price, last, currency),
        change=shown(lambda: f"{sign}{formats.number(percent, 2)} %"),
    )


def _first(found: list[Priced], source: str) -> int:
    return next(one.time for one in found if one.source == source)

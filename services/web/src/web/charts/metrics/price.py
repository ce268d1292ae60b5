"""What a bitcoin costs, and has cost since it was first traded."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter
from typing import Final

from shared.domains import MARKET
from shared.prices import BEGINNING
from shared.series import DAY, HOUR, MINUTE, WEEK
from web.charts.chart import Candles, Chart, Column, Figure, Line, Table
from web.charts.data import candles
from web.charts.data.candles import Grid
from web.charts.data.prices import Priced, priced
from web.charts.data.reduction import kept
from web.charts.metric import Material, Metric
from web.charts.span import Span
from web.http.answers import Unavailable
from web.state import conditions
from web.words import formats
from web.words.sentence import joined, say, shown

_MINUTES_KEPT: Final = 2 * DAY
_HOURS_KEPT: Final = 90 * DAY

_SOURCE: Final = attrgetter("source")

_EACH: Final = {
    MINUTE: say("each minute"),
    **{MINUTE * n: say("every %(count)s minutes", count=n) for n in (2, 5, 10, 15, 30)},
    HOUR: say("each hour"),
    **{HOUR * n: say("every %(count)s hours", count=n) for n in (2, 4, 6, 12)},
    DAY: say("each day"),
    WEEK: say("each week"),
    **{WEEK * n: say("every %(count)s weeks", count=n) for n in (2, 4, 8, 16, 32)},
}

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
    grid = candles.grid(span, step) if material.style == "candles" else Grid(step, step)
    found = await priced(material.reader, currency, step, grid.after(span.start), span.end)
    if not found and not material.snapshot.has(MARKET.name):
        absence = conditions.absence(material.snapshot, material.now, MARKET)
        raise Unavailable(joined(absence.why, absence.then))
    if material.style == "candles":
        return _in_candles(found, material.metric, span, currency, step, grid)
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
    styles=("line", "candles"),
)


def _step(span: Span, now: int) -> int:
    if span.seconds <= DAY + HOUR and span.start >= now - _MINUTES_KEPT:
        return MINUTE
    return HOUR if span.seconds <= 62 * DAY and span.start >= now - _HOURS_KEPT else DAY


def drawn(found: list[Priced], metric: str, span: Span, currency: str, step: int) -> Chart:
    """The chart of these prices: closes, and the range of each span where it is known."""
    times, columns = _columns(found, step, span.end)
    places = kept(columns[:3])  # an open is another's close, more or less
    names = (("price", say("Price")), ("high", say("Highest")), ("low", say("Lowest")), ("open", say("Open")))
    lines = [
        Line(
            name, label, currency, [(times[place], column[place]) for place in places],
            quiet=name != "price", told=name != "open",
        )
        for (name, label), column in zip(names, columns, strict=True)
        if any(column[place] is not None for place in places)
    ]  # fmt: skip
    figure = replace(_figure(found, currency, _EACH[step]), lines=lines, fills=[("high", "low")])
    return _chart(found, metric, span, currency, figure, _until(found, step, span))


def _in_candles(found: list[Priced], metric: str, span: Span, currency: str, step: int, grid: Grid) -> Chart:
    """The same as candles; the axis ends where the newest will, so that it is as wide as the others."""
    rows = candles.together(found, step, grid.seconds, grid.origin)
    names = (("open", say("Open")), ("high", say("Highest")), ("low", say("Lowest")), ("close", say("Close")))
    lines = [Line(name, label, currency, [(row.time, getattr(row, name)) for row in rows]) for name, label in names]
    how = Candles(grid.seconds, grid.narrow, grid.origin, _EACH[grid.narrow])
    figure = replace(_figure(found, currency, _EACH[grid.seconds]), lines=lines, candles=how)
    end = max(span.end, grid.after(rows[-1].time + grid.seconds)) if rows else span.end
    return _chart(found, metric, replace(span, end=end), currency, figure, _until(found, step, span))


def _until(found: list[Priced], step: int, span: Span) -> int | None:
    """The moment up to which prices are known."""
    return min(found[-1].time + step, span.end) if found else None


def _figure(found: list[Priced], currency: str, each: str) -> Figure:
    """Without its lines."""
    return Figure(
        "price",
        say("Price of one bitcoin in %(currency)s", currency=currency),
        [],
        each,
        log=True,
        note=_change(found, currency),
        empty="" if found else say("No price is known of this time. They are fetched as far back as 2010."),
        domain="market",
    )


def _chart(found: list[Priced], metric: str, span: Span, currency: str, figure: Figure, as_of: int | None) -> Chart:
    """With what is told of the sources."""
    sources = Counter(map(_SOURCE, found))
    notice = say("These prices are made up, for the demonstration.") if "sample" in sources else ""
    table = Table(
        say("Whose prices these are"),
        [Column(say("Source"), "text"), Column(say("Points"), "count"), Column(say("First"), "time")],
        [(NAMES.get(name, name), many, _first(found, name)) for name, many in sources.most_common()],
        "" if found else say("There is no point in this time."),
    )
    source = say("Exchanges, mempool.space, blockchain.info and the European Central Bank")
    return Chart(
        metric, span.range, span.start, span.end, currency, [figure], [table] if found else [], source, as_of, notice
    )


def _columns(found: list[Priced], step: int, end: int) -> tuple[list[int], list[list[float | None]]]:
    """Times and close, high, low and open, with a gap where spans are missing."""
    if not found:
        return [], [[], [], [], []]
    moments, opened, high, low, close, _ = zip(*found, strict=True)
    times, columns = list(moments), [list(close), list(high), list(low), list(opened)]
    gaps = [at for at, (one, following) in enumerate(pairwise(times), 1) if following - one > 3 * step]
    for at in reversed(gaps):  # so that those before keep their places
        times.insert(at, times[at - 1] + step)
        for column in columns:
            column.insert(at, None)
    times[-1] = min(times[-1] + step, end)  # the last one is of now
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

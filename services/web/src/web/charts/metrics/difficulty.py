"""The difficulty: a level from each adjustment to the next, and a table of the adjustments."""

from __future__ import annotations

from typing import Final

from shared.networks import RETARGET_INTERVAL, Network
from shared.records import Header
from shared.views import HistoryView
from web.charts.chart import Chart, Column, Figure, Line, Table
from web.charts.data.levels import SOURCE, Levels
from web.charts.data.measured import header_notice
from web.charts.data.reduction import reduced
from web.charts.metric import Material, Metric
from web.charts.span import Span
from web.words.sentence import say

_NEVER: Final = say("This network never adjusts its difficulty.")
_MINIMUM: Final = say(
    "Blocks that come more than 20 minutes after the one before may be of minimum difficulty here; they are left out."
)


async def chart(material: Material) -> Chart:
    """Read and drawn."""
    history = material.needed()
    return drawn(await material.reader.retargets(history), history, material.span, material.reader.network)


METRIC: Final = Metric(
    "difficulty",
    say("Difficulty"),
    say("How hard it is to find a block, set anew every 2,016 blocks so that blocks come ten minutes apart."),
    chart,
    place=10,
    default="all",
)


def drawn(retargets: list[tuple[int, Header]], history: HistoryView, span: Span, network: Network) -> Chart:
    """The chart of these retarget periods."""
    levels = Levels.of(retargets)
    figure = Figure(
        "difficulty",
        say("Difficulty"),
        [Line("difficulty", say("Difficulty"), "", _points(levels, history, span), "step")],
        say("each adjustment"),
        log=True,
        note=_MINIMUM if network.retargets and network.allows_min_difficulty else "" if network.retargets else _NEVER,
        empty="" if retargets else say("No header of an adjustment is known yet; they come with the backfill."),
    )
    return Chart(
        "difficulty", span.range, span.start, span.end, "", [figure],
        [_table(levels, span)] if network.retargets else [],
        SOURCE, history.time, header_notice(history, span.start, levels.times[0] if levels.times else None),
    )  # fmt: skip


def _points(levels: Levels, history: HistoryView, span: Span) -> list[tuple[int, float | None]]:
    """Each adjustment in the span, the level that it begins with, and the one that holds now."""
    inside = [
        (time, value) for time, value in zip(levels.times, levels.values, strict=True) if span.start < time < span.end
    ]
    until = min(span.end, max(history.time, span.start))
    begins, ends = levels.at(span.start), levels.at(until)
    points: list[tuple[int, float]] = [] if begins is None else [(span.start, begins)]
    points += sorted(inside, key=lambda point: point[0])
    if ends is not None and points and points[-1][0] < until:
        points.append((until, ends))
    return reduced([time for time, _ in points], [[value for _, value in points]])[0]


def _table(levels: Levels, span: Span) -> Table:
    rows = []
    for place in range(len(levels.times) - 1, -1, -1):
        if not span.start <= levels.times[place] < span.end:
            continue
        length = levels.length(place)
        rows.append(
            (
                levels.periods[place] * RETARGET_INTERVAL,
                levels.times[place],
                levels.values[place],
                levels.change(place),
                length,
                None if length is None else length / RETARGET_INTERVAL,
            )
        )
    columns = [
        Column(say("Height"), "height"),
        Column(say("Time"), "time"),
        Column(say("Difficulty"), "difficulty"),
        Column(say("Change"), "change"),
        Column(say("Period before"), "duration"),
        Column(say("Its average block time"), "duration"),
    ]
    return Table(say("Adjustments"), columns, list(rows), "" if rows else say("There was no adjustment in this time."))

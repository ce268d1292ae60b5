"""The difficulty: a level from each adjustment to the next, and a table of the adjustments."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from shared.networks import RETARGET_INTERVAL, Network
from shared.pow import change_percent, difficulty
from shared.records import Header
from shared.views import HistoryView
from web.charts.chart import Chart, Column, Figure, Line, Table
from web.charts.data.measured import header_notice
from web.charts.data.reading import SeriesReader
from web.charts.data.reduction import reduced
from web.charts.span import Span

SOURCE: Final = "Your node's block headers"

_NEVER: Final = "This network never adjusts its difficulty."
_MINIMUM: Final = (
    "Blocks that come more than 20 minutes after the one before may be of minimum difficulty here; they are left out."
)


@dataclass(frozen=True, slots=True)
class Levels:
    """The difficulty of each retarget period that is known, oldest first."""

    periods: list[int]
    times: list[int]  # of each period's first block
    values: list[float]

    @classmethod
    def of(cls, retargets: list[tuple[int, Header]]) -> Levels:
        """From the first headers of the periods."""
        return cls(
            [period for period, _ in retargets],
            [header.time for _, header in retargets],
            [difficulty(header.bits) for _, header in retargets],
        )

    def at(self, moment: int) -> float | None:
        """The difficulty at a moment; None before the first that is known."""
        place = bisect_right(self.times, moment) - 1
        return self.values[place] if place >= 0 else None

    def change(self, place: int) -> float | None:
        """Percent against the period before; None where that one is not known."""
        if place == 0 or self.periods[place - 1] != self.periods[place] - 1:
            return None
        return change_percent(self.values[place], self.values[place - 1])

    def length(self, place: int) -> int | None:
        """Seconds that the period before took."""
        if place == 0 or self.periods[place - 1] != self.periods[place] - 1:
            return None
        return self.times[place] - self.times[place - 1]


async def chart(reader: SeriesReader, history: HistoryView, span: Span) -> Chart:
    """Read and drawn."""
    return drawn(await reader.retargets(history), history, span, reader.network)


def drawn(retargets: list[tuple[int, Header]], history: HistoryView, span: Span, network: Network) -> Chart:
    """The chart of these retarget periods."""
    levels = Levels.of(retargets)
    figure = Figure(
        "difficulty",
        "Difficulty",
        [Line("difficulty", "Difficulty", "", _points(levels, history, span), "step")],
        "each adjustment",
        log=True,
        note=_MINIMUM if network.retargets and network.allows_min_difficulty else "" if network.retargets else _NEVER,
        empty="" if retargets else "No header of an adjustment is known yet; they come with the backfill.",
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
        Column("Height", "height"),
        Column("Time", "time"),
        Column("Difficulty", "difficulty"),
        Column("Change", "change"),
        Column("Period before", "duration"),
        Column("Its average block time", "duration"),
    ]
    return Table("Adjustments", columns, list(rows), "" if rows else "There was no adjustment in this time.")

"""The chart of one series that is kept by time: a line for each of the record's fields that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.domains import Domain
from shared.series import DAY, HOUR, MINUTE, Series
from web.charts.chart import Chart, Figure, Line
from web.charts.data.reduction import reduced
from web.charts.metric import Build, Material
from web.words.sentence import say

_EACH: Final = {
    1: say("each second"),
    MINUTE: say("each minute"),
    HOUR: say("each hour"),
    DAY: say("each day"),
}


def plain(
    domain: Domain, series: Series[Any], title: str, lines: Mapping[str, str], *, unit: str = "", source: str
) -> Build:
    """Builds it. `lines`: labels by the names of fields, numbers in `unit`; `source`: whose figures, in words.

    Where a record is missing the lines have a gap, and they end where the series does.
    """

    async def chart(material: Material) -> Chart:
        span, step = material.span, series.step
        found = await material.reader.read(series, span.start // step, span.end // step)
        times, rows = _with_gaps(found, step)
        columns = [[None if row is None else getattr(row, name) for row in rows] for name in lines]
        drawn = [
            Line(name, label, unit, points, colour=colour)
            for colour, ((name, label), points) in enumerate(zip(lines.items(), reduced(times, columns), strict=True))
        ]
        each = _EACH.get(step) or say("every %(seconds)s seconds", seconds=step)
        waiting = say("%(waiting)s; what is recorded from now on appears here.", waiting=say(domain.waiting))
        figure = Figure(
            series.name, title, drawn, each, from_zero=True, domain=domain.slot, empty="" if found else waiting
        )
        as_of = times[-1] if times else None
        return Chart(material.metric, span.range, span.start, span.end, unit, [figure], [], source, as_of)

    return chart


def _with_gaps(found: list[tuple[int, Any]], step: int) -> tuple[list[int], list[Any]]:
    """Times and records; None stands for what is missing between two of them."""
    times: list[int] = []
    rows: list[Any] = []
    for index, record in found:
        if times and index * step - times[-1] > step:
            times.append(times[-1] + step)
            rows.append(None)
        times.append(index * step)
        rows.append(record)
    return times, rows

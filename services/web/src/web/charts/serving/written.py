"""A chart as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Final

import orjson

from web.charts.chart import Chart
from web.http.answers import API_HEADERS, JSON, Answer

CSV: Final = "text/csv; charset=utf-8; header=present"


def as_json(chart: Chart) -> Answer:
    """`/api/v1/charts/{metric}`: every line of every figure. A value of null is a gap."""
    document = {
        "metric": chart.metric,
        "range": chart.range or None,
        "from": chart.start,
        "to": chart.end,
        "unit": chart.unit,
        "series": [
            {
                "name": line.name,
                "label": line.label,
                "figure": figure.name,
                "unit": line.unit,
                "resolution": figure.resolution,
                "points": line.points,
            }
            for figure in chart.figures
            for line in figure.lines
        ],
        "source": chart.source,
        "as_of": chart.as_of,
    }
    if chart.notice:
        document["notice"] = chart.notice
    return Answer(orjson.dumps(document), JSON, headers=API_HEADERS)


def as_csv(chart: Chart, wanted: str) -> Answer:
    """The figure of that name as RFC 4180 has it: a header, then a row a moment, with an empty field for a gap."""
    figure = next(figure for figure in chart.figures if figure.name == wanted)
    text = io.StringIO()
    writer = csv.writer(text)  # its default dialect ends lines with CRLF and quotes where that is needed
    names = [f"{line.name} ({line.unit})" if line.unit else line.name for line in figure.lines]
    writer.writerow(["time", "iso_time", *names])
    rows = zip(*(line.points for line in figure.lines), strict=True)  # lines of a figure share their moments
    writer.writerows([row[0][0], _iso(row[0][0]), *(value for _, value in row)] for row in rows)
    span = chart.range or f"{chart.start}-{chart.end}"
    name = f"{chart.metric}-{figure.name}-{span}.csv" if figure.name != chart.metric else f"{chart.metric}-{span}.csv"
    headers = {**API_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Answer(text.getvalue().encode(), CSV, headers=headers)


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

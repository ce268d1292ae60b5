"""What a chart is, before it becomes a page, JSON or CSV: lines of points, with everything that names them.

Its words are sentences (web.words.sentence): English in JSON, and on a page what its reader speaks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from web.words.sentence import say

MOST_POINTS: Final = 2_000
"""Points of one line at most."""

Style = Literal["line", "step", "bars", "stack"]
"""How a line is drawn: straight from point to point, level until the next point, a bar a point, or on top of the
lines before it in the same figure."""

Kind = Literal[
    "height", "time", "duration", "difficulty", "hashrate", "change", "txid", "btc", "count", "feerate", "text"
]
"""What a cell of a table holds, and so how it is written: Unix seconds for `time`, seconds for `duration`, percent
for `change`, satoshi for `btc`, sat/vB for `feerate`."""

Cell = int | float | str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line: (Unix seconds, value) in rising time. A value of None is a gap."""

    name: str  # as in JSON and CSV, for example `hashrate_7d`
    label: str  # what the legend says: the figure, and what it was averaged over
    unit: str  # H/s, BTC, sat/vB, vB, %, or empty for a pure number
    points: list[tuple[int, float | None]]
    style: Style = "line"
    colour: int = (
        0  # index of the palette in the style sheet: --c0 (orange), --c1 (blue), --c2 (teal), --c3 (violet), …
    )
    quiet: bool = False  # drawn thin, behind the others
    axis: Literal["left", "right"] = "left"
    told: bool = True  # False: in JSON and CSV alone


@dataclass(frozen=True, slots=True)
class Candles:
    """That a figure's lines are candles: its first four are open, high, low and close of each.

    Those without open, high and low are drawn as ticks: only their close is known.
    """

    seconds: int  # of one
    narrow: int  # of one on a narrow screen, which is made of several
    origin: int  # a moment at which both begin, Unix seconds
    narrow_resolution: str  # as Figure's, on a narrow screen


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture: lines that share their time axis."""

    name: str  # unique in its chart, for example `feerates`
    title: str
    lines: list[Line]
    resolution: str  # what one point stands for, in words: "each block", "each day", "10 seconds"
    fills: list[tuple[str, str]] = field(default_factory=list)  # areas between two lines, by name
    log: bool = False  # whether a logarithmic scale helps
    from_zero: bool = False  # whether the scale must begin at zero
    note: str = ""  # what a reader must know to read it right
    empty: str = ""  # why there is nothing to draw, and what happens next; empty where there is something
    domain: str = "chain"  # the slot whose truth it ages by
    candles: Candles | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in the order in which they are shown."""

    title: str
    columns: list[Column]
    rows: list[tuple[Cell, ...]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything about one metric over one span of time."""

    metric: str  # a name in web.charts.metrics.METRICS
    range: str  # a name of its ranges; empty for a span of one's own
    start: int  # Unix seconds that the time axis begins with
    end: int
    unit: str  # of the first figure's first line
    figures: list[Figure]
    tables: list[Table]
    source: str  # where the figures come from, in words
    as_of: int | None  # Unix seconds of the newest point
    notice: str = ""  # what is not complete yet, in words


RANGES: Final = {
    "1h": 3_600,
    "1d": 86_400,
    "1w": 7 * 86_400,
    "1m": 30 * 86_400,
    "1y": 365 * 86_400,
    "5y": 5 * 365 * 86_400 + 86_400,
    "10y": 10 * 365 * 86_400 + 2 * 86_400,
}
"""Seconds of each range; `all` begins with the network's first block, `halving` with the last halving, and `mempool`
is what waits now."""

RANGE_LABELS: Final = {
    "mempool": say("Mempool"),
    "1h": say("1 hour"),
    "1d": say("1 day"),
    "1w": say("1 week"),
    "1m": say("1 month"),
    "1y": say("1 year"),
    "5y": say("5 years"),
    "10y": say("10 years"),
    "halving": say("Since the halving"),
    "all": say("All"),
}

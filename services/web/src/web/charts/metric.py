"""What a metric declares: its page's words, its ranges, whose figures it shows, and how a chart of it is built."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from shared.views import HistoryView
from web.charts.chart import Chart
from web.charts.data.reading import SeriesReader
from web.charts.span import BadStyle, Span
from web.http.answers import Unavailable
from web.state.snapshot import Snapshot
from web.words.currency import counted
from web.words.sentence import say

USUAL: Final = ("1d", "1w", "1m", "1y", "5y", "10y", "all")
"""The ranges of a metric that says nothing else."""

STYLES: Final = {"line": say("Line"), "candles": say("Candles")}
"""What a reader may choose between, where a metric has more than one."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a chart is built of: the series, what is known now, and the span that it shows."""

    metric: str  # its name
    reader: SeriesReader
    snapshot: Snapshot
    span: Span
    now: int  # Unix seconds
    why: str  # why there is no history of the chain, and what happens next; empty where there is one
    style: str = "line"  # one of the metric's

    @property
    def currency(self) -> str:
        """In which amounts of money are told."""
        return counted()

    @property
    def history(self) -> HistoryView | None:
        """How far the chain's series reach; None where there are none."""
        return self.snapshot[HistoryView]

    def needed(self) -> HistoryView:
        """The same, for a metric that has nothing to show without. Raises Unavailable."""
        if self.history is None:
            raise Unavailable(self.why)
        return self.history


Build: TypeAlias = Callable[[Material], Awaitable[Chart]]
"""Reads what the span needs and makes a chart of it. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One chart page: its name in addresses, its title, a sentence about it, its ranges."""

    name: str
    title: str
    about: str
    build: Build
    place: int  # among the others, rising
    ranges: tuple[str, ...] = USUAL
    default: str = "1y"
    tables_first: bool = False  # whether the tables are what people come for
    of: tuple[str, ...] = ("history",)  # the domains whose figures it shows over any range
    in_currency: bool = False  # whether it is another in each currency
    begins: int = 0  # Unix seconds from which on there may be figures; 0: as the chain
    styles: tuple[str, ...] = ("line",)  # names of STYLES, the usual one first

    def style(self, name: str) -> str:
        """The style of that name, the usual one where it is empty. Raises BadStyle."""
        if name and name not in self.styles:
            raise BadStyle(
                say("style=%(name)s is no style of %(metric)s: expected one of %(known)s",
                    name=repr(name[:20]), metric=self.name, known=", ".join(self.styles))
            )  # fmt: skip
        return name or self.styles[0]

    def domains(self, span: str) -> tuple[str, ...]:
        """Whose figures a chart over a span of this name shows; of a span of one's own the name is empty."""
        return (*self.of, "mempool") if span == "mempool" and "mempool" not in self.of else self.of

"""The chart of a plain series: its lines, its gaps, and what it says where there is nothing."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from shared.domains import MEMPOOL
from shared.networks import NETWORKS
from shared.records import flat
from shared.series import MINUTE, Series
from web.charts.chart import Chart
from web.charts.data.plain import plain
from web.charts.data.reading import SeriesReader
from web.charts.metric import Material
from web.charts.span import Span
from web.state.snapshot import Snapshot


class Two(NamedTuple):
    low: int
    high: float


LAYOUT = flat(Two, "Id")
SERIES = Series("two", "mempool", LAYOUT, 100, MINUTE)
START = 1_780_000_020 // MINUTE * MINUTE


class Reader:
    """Gives what a test says."""

    def __init__(self, *records: tuple[int, Two]) -> None:
        self.records = records

    async def read(self, wanted: Series[Any], first: int, last: int) -> list[tuple[int, Two]]:
        assert wanted is SERIES
        return [(index, record) for index, record in self.records if first <= index <= last]


async def drawn(*records: tuple[int, Two]) -> Chart:
    build = plain(MEMPOOL, SERIES, "Both", {"high": "High", "low": "Low"}, unit="vB", source="A test")
    reader = cast("SeriesReader", Reader(*records))
    span = Span("1d", START, START + 600)
    return await build(Material("two", reader, Snapshot(NETWORKS["main"]), span, START + 600, ""))


def test_a_record_is_given_back_and_zeros_are_none() -> None:
    for record in (Two(0, 0.0), Two(2**32 - 1, -1.5)):
        packed = LAYOUT.pack(record)
        assert len(packed) == LAYOUT.width
        assert LAYOUT.unpack(b"x" + packed, 1) == record
    assert LAYOUT.unpack(bytes(LAYOUT.width), 0) is None


async def test_each_field_is_a_line_and_what_is_missing_a_gap() -> None:
    first = START // MINUTE
    chart = await drawn(
        (first, Two(1, 2.5)), (first + 1, Two(0, 0.0)), (first + 5, Two(3, 4.5)), (first - 1, Two(9, 9))
    )
    assert (chart.metric, chart.range, chart.unit, chart.source) == ("two", "1d", "vB", "A test")
    [figure] = chart.figures
    high, low = figure.lines
    minutes = [START, START + 60, START + 120, START + 300]
    assert high.points == list(zip(minutes, [2.5, 0.0, None, 4.5], strict=True))
    assert low.points == list(zip(minutes, [1, 0, None, 3], strict=True))
    assert (high.label, low.label, figure.resolution, figure.domain) == ("High", "Low", "each minute", "mempool")
    assert high.colour != low.colour
    assert chart.as_of == START + 300
    assert not figure.empty


async def test_where_there_is_nothing_it_says_why() -> None:
    chart = await drawn()
    [figure] = chart.figures
    assert figure.empty == "The mempool has not been read yet; what is recorded from now on appears here."
    assert [line.points for line in figure.lines] == [[], []]
    assert chart.as_of is None

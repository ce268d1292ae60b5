"""Charts with figures like those of mainnet, made from nothing but a seed: full, sparse, and empty ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from web.charts.chart import RANGES, Cell, Chart, Column, Figure, Line, Style, Table
from web.charts.metrics import METRICS
from web.charts.span import Span

GENESIS = 1_231_006_505
NOW = 1_780_500_000  # 3 June 2026
RETARGETS = 474

Curve = Callable[[float], float]
Points = list[tuple[int, float | None]]


def sample(metric: str, span: str = "", *, start: int = 0, end: int = NOW) -> Chart:
    """The chart of a metric over a range that ends `NOW`, or over a span of one's own."""
    start = start or (GENESIS if span == "all" else end - RANGES.get(span, 40_000_000))
    figures, tables, unit = _MAKERS[metric](start, end)
    source = "Blocks and mempool of the node main"
    return Chart(metric, span, start, end, unit, figures, tables, source, end - 40)


def every() -> Iterator[tuple[str, str]]:
    """Each metric with each of its ranges."""
    for metric in METRICS.values():
        for span in metric.ranges:
            yield metric.name, span


def empty(metric: str, span: str = "") -> Chart:
    """The same figures without a point."""
    chart = sample(metric, span)
    figures = [
        replace(figure, lines=[replace(line, points=[]) for line in figure.lines], empty="The backfill has not begun.")
        for figure in chart.figures
    ]
    return replace(chart, figures=figures, tables=[replace(table, rows=[]) for table in chart.tables], as_of=None)


def partial(metric: str, span: str = "") -> Chart:
    """The older two thirds are missing, and there is a gap."""
    chart = sample(metric, span)
    since = chart.start + (chart.end - chart.start) * 2 // 3
    hole = range(since + (chart.end - since) // 4, since + (chart.end - since) // 3)

    def kept(line: Line) -> Line:
        found = [(t, None if t in hole else v) for t, v in line.points if t >= since]
        return replace(line, points=found)

    figures = [replace(figure, lines=[kept(line) for line in figure.lines]) for figure in chart.figures]
    notice = "Blocks before 12 August 2020 are still being fetched: 31.4 % done, 2 h 10 min left."
    return replace(chart, figures=figures, notice=notice)


class Shelf:
    """Stands in for the charts of a whole chain: one object for each span, until it is changed."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, str, int], Chart] = {}
        self.change: Any = lambda chart: chart
        self.asked = 0

    async def chart(self, metric: str, span: Span) -> Chart:
        self.asked += 1
        key = (metric, span.range, 0 if span.range else span.start)
        if key not in self.made:
            own = {} if span.range else {"start": span.start, "end": span.end}
            self.made[key] = self.change(sample(metric, span.range, **own))
        return self.made[key]


# --- what they are made of --------------------------------------------------------------------------------


def _work(age: float) -> float:
    """Hashrate of mainnet by its age in years, roughly: 7 MH/s to 900 EH/s."""
    return float(10 ** (6.8 + 14.15 * (1 - math.exp(-age / 5.6)) / (1 - math.exp(-17.4 / 5.6))))


def _age(moment: float) -> float:
    return (moment - GENESIS) / 31_556_952


def _grid(start: int, end: int, most: int = 2_000) -> list[int]:
    """Moments at the resolution that suits the span."""
    for step in (10, 60, 600, 3_600, 86_400, 7 * 86_400, 14 * 86_400):
        if (end - start) / step <= most:
            return list(range(-(-start // step) * step, end, step))
    raise ValueError("too long")


def _noisy(grid: list[int], curve: Curve, noise: float, seed: str) -> Points:
    dice, drift = random.Random(seed), 0.0
    points: Points = []
    for moment in grid:
        drift = 0.9 * drift + dice.gauss(0, noise)
        points.append((moment, curve(moment) * math.exp(drift)))
    return points


def _level(value: float) -> Curve:
    return lambda moment: value


def _surge(factor: float) -> Curve:
    """A week of high demand, two weeks ago."""
    return lambda moment: factor * (8 + 30 * math.exp(-(((moment - NOW + 1_200_000) / 400_000) ** 2)))


def _line(name: str, label: str, unit: str, points: Points, style: Style = "line", colour: int = 0) -> Line:
    return Line(name, label, unit, points, style, colour)


def _epochs() -> list[tuple[int, int, float]]:
    """(height, time, difficulty) of each retarget."""
    found = []
    for number in range(RETARGETS):
        moment = GENESIS + round((NOW - 500_000 - GENESIS) * number / (RETARGETS - 1))
        wobble = 1 + 0.06 * math.sin(number * 1.7) * math.cos(number / 9)
        found.append((number * 2_016, moment, max(1.0, _work(_age(moment)) * 600 / 2**32 * wobble)))
    return found


def _difficulty(start: int, end: int) -> tuple[list[Figure], list[Table], str]:
    epochs = _epochs()
    inside = [(moment, value) for _, moment, value in epochs if start <= moment <= end]
    before = [value for _, moment, value in epochs if moment < start]
    points: Points = [*((start, value) for value in before[-1:]), *inside]
    changes: Points = [
        (moment, (value / last - 1) * 100)
        for (_, _, last), (_, moment, value) in pairwise(epochs)
        if start <= moment <= end
    ]
    rows: list[tuple[Cell, ...]] = [
        (height, moment, value, (value / last - 1) * 100 if last else None, 1_189_000 + height % 40_000)
        for (_, _, last), (height, moment, value) in zip([(0, 0, 0.0), *epochs], epochs, strict=False)
    ]
    columns = [
        Column("Height", "height"),
        Column("Time", "time"),
        Column("Difficulty", "difficulty"),
        Column("Change", "change"),
        Column("Period took", "duration"),
    ]
    figures = [
        Figure(
            "difficulty",
            "Difficulty",
            [_line("difficulty", "Difficulty", "", points, "step")],
            "each retarget",
            log=True,
            note="A difficulty of 1 takes 4,295 million hashes a block on average.",
        ),
        Figure(
            "change",
            "Change at each retarget",
            [_line("change", "Change", "%", changes, "bars", 1)],
            "each retarget",
            from_zero=True,
        ),
    ]
    return figures, [Table("Retargets", columns, list(reversed(rows)))], ""


def _hashrate(start: int, end: int) -> tuple[list[Figure], list[Table], str]:
    grid = _grid(start, end)
    day = _noisy(grid, lambda t: _work(_age(t)), 0.03, "1d")
    week = _noisy(grid, lambda t: _work(_age(t)), 0.004, "7d")
    lines = [
        replace(_line("hashrate_1d", "Over 1 day", "H/s", day, colour=1), quiet=True),
        _line("hashrate_7d", "Over 7 days", "H/s", week),
    ]
    note = "An estimate: blocks are found by chance, so that short spans swing by some per cent."
    return [Figure("hashrate", "Hashrate", lines, "each day", log=True, note=note)], [], "H/s"


def _tx_volume(start: int, end: int) -> tuple[list[Figure], list[Table], str]:
    grid = _grid(start, end, 600)
    flow = _noisy(grid, lambda t: 420 + 200 * math.sin(t / 13_750), 0.2, "flow")
    blocks = _noisy(grid, lambda t: 390 + 150 * math.sin(t / 13_750 - 1), 0.1, "blocks")
    lines = [
        _line("mempool", "Into the mempool", "BTC/s", flow, "step"),
        _line("confirmed", "Confirmed by blocks", "BTC/s", blocks, "step", 1),
    ]
    total = [_line("volume", "Confirmed a day", "BTC", [(t, (v or 0) * 2_000) for t, v in blocks], "bars", 2)]
    return (
        [
            Figure("rate", "Bitcoin moved a second", lines, "10 minutes", from_zero=True),
            Figure("volume", "Bitcoin moved", total, "each day", from_zero=True),
        ],
        [],
        "BTC/s",
    )


_BANDS = ("Zero", "Below 0.0001", "0.0001-0.001", "0.001-0.01", "0.01-0.1", "0.1-1", "1-10", "10 and more")


def _tx_amount(start: int, end: int) -> tuple[list[Figure], list[Table], str]:
    grid = _grid(start, end, 800)
    mean = _noisy(grid, lambda t: 30 * math.exp(-_age(t) / 4), 0.1, "mean")
    shares = [_noisy(grid, _level(4 + 10 * math.exp(-((k - 3) ** 2) / 4)), 0.05, f"b{k}") for k in range(8)]
    totals = [sum(column[index][1] or 0 for column in shares) for index in range(len(grid))]
    stack = [
        _line(
            f"band_{k}",
            label,
            "%",
            [(t, (v or 0) / total * 100) for (t, v), total in zip(shares[k], totals, strict=True)],
            "stack",
            k,
        )
        for k, label in enumerate(_BANDS)
    ]
    dice = random.Random("largest")
    rows: list[tuple[Cell, ...]] = [
        (rank, f"{dice.getrandbits(256):064x}", round(9e12 / rank), end - dice.randrange(2_000_000), 953_000 - rank)
        for rank in range(1, 51)
    ]
    columns = [
        Column("Rank", "count"),
        Column("Transaction", "txid"),
        Column("Value", "btc"),
        Column("Time", "time"),
        Column("Block", "height"),
    ]
    return (
        [
            Figure("mean", "Mean output", [_line("mean", "Mean output", "BTC", mean)], "each day", log=True),
            Figure(
                "spread",
                "Outputs by size in BTC",
                stack,
                "each day",
                note="Shares of the number of outputs, not of value.",
            ),
        ],
        [Table("Largest transactions", columns, rows, "By the sum of outputs.")],
        "BTC",
    )


def _tx_fees(start: int, end: int) -> tuple[list[Figure], list[Table], str]:
    grid = _grid(start, end, 1_000)

    low, mid, high = (_noisy(grid, _surge(factor), 0.08, f"rate{factor}") for factor in (0.4, 1.0, 2.6))
    rates = [
        replace(_line("feerate_p90", "90th percentile", "sat/vB", high, colour=3), quiet=True),
        _line("feerate_p50", "Median", "sat/vB", mid),
        replace(_line("feerate_p10", "10th percentile", "sat/vB", low, colour=2), quiet=True),
    ]
    fees = _noisy(grid, _surge(1 / 300), 0.1, "fees")
    reward = [
        _line("fees", "Fees a block", "BTC", fees),
        Line(
            "fee_share",
            "Share of the reward",
            "%",
            [(t, (v or 0) / 3.2 * 100) for t, v in fees],
            colour=1,
            axis="right",
        ),
    ]
    labels = ("0-1", "1-2", "2-4", "4-8", "8-15", "15-30", "30-100", "100 and more")
    waits = [
        _line(
            f"waiting_{k}",
            f"{label} sat/vB",
            "vB",
            _noisy(grid, _surge(1e6 / (k + 2)), 0.04, f"w{k}"),
            "stack",
            k,
        )
        for k, label in enumerate(labels)
    ]
    return (
        [
            Figure(
                "feerates",
                "Feerates of transactions in blocks",
                rates,
                "each block",
                fills=[("feerate_p90", "feerate_p10")],
                log=True,
            ),
            Figure("reward", "Fees and the miners' reward", reward, "each block", from_zero=True),
            Figure("congestion", "Virtual size waiting by feerate", waits, "each hour"),
        ],
        [],
        "sat/vB",
    )


def _price(start: int, end: int) -> tuple[list[Figure], list[Table], str]:
    grid = _grid(start, end)
    close = _noisy(grid, lambda moment: 90_000 + 8_000 * math.sin(moment / 4e6), 0.01, "price")
    lines = [_line("price", "Price", "USD", close)]
    for name, factor in (("high", 1.02), ("low", 0.98)):
        points: Points = [(moment, None if value is None else value * factor) for moment, value in close]
        lines.append(replace(_line(name, "Highest" if name == "high" else "Lowest", "USD", points), quiet=True))
    figure = Figure(
        "price", "Price of one bitcoin in USD", lines, "each day", fills=[("high", "low")], log=True, domain="market"
    )
    columns = [Column("Source", "text"), Column("Points", "count"), Column("First", "time")]
    return [figure], [Table("Whose prices these are", columns, [("bitstamp", len(grid), grid[0])])], "USD"


_MAKERS: dict[str, Callable[[int, int], tuple[list[Figure], list[Table], str]]] = {
    "price": _price,
    "difficulty": _difficulty,
    "hashrate": _hashrate,
    "tx-volume": _tx_volume,
    "tx-amount": _tx_amount,
    "tx-fees": _tx_fees,
}

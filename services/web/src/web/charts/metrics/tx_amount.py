"""How large transactions and outputs are: the largest, the mean, and the spread over sizes."""

from __future__ import annotations

from typing import Final, NamedTuple

from shared.networks import COIN
from shared.records import Bucket
from shared.views import CONFIRMED_LARGEST, ConfirmedLargestView, HistoryView, LargestView
from web.charts.chart import Cell, Chart, Column, Figure, Line, Table
from web.charts.data.measured import SOURCE, SOURCE_OF_BOTH, Samples, measured, nothing, notice
from web.charts.metric import Material, Metric
from web.charts.span import Span
from web.words import moments
from web.words.sentence import joined, say, shown


class _Group(NamedTuple):
    name: str
    label: str
    first: int  # bands of shared.bands.VALUE_BOUNDS
    last: int


GROUPS: Final = (
    _Group("below_1k_sat", say("Below 1,000 sat"), 1, 1),
    _Group("1k_to_10k_sat", say("1,000 to 10,000 sat"), 2, 2),
    _Group("10k_to_100k_sat", say("10,000 to 100,000 sat"), 3, 3),
    _Group("0.001_to_0.01_btc", say("0.001 to 0.01 BTC"), 4, 4),
    _Group("0.01_to_0.1_btc", say("0.01 to 0.1 BTC"), 5, 5),
    _Group("0.1_to_1_btc", say("0.1 to 1 BTC"), 6, 6),
    _Group("1_to_10_btc", say("1 to 10 BTC"), 7, 7),
    _Group("from_10_btc", say("10 BTC and more"), 8, 11),
)
"""How the distribution is told. Data outputs, whose value is 0, belong to none."""

MEAN_NOTE: Final = say("What transactions moved over the number of their outputs, data outputs of value 0 among them.")
SHARE_NOTE: Final = say("Data outputs, whose value is 0, and coinbases are left out.")


async def chart(material: Material) -> Chart:
    """Read and drawn."""
    history, span = material.history, material.span
    largest = _largest(material)
    samples = await measured(material.reader, history, span) if history else None
    return Chart(
        "tx-amount", span.range, span.start, span.end, "BTC", figures(samples, history, span, material.why),
        [table(largest)] if largest else [], SOURCE_OF_BOTH if span.range == "mempool" else SOURCE,
        samples.as_of if samples else None, notice(history, span.start) if history else "",
    )  # fmt: skip


METRIC: Final = Metric(
    "tx-amount",
    say("Transaction amount"),
    say("The largest transactions, and how large outputs are: their mean and their spread over sizes."),
    chart,
    place=40,
    ranges=("mempool", "1d", "1w", "1m", "1y", "halving", "all"),
    default="1m",
    tables_first=True,
)


def _largest(material: Material) -> ConfirmedLargestView | LargestView | None:
    """The view of the span's name, where it has one."""
    name = material.span.range
    if name == "mempool":
        return material.snapshot[LargestView]
    return material.snapshot[CONFIRMED_LARGEST[name]] if name else None


def figures(samples: Samples | None, history: HistoryView | None, span: Span, why: str) -> list[Figure]:
    """The mean output, and the shares of outputs by their value."""
    times = samples.times[samples.lead :] if samples else []
    buckets = samples.buckets[samples.lead :] if samples else []
    means = [_mean(bucket) for bucket in buckets]
    shares = [_shares(bucket) for bucket in buckets]
    there = any(mean is not None for mean in means)
    empty = "" if there else nothing(history, span) if history else why
    resolution = samples.resolution if samples else say("each block")
    mean, share = MEAN_NOTE, SHARE_NOTE
    if span.range == "mempool":
        mean, share = (joined(note, say("The last day.")) for note in (mean, share))
    return [
        Figure(
            "mean_output", say("Mean output"),
            [Line("mean_output", say("Mean value of an output"), "BTC", list(zip(times, means, strict=True)))],
            resolution, log=True, note=mean, empty=empty,
        ),
        Figure(
            "distribution", say("Outputs by value"),
            [
                Line(
                    f"share_{group.name}", group.label, "%",
                    [(time, None if each is None else each[place]) for time, each in zip(times, shares, strict=True)],
                    "stack", colour=place,
                )
                for place, group in enumerate(GROUPS)
            ],
            resolution, from_zero=True, note=share, empty=empty,
        ),
    ]  # fmt: skip


def _mean(bucket: Bucket | None) -> float | None:
    outputs = sum(bucket.output_bands) if bucket else 0
    return bucket.output_value / outputs / COIN if bucket and outputs else None


def _shares(bucket: Bucket | None) -> list[float] | None:
    """Percent of the outputs with a value, by group."""
    total = sum(bucket.output_bands[1:]) if bucket else 0
    if not bucket or not total:
        return None
    return [sum(bucket.output_bands[group.first : group.last + 1]) * 100 / total for group in GROUPS]


def table(view: ConfirmedLargestView | LargestView) -> Table:
    """The largest transactions, largest first."""
    if isinstance(view, LargestView):
        columns = [Column(say("Rank"), "count"), Column(say("Transaction"), "txid"), Column(say("Amount"), "btc"),
                   Column(say("Fee"), "btc"), Column(say("Entered"), "time")]  # fmt: skip
        waiting: list[tuple[Cell, ...]] = [
            (rank, tx.txid, tx.value, tx.fee, tx.time) for rank, tx in enumerate(view.transactions, 1)
        ]
        note = "" if waiting else say("Nothing waits in the mempool.")
        return Table(say("Largest transactions in the mempool"), columns, waiting, note)
    columns = [Column(say("Rank"), "count"), Column(say("Transaction"), "txid"), Column(say("Amount"), "btc"),
               Column(say("Time"), "time"), Column(say("Block"), "height")]  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (rank, tx.txid, tx.value, tx.time, tx.height) for rank, tx in enumerate(view.transactions, 1)
    ]
    note = say("In blocks since %(moment)s.", moment=shown(moments.minute, view.since))
    if not view.complete:
        note = joined(note, say("Not all of these blocks are known yet: larger ones may still come."))
    return Table(say("Largest transactions"), columns, rows, note)

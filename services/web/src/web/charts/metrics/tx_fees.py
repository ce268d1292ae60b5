"""What transactions pay: feerates in blocks, fees beside the subsidy, and what waits at which feerate."""

from __future__ import annotations

from typing import Final

from shared.networks import COIN
from shared.records import Bucket
from web.charts import span as spans
from web.charts.chart import Chart, Figure, Line
from web.charts.data.averages import moving
from web.charts.data.measured import SOURCE_OF_BOTH, Samples, measured, nothing, notice, whole
from web.charts.data.reading import CONGESTIONS
from web.charts.metric import Material, Metric
from web.charts.metrics.congestion import congestion_figure
from web.charts.metrics.tx_volume import recorded
from web.words.sentence import say

PERCENTILES: Final = (10, 25, 50, 75, 90)

_FEERATES_NOTE: Final = say(
    "Percentiles are by weight: half of a block's weight pays less than its 50th percentile. The average is all fees "
    "over all virtual bytes."
)


async def chart(material: Material) -> Chart:
    """Read and drawn."""
    reader, history, span = material.reader, material.history, material.span
    step = spans.congestion_step(span, material.now)
    waiting = await reader.read(CONGESTIONS[step.series], *step.indices(span))
    samples = await measured(reader, history, span) if history else None
    empty = nothing(history, span) if history else material.why
    figures = [
        feerates_figure(samples, empty),
        fees_figure(samples, empty),
        recorded(congestion_figure(waiting, step), span),
    ]
    newest = min((waiting[-1][0] + 1) * step.step, span.end) if waiting else None
    times = [time for time in (samples and samples.as_of, newest) if time]
    return Chart(
        "tx-fees", span.range, span.start, span.end, "sat/vB", figures, [], SOURCE_OF_BOTH,
        max(times, default=None), notice(history, span.start) if history else "",
    )  # fmt: skip


METRIC: Final = Metric(
    "tx-fees",
    say("Transaction fees"),
    say("What transactions pay for a place in a block, what that adds to the subsidy, and what waits."),
    chart,
    place=50,
    default="1m",
    of=("history", "mempool"),
)


def feerates_figure(samples: Samples | None, empty: str) -> Figure:
    """The spread of feerates inside blocks, and the average."""
    lines: list[Line] = []
    if samples:
        times, buckets = samples.times[samples.lead :], samples.buckets[samples.lead :]
        for place, percentile in enumerate(PERCENTILES):
            points = [(time, _percentile(bucket, place)) for time, bucket in zip(times, buckets, strict=True)]
            label = say("%(percentile)sth percentile", percentile=percentile)
            if samples.grain != "block":
                label = say("%(percentile)sth percentile, mean over blocks", percentile=percentile)
            quiet = percentile != 50
            lines.append(Line(f"p{percentile}", label, "sat/vB", points, colour=1, quiet=quiet))
        averages = [(time, _average(bucket)) for time, bucket in zip(times, buckets, strict=True)]
        lines.append(
            Line(
                "average", say("Average of %(each)s", each=samples.resolution), "sat/vB", averages, colour=2, quiet=True
            )
        )
        fees = [None if bucket is None else bucket.fees for bucket in samples.buckets]
        weights = [0 if bucket is None else bucket.weight for bucket in samples.buckets]
        means = moving([None if fee is None else 4 * fee for fee in fees], weights, samples.window)[samples.lead :]
        lines.append(Line("average_moving", samples.average, "sat/vB", list(zip(times, means, strict=True))))
    there = any(value is not None for line in lines for _, value in line.points)
    return Figure(
        "feerates",
        say("Feerates in blocks"),
        lines if there else [],
        samples.resolution if samples else say("each block"),
        fills=[("p10", "p90"), ("p25", "p75")] if there else [],
        log=True,
        note=_FEERATES_NOTE,
        empty="" if there else empty,
    )


def _percentile(bucket: Bucket | None, place: int) -> float | None:
    return bucket.percentiles[place] / bucket.blocks if bucket and bucket.blocks else None


def _average(bucket: Bucket | None) -> float | None:
    return bucket.fees * 4 / bucket.weight if bucket and bucket.weight else None


def fees_figure(samples: Samples | None, empty: str) -> Figure:
    """What miners got: subsidy and fees one on the other, and the share of the fees."""
    lines: list[Line] = []
    if samples:
        times, buckets = samples.times[samples.lead :], samples.buckets[samples.lead :]
        pairs = list(zip(times, buckets, strict=True))
        sums = [(time, whole(bucket)) for time, bucket in pairs]
        subsidy = [(time, bucket.subsidy / COIN if bucket else None) for time, bucket in sums]
        fees = [(time, bucket.fees / COIN if bucket else None) for time, bucket in sums]
        each = samples.resolution
        lines = [
            Line("subsidy", say("Subsidy of %(each)s", each=each), "BTC", subsidy, "stack", colour=1),
            Line("fees", say("Fees of %(each)s", each=each), "BTC", fees, "stack", colour=0),
            Line("fees_share", say("Share of the fees"), "%", [(time, _share(bucket)) for time, bucket in pairs],
                 colour=2, axis="right"),
        ]  # fmt: skip
    there = any(value is not None for line in lines for _, value in line.points)
    return Figure(
        "fees",
        say("Fees and subsidy"),
        lines if there else [],
        samples.resolution if samples else say("each block"),
        from_zero=True,
        note=say("What miners earn: the fees stand on top of the subsidy."),
        empty="" if there else empty,
    )


def _share(bucket: Bucket | None) -> float | None:
    earned = bucket.fees + bucket.subsidy if bucket else 0
    return bucket.fees * 100 / earned if bucket and earned else None

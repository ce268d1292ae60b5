"""How much bitcoin moves: in blocks, and into the mempool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from shared.networks import COIN
from shared.records import flow_sum
from shared.views import HistoryView
from web.charts import span as spans
from web.charts.chart import Chart, Figure, Line
from web.charts.data.averages import added, moving
from web.charts.data.measured import SOURCE_OF_BOTH, Samples, measured, nothing, notice, whole
from web.charts.data.reading import FLOWS
from web.charts.metric import USUAL, Material, Metric
from web.charts.span import MempoolStep, Span
from web.words import moments
from web.words.sentence import joined, say

EACH: Final = {
    10: say("each 10 seconds"), 60: say("each minute"), 3_600: say("each hour"), 86_400: say("each day"),
    7 * 86_400: say("each week"),
}  # fmt: skip
"""What a point of the mempool's series stands for, by its seconds."""

_NOTE: Final = say("The sum of all outputs: change that goes back to its owner counts too.")


async def chart(material: Material) -> Chart:
    """Read and drawn."""
    reader, history, span = material.reader, material.history, material.span
    step = spans.flow_step(span, material.now)
    flows = await reader.read(FLOWS[step.series], *step.indices(span))
    samples = await measured(reader, history, span) if history else None
    figures = [blocks_figure(samples, history, span, material.why), recorded(flow_figure(flows, step), span)]
    times = [time for time in (samples and samples.as_of, _newest(flows, step, span)) if time]
    return Chart(
        "tx-volume", span.range, span.start, span.end, "BTC", figures, [], SOURCE_OF_BOTH,
        max(times, default=None), notice(history, span.start) if history else "",
    )  # fmt: skip


METRIC: Final = Metric(
    "tx-volume",
    say("Transaction volume"),
    say("Bitcoin moved by transactions: as they enter the mempool, and as blocks confirm them. Change counts too."),
    chart,
    place=30,
    ranges=("1h", *USUAL),
    default="1m",
    of=("history", "mempool"),
)


def blocks_figure(samples: Samples | None, history: HistoryView | None, span: Span, why: str) -> Figure:
    """What blocks moved, with its mean where a point is longer than a block."""
    lines = []
    if samples and history:
        sums = [bucket.output_value if bucket else None for bucket in map(whole, samples.buckets)]
        bars = [
            (time, None if value is None else value / COIN)
            for time, value in zip(samples.times[samples.lead :], sums[samples.lead :], strict=True)
        ]
        lines.append(Line("block_volume", say("Moved in %(each)s", each=samples.resolution), "BTC", bars, "bars"))
        if samples.grain != "block":
            means = moving(sums, [COIN] * len(sums), samples.window)[samples.lead :]
            points = list(zip(samples.times[samples.lead :], means, strict=True))
            lines.append(Line("mean_volume", samples.average, "BTC", points, colour=1))
    there = any(value is not None for line in lines for _, value in line.points)
    return Figure(
        "blocks",
        say("Moved in blocks"),
        lines,
        samples.resolution if samples else say("each block"),
        from_zero=True,
        note=_NOTE,
        empty="" if there else nothing(history, span) if history else why,
    )


def flow_figure(flows: Sequence[tuple[int, int]], step: MempoolStep) -> Figure:
    """What transactions that entered the mempool moved; `flows` are in lanes (shared.records.FLOW_LANES)."""
    seconds = step.seconds
    points: list[tuple[int, float | None]] = [
        (place * seconds, flow_sum(lanes).value / COIN) for place, lanes in added(flows, step.together)
    ]
    each = EACH[seconds]
    return Figure(
        "mempool",
        say("Entering the mempool"),
        [Line("mempool_volume", say("Entered in %(each)s", each=each), "BTC", points, "bars", colour=2)],
        each,
        from_zero=True,
        note=say("What replaces another transaction counts again."),
        empty="" if points else NOTHING_RECORDED,
        domain="mempool",
    )


def recorded(figure: Figure, span: Span) -> Figure:
    """A figure of the mempool, with a word to who looks at a span of which little is recorded."""
    first = min((line.points[0][0] for line in figure.lines if line.points), default=span.start)
    if (span.end - first) * LITTLE > span.seconds:
        return figure
    since = say("Recorded since %(moment)s: a shorter range shows more of it.", moment=moments.utc(first))
    return replace(figure, note=joined(figure.note, since))


LITTLE: Final = 20
"""One part in so many of a span is little."""

NOTHING_RECORDED: Final = say(
    "Nothing was recorded in this time. The mempool's history begins when the mempool service first ran: no node can "
    "tell what waited before. New points appear as they are recorded."
)


def _newest(flows: Sequence[tuple[int, int]], step: MempoolStep, span: Span) -> int | None:
    return min((flows[-1][0] + 1) * step.step, span.end) if flows else None

"""The hashrate: estimates over a day and over seven, with the difficulty behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.networks import Network
from shared.records import BucketHashrates, Header
from shared.series import DAY, HOUR
from shared.views import HistoryView
from web.charts import span as spans
from web.charts.chart import Chart, Figure, Line
from web.charts.data.levels import SOURCE, Levels
from web.charts.data.measured import header_notice, nothing
from web.charts.data.reading import DAY_HASHRATES, HOUR_HASHRATES
from web.charts.data.reduction import reduced
from web.charts.metric import Material, Metric
from web.charts.span import Span
from web.words.sentence import joined, say

FINE: Final = 83 * DAY
"""Seconds up to which a span is shown by the hour."""

_NOTE: Final = say("An estimate: how fast blocks come is partly luck, which the shorter time shows more of.")


async def chart(material: Material) -> Chart:
    """Read and drawn."""
    history, reader, span = material.needed(), material.reader, material.span
    fine = span.seconds <= FINE and spans.hours_kept(span, history.time)
    series, step = (HOUR_HASHRATES, HOUR) if fine else (DAY_HASHRATES, DAY)
    last = min(span.end - 1, max(history.time, span.start)) // step
    buckets = await reader.read(series, span.start // step, last)
    return drawn(buckets, step, await reader.retargets(history), history, span, reader.network)


METRIC: Final = Metric(
    "hashrate",
    say("Hashrate"),
    say("How many hashes a second the network must have tried, estimated from its blocks' work and time."),
    chart,
    place=20,
)


def drawn(
    buckets: Sequence[tuple[int, BucketHashrates]],
    step: int,
    retargets: list[tuple[int, Header]],
    history: HistoryView,
    span: Span,
    network: Network,
) -> Chart:
    """The chart of these buckets, each of which speaks of the time that ends with it, or with the tip."""
    levels = Levels.of(retargets)
    known = [(index, rates) for index, rates in buckets if rates.hashrate_1d or rates.hashrate_7d]
    times = [min((index + 1) * step, max(history.time, index * step)) for index, _ in known]
    one, seven, level = reduced(
        times,
        [
            [rates.hashrate_1d or None for _, rates in known],
            [rates.hashrate_7d or None for _, rates in known],
            [levels.at(time) for time in times],
        ],
    )
    figure = Figure(
        "hashrate",
        say("Hashrate"),
        [
            Line(
                "hashrate_1d",
                say("Hashrate over 1 day (work of the blocks of 24 hours)"),
                "H/s",
                one,
                colour=1,
                quiet=True,
            ),
            Line("hashrate_7d", say("Hashrate over 7 days (work of the blocks of 7 days)"), "H/s", seven),
            Line("difficulty", say("Difficulty"), "", level, "step", colour=2, axis="right"),
        ],
        _resolution(step, len(known), len(one)),
        log=True,
        note=_NOTE if network.retargets else joined(_NOTE, say("This network never adjusts its difficulty.")),
        empty="" if known else nothing(history, span),
    )
    first = levels.times[0] if levels.times else None
    return Chart(
        "hashrate", span.range, span.start, max(span.end, times[-1] if times else 0), "H/s", [figure], [], SOURCE,
        times[-1] if times else None, header_notice(history, span.start, first),
    )  # fmt: skip


def _resolution(step: int, there: int, shown: int) -> str:
    each = say("each hour") if step == HOUR else say("each day")
    return each if there == shown else say("%(each)s, reduced to the lowest and highest of every few", each=each)

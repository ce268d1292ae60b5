"""Which span of time a request asks for, and which series shows that span best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from shared.keys import CONGESTION_MINUTE_KEEP, FLOW_10S_KEEP, FLOW_MINUTE_KEEP, HOURS_KEEP
from shared.series import DAY, HOUR, MINUTE, WEEK
from web.charts.chart import MOST_POINTS, RANGES
from web.words.sentence import say

if TYPE_CHECKING:
    from web.charts.metric import Metric  # which is built over a span itself

Grain = Literal["block", "hour", "day", "week"]

STEPS: Final[dict[Grain, int]] = {"block": 0, "hour": HOUR, "day": DAY, "week": WEEK}
"""Seconds of a point's span; blocks come when they come."""

SHORT_CHAIN: Final = 1_200
"""A span with so few blocks shows each of them, however long it is (as on a young regtest chain)."""

FOLDED_BLOCKS: Final = 4_500
"""Blocks at most whose hours are summed up here where the hours themselves are not kept any more."""

_OPEN: Final = 60
"""Seconds that the end of an open span is rounded up to."""


class BadSpan(ValueError):
    """The request asks for no span of time; the message says what was wrong and what is expected."""

    code = "bad_span"
    title: str = say("No such span of time")


class BadStyle(BadSpan):
    """The same of how it is to be drawn."""

    code = "bad_style"
    title = say("No such style")


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to before `end`, Unix seconds; `range` is its name, empty for a span of one's own."""

    range: str
    start: int
    end: int

    @property
    def seconds(self) -> int:
        """How long it is."""
        return self.end - self.start


def parse(metric: Metric, query: Mapping[str, str], *, genesis: int, now: int) -> Span:
    """What `range`, or `from` and `to`, ask for, between the chain's beginning and now. Raises BadSpan."""
    name, first, last = query.get("range", ""), query.get("from", ""), query.get("to", "")
    if not first and not last:
        return named(metric, name or metric.default, genesis=genesis, now=now)
    if name:
        raise BadSpan(say("range goes without from and to: give either the one or the other"))
    start = _moment("from", first) if first else genesis
    until = -(-now // _OPEN) * _OPEN  # so that requests without an end share what was built for one of them
    end = _moment("to", last) if last else until
    if start >= end and (first and last):
        raise BadSpan(
            say("from=%(first)s is not before to=%(last)s: expected from < to", first=_shown(first), last=_shown(last))
        )
    if start >= now:
        raise BadSpan(
            say("from=%(first)s lies in the future: expected a time before %(now)s", first=_shown(first), now=_utc(now))
        )
    if end <= genesis:
        raise BadSpan(
            say("to=%(last)s lies before the chain's first block: expected a time after %(genesis)s",
                last=_shown(last), genesis=_utc(genesis))
        )  # fmt: skip
    return Span("", max(start, genesis), min(end, until))


def named(metric: Metric, name: str, *, genesis: int, now: int) -> Span:
    """One of the metric's ranges. `halving` has no beginning of its own yet: whoever reads the headers sets it."""
    if name not in metric.ranges:
        raise BadSpan(
            say("range=%(name)s is no range of %(metric)s: expected one of %(known)s",
                name=_shown(name), metric=metric.name, known=", ".join(metric.ranges))
        )  # fmt: skip
    length = RANGES.get("1d" if name == "mempool" else name)
    return Span(name, genesis if length is None else max(genesis, now - length), now)


def _moment(name: str, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise BadSpan(
            say("%(name)s=%(text)s is no time: expected Unix seconds or a date such as 2024-04-20 or "
                "2024-04-20T00:09:27Z", name=name, text=_shown(text))
        ) from error  # fmt: skip


def _shown(text: str) -> str:
    return repr(text[:40])


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- how finely -------------------------------------------------------------------------------------------


class _Rule(NamedTuple):
    grain: Grain
    seconds: float  # of the span at most
    blocks: float  # in the span at most


_RULES: Final = (
    _Rule("block", float("inf"), SHORT_CHAIN),
    _Rule("block", 8 * DAY, MOST_POINTS),
    _Rule("hour", (MOST_POINTS - 1) * HOUR, float("inf")),
    _Rule("day", (MOST_POINTS - 1) * DAY, float("inf")),
    _Rule("week", float("inf"), float("inf")),
)
"""The first that fits is taken: by block up to a week, by hour up to 83 days, by day up to 5.5 years, else by week."""


def grain(span: Span, blocks: int | None, tip_time: int) -> Grain:
    """For what blocks hold. `blocks` is how many lie in the span; None: certainly too many to show each."""
    count = float("inf") if blocks is None else blocks
    for rule in _RULES:
        if span.seconds > rule.seconds or count > rule.blocks:
            continue
        if rule.grain == "hour" and not hours_kept(span, tip_time) and count > FOLDED_BLOCKS:
            continue
        return rule.grain
    return "week"


def hours_kept(span: Span, tip_time: int) -> bool:
    """Whether the span's first hour is still there."""
    return span.start >= tip_time - (HOURS_KEEP - 1) * HOUR


class MempoolStep(NamedTuple):
    """A series of the mempool, and how many of its records make one point."""

    series: Literal["10s", "minute", "hour"]
    step: int  # seconds of one record
    together: int

    @property
    def seconds(self) -> int:
        """Seconds of one point."""
        return self.step * self.together

    def indices(self, span: Span) -> tuple[int, int]:
        """The first and the last record for a span, beginning with a whole point."""
        return -(-span.start // self.seconds) * self.together, (span.end - 1) // self.step


def flow_step(span: Span, now: int) -> MempoolStep:
    """What entered: 10 s up to 3 h, minutes up to 33 h, hours up to 83 days, then days, then weeks."""
    if span.seconds <= 3 * HOUR and span.start >= now - FLOW_10S_KEEP * 10:
        return MempoolStep("10s", 10, 1)
    if span.seconds <= (MOST_POINTS - 1) * MINUTE and span.start >= now - FLOW_MINUTE_KEEP * MINUTE:
        return MempoolStep("minute", MINUTE, 1)
    for together in (1, 24):
        if span.seconds <= (MOST_POINTS - 1) * together * HOUR:
            return MempoolStep("hour", HOUR, together)
    return MempoolStep("hour", HOUR, 7 * 24)


def congestion_step(span: Span, now: int) -> MempoolStep:
    """What waits: minutes up to 33 h, then means of so many hours that there are few enough points."""
    if span.seconds <= (MOST_POINTS - 1) * MINUTE and span.start >= now - CONGESTION_MINUTE_KEEP * MINUTE:
        return MempoolStep("minute", MINUTE, 1)
    for together in (1, 6, 24):
        if span.seconds <= (MOST_POINTS - 1) * together * HOUR:
            return MempoolStep("hour", HOUR, together)
    return MempoolStep("hour", HOUR, 7 * 24)

"""The balance over time of an address or a wallet, in words: what its picture shows."""

from __future__ import annotations

from collections.abc import Sequence

from shared.lookups.address import Point
from web.words import formats, moments
from web.words.sentence import gettext


def course_words(points: Sequence[Point] | None, end: int) -> str:
    """One sentence; `end` (Unix seconds) is up to when the last of them holds. Empty without any."""
    if not points:
        return ""
    most = max(points, key=lambda point: point.balance)
    return gettext("From %(start)s to %(end)s; at most %(most)s, on %(day)s; now %(now)s.") % {
        "start": moments.date(points[0].time),
        "end": moments.date(max(end, points[-1].time)),
        "most": str(formats.btc(most.balance)),
        "day": moments.date(most.time),
        "now": str(formats.btc(points[-1].balance)),
    }

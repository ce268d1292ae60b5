"""Bitcoin's rank over time as a small picture, and by how much each asset's is another than it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from markupsafe import Markup

from shared.asset_views import RankedAsset
from shared.series import DAY
from web.charts.drawing import marks
from web.charts.drawing.axis import Scale, Tick
from web.charts.drawing.figure import framed, path
from web.charts.drawing.marks import Canvas
from web.ranks.past import Past, Place
from web.words import moments
from web.words.sentence import gettext, ngettext, say

SHORTEST: Final = 14
"""Days that the time axis has at least."""

_TICKS: Final = 4
_AGAINST: Final = {"1d": say("a day ago"), "1w": say("a week ago"), "1m": say("a month ago")}


def picture(past: Past) -> Markup:
    """Steps from day to day, rank 1 on top; a day that is not known is a gap. Empty where none is."""
    places = past.places
    if not places:
        return Markup("")
    ranks = [place.rank for place in places]
    end = (places[-1].day + 1) * DAY
    canvas = Canvas(min(places[0].day * DAY, end - SHORTEST * DAY), end)
    scale = _scale(max(ranks))
    words = gettext("Bitcoin's rank by day, %(start)s to %(end)s: first %(first)s, last %(last)s, highest %(best)s, "
                    "lowest %(worst)s.") % {
        "start": moments.date(places[0].day * DAY), "end": moments.date(places[-1].day * DAY),
        "first": ranks[0], "last": ranks[-1], "best": min(ranks), "worst": max(ranks),
    }  # fmt: skip
    return framed(words, canvas, scale, [path("stroke", "c0", marks.steps(list(_points(places)), canvas, scale))])


def _points(places: tuple[Place, ...]) -> Iterator[tuple[int, float | None]]:
    """A point where a day begins, and where the last one before a gap ends."""
    for place, following in zip(places, (*places[1:], None), strict=True):
        yield place.day * DAY, place.rank
        if following is not None and following.day > place.day + 1:
            ends = (place.day + 1) * DAY
            yield ends, place.rank
            yield ends, None


def _scale(worst: int) -> Scale:
    """From the worst rank, or a round one below it, up to the first."""
    every = next(step for step in _steps() if worst / step <= _TICKS)
    worst = -(-max(worst, 2) // every) * every
    named = sorted({1, *range(every, worst + 1, every)} - ({2} if every == 2 and worst > 2 else set()), reverse=True)
    scale = Scale(worst + 0.5, 0.5, False, "", [])
    scale.ticks.extend(Tick(scale.place(rank), str(rank)) for rank in named)
    return scale


def _steps() -> Iterator[int]:
    ten = 1
    while True:
        yield from (ten, 2 * ten, 5 * ten)
        ten *= 10


def moved(past: Past | None, row: RankedAsset) -> Markup:
    """By how many places the asset's rank is another than it was; empty where that is not known."""
    moves = past.moves(row.id, row.rank) if past is not None else {}
    if past is None or past.marked not in moves:
        return Markup("")
    title = "; ".join(_told(places, period) for period, places in moves.items())
    places = moves[past.marked]
    if not places:
        return Markup('<span class="moved quiet" title="{}">=</span>').format(title)
    kind, sign = ("up", "▲") if places > 0 else ("down", "▼")
    return Markup('<span class="moved change {}" title="{}">{}&nbsp;{}</span>').format(kind, title, sign, abs(places))


def _told(places: int, period: str) -> str:
    against = str(_AGAINST[period])
    if not places:
        return gettext("the same rank as %(before)s") % {"before": against}
    if places > 0:
        return ngettext("%(num)s place up against %(before)s", "%(num)s places up against %(before)s", places) % {
            "num": places, "before": against,
        }  # fmt: skip
    return ngettext("%(num)s place down against %(before)s", "%(num)s places down against %(before)s", -places) % {
        "num": -places, "before": against,
    }  # fmt: skip


def against(past: Past) -> str:
    """What the marks compare with; empty where there are none."""
    return str(_AGAINST[past.marked]) if past.marked else ""

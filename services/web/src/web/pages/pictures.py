"""Small pictures drawn on the server as inline SVG. No styles inside: the strict policy of the page forbids them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

from shared.price_views import RecentPrices
from shared.views import FeeBand
from web.words import formats
from web.words.sentence import gettext

WIDTH: Final = 240
HEIGHT: Final = 48


def sparkline(points: Sequence[tuple[int, float]], what: str) -> Markup:
    """A line through (time, value) without axes; `what` says in words what it shows. Empty below two points."""
    if len(points) < 2:
        return Markup("")
    start, end = points[0][0], points[-1][0]
    low = min(value for _, value in points)
    high = max(value for _, value in points)
    rise = high - low
    path = []
    for moment, value in points:
        x = (moment - start) / (end - start) * WIDTH if end > start else 0.0
        y = HEIGHT - 3 - (value - low) / rise * (HEIGHT - 6) if rise else HEIGHT / 2
        path.append(f"{x:.1f} {y:.1f}")
    line = " L".join(path)
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{what}">'
        '<path class="area" d="M{line} L{w} {h} L0 {h} Z"/><path class="line" d="M{line}"/></svg>'
    ).format(w=WIDTH, h=HEIGHT, what=what, line=line)


def steps(points: Sequence[tuple[int, int]], end: int, what: str) -> Markup:
    """What holds from each (time, value) to the next, the last up to `end`; from zero up. Empty without a point.

    `what` says in words what it shows.
    """
    if not points:
        return Markup("")
    start, end = points[0][0], max(end, points[-1][0])
    most = max(value for _, value in points) or 1
    path: list[str] = []
    for moment, value in points:
        x = (moment - start) / (end - start) * WIDTH if end > start else 0.0
        height = HEIGHT - 1 - value / most * (HEIGHT - 4)
        path.append(f"H{x:.2f} V{height:.2f}" if path else f"0 {height:.2f}")
    line = " ".join([*path, f"H{WIDTH}"])
    return Markup(
        '<svg class="spark steps" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{what}">'
        '<path class="area" d="M{line} V{h} H0 Z"/><path class="line" d="M{line}"/></svg>'
    ).format(w=WIDTH, h=HEIGHT, what=what, line=line)


def course(view: RecentPrices | None, currency: str) -> Markup:
    """The price over the last day; in a currency that no exchange quotes, that of USD. Empty below two points."""
    if view is None:
        return Markup("")
    found = view.courses.get(currency) or view.courses.get("USD") or []
    points = [(view.since + at * view.every, value) for at, value in enumerate(found) if value is not None]
    if len(points) < 2:
        return Markup("")
    shown = currency if currency in view.courses else "USD"
    first, last = (formats.price(value, shown) for value in (points[0][1], points[-1][1]))
    what = gettext("Price over the last day, from %(first)s to %(last)s") % {"first": first, "last": last}
    return sparkline(points, what)


def bar(share: float, what: str) -> Markup:
    """A bar filled to `share` (0 to 1) of its width."""
    filled = min(1.0, max(0.0, share)) * 100
    return Markup(  # noqa: S704 - words escaped, and digits; hundreds of them stand in a table
        f'<svg class="bar" role="img" aria-label="{escape(what)}" preserveAspectRatio="none" viewBox="0 0 100 8">'
        f'<rect class="track" width="100" height="8"/><rect class="fill" width="{filled:.2f}" height="8"/></svg>'
    )


def occupied(bands: Sequence[FeeBand]) -> Sequence[FeeBand]:
    """The bands from the first to the last that hold a transaction."""
    used = [index for index, band in enumerate(bands) if band.count]
    return bands[used[0] : used[-1] + 1] if used else ()


def band_label(band: FeeBand) -> str:
    """A band's feerates: "4-5", "1,000 and more"."""
    low = formats.feerate(band.from_rate).number
    if band.to_rate is None:
        return gettext("%(feerate)s and more") % {"feerate": low}
    return f"{low}-{formats.feerate(band.to_rate).number}"


def columns(values: Sequence[tuple[str, float | None]], what: str) -> Markup:
    """Upright bars of (words, value) from zero up, the first on the left; `what` says in words what they show.

    A value of None is a gap that is marked as one: nobody knows it.
    """
    if not values:
        return Markup("")
    most = max((value for _, value in values if value is not None), default=0) or 1
    step = 100 / len(values)
    gap = step * 0.15
    bars = []
    for index, (words, value) in enumerate(values):
        height = 100.0 if value is None else value / most * 96
        mark = Markup(' class="gap"') if value is None else ""
        bars.append(
            Markup('<rect{} x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}</title></rect>').format(
                mark, index * step + gap / 2, 100 - height, step - gap, height, words
            )
        )
    return Markup(
        '<svg class="bars quiet" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(what, Markup("").join(bars))


def histogram(bands: Sequence[FeeBand]) -> Markup:
    """Upright bars of the virtual size a band of feerates holds, lowest feerate on the left."""
    shown = occupied(bands)
    if not shown:
        return Markup("")
    most = max(band.vsize for band in shown) or 1
    step = 100 / len(shown)
    gap = step * 0.15
    bars = []
    for index, band in enumerate(shown):
        height = band.vsize / most * 96
        height = max(height, 1.0) if band.count else 0.0
        bars.append(
            Markup('<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}</title></rect>').format(
                index * step + gap / 2,
                100 - height,
                step - gap,
                height,
                f"{band_label(band)} sat/vB: {formats.vsize(band.vsize)}, {formats.transactions(band.count)}",
            )
        )
    return Markup(
        '<svg class="bars" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(_told(shown, most), Markup("").join(bars))


def _told(shown: Sequence[FeeBand], most: int) -> str:
    message = gettext(
        "Virtual size waiting at each feerate, from %(low)s to %(high)s sat/vB; the largest band holds %(most)s"
    )
    ends = (formats.feerate(band.from_rate).number for band in (shown[0], shown[-1]))
    return message % {**dict(zip(("low", "high"), ends, strict=True)), "most": formats.vsize(most)}

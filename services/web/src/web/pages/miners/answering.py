"""The pages of the mining pools: a list over a span of time, and one page a pool; kept until the figures are others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from aiohttp import web

from shared.series import DAY
from web.charts.chart import RANGE_LABELS
from web.http.answers import Answer, Unavailable
from web.miners.figures import KEYS, Over
from web.miners.reading import RANGES, USUAL
from web.miners.store import Miners, Profile
from web.pages.made import Made
from web.pages.order import Order, Sort, Table, asked, wording
from web.pages.page import Page
from web.words import formats, moments
from web.words.sentence import gettext, say

if TYPE_CHECKING:
    from web.pages.rendering import Pages

KEPT: Final = 64
"""Pages kept ready at most."""

_SHORT_LABELS: Final = {name: say(name) if name != "all" else say("All") for name in RANGES}
"""Ranges on a narrow screen."""

_WITHIN: Final = {
    "1d": say("Last 24 hours"), "1w": say("Last 7 days"), "1m": say("Last 30 days"), "1y": say("Last 365 days"),
    "all": say("Since the beginning"),
}  # fmt: skip
"""What each range is, in a table's first column."""

_SORT_LABELS: Final = {
    "name": say("Pool"), "blocks": say("Blocks"), "fees": say("Fees"), "empty": say("Empty"),
    "fullness": say("Fullness"),
}  # fmt: skip

SORTED: Final = {
    name: Sort(_SORT_LABELS[name], of, rising=name == "name", by_words=name == "name") for name, of in KEYS.items()
}
"""How the list can be sorted."""


class MinerPages:
    """Answers `/network/miners` and `/network/miners/{slug}`."""

    def __init__(self, page: Page, pages: Pages, miners: Miners) -> None:
        self._page = page
        self._pages = pages
        self._miners = miners
        self._kept: OrderedDict[Hashable, Made[Over | Profile | str]] = OrderedDict()
        self._reasons: dict[str, str] = {}

    # --- requests ------------------------------------------------------------------------------------

    async def index(self, request: web.Request) -> web.StreamResponse:
        """`/network/miners?range=…&sort=…&order=…`: what is none of them is told in words, with 400."""
        name = request.query.get("range", USUAL)
        if name not in RANGES:
            text = say(
                "%(what)s=%(value)s is not known: expected one of %(known)s.",
                what="range", value=repr(name[:20]), known=", ".join(RANGES),
            )  # fmt: skip
            return self._pages.error(400, gettext("No such list"), str(text)).response(request)
        try:
            order = asked(SORTED, request.query)
        except ValueError as error:
            return self._pages.error(400, gettext("No such list"), str(error)).response(request)
        shown: Over | str
        try:
            shown = await self._miners.over(name)
        except Unavailable as error:
            shown = self._reason(error)
        made = self._made((name, order), partial(self._render_index, name, order))
        return await made.show(shown).handle(request)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """`/network/miners/{slug}`: a pool that nobody knows is told in words, with 404."""
        slug = request.match_info["slug"]
        shown: Profile | str | None
        try:
            shown = await self._miners.profile(slug)
        except Unavailable as error:
            shown = self._reason(error)
        if shown is None:
            text = say(
                "No block that is known here was found by a pool of the name %(slug)s. "
                "All pools are listed at %(path)s.",
                slug=repr(slug[:40]),
                path=self._page.path,
            )
            return self._pages.error(404, gettext("No such mining pool"), str(text)).response(request)
        if isinstance(shown, str):  # whether there is such a pool nobody knows: nothing is kept of it
            return self._render_page(slug, (shown,)).response(request)
        made = self._made(("pool", shown.pool), partial(self._render_page, slug))
        return await made.show(shown).handle(request)

    def _made(self, key: Hashable, render: Callable[[Any], Answer]) -> Made[Over | Profile | str]:
        made = self._kept.get(key)
        if made is None:
            made = self._kept[key] = Made(render, partial(self._pages.age, ("history",)))
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made

    def _reason(self, error: Unavailable) -> str:
        """Always the same object for the same words."""
        if len(self._reasons) > KEPT:
            self._reasons.clear()
        reason: str = error.args[0]
        return self._reasons.setdefault(reason, reason)

    # --- rendering -----------------------------------------------------------------------------------

    def _render_index(self, name: str, order: Order, parts: tuple[Over | str]) -> Answer:
        shown = parts[0]
        over = None if isinstance(shown, str) else shown
        return self._pages.render(
            "miners/page.html",
            self._page,
            over=over,
            why=shown if isinstance(shown, str) else "",
            table=Table.of(over.miners if over else (), SORTED, order, partial(_address, name)),
            ranges=tuple(RANGES),
            labels=RANGE_LABELS,
            shorts=_SHORT_LABELS,
            shown=name,
            address=partial(_address, order=order),
            pool=_pool,
            here=_address(name, order),
        )

    def _render_page(self, slug: str, parts: tuple[Profile | str]) -> Answer:
        shown = parts[0]
        profile = None if isinstance(shown, str) else shown
        return self._pages.render(
            "miners/pool.html",
            self._page,
            profile=profile,
            why=shown if isinstance(shown, str) else "",
            within=_WITHIN,
            days=[(_day(*day), day[1]) for day in profile.activity.days] if profile else [],
            told=_told(profile.activity.days) if profile else "",
            here=_pool(slug),
        )


def _address(name: str, order: Order) -> str:
    """Of the list over a range in an order; what is usual goes without saying."""
    query = urlencode({**({} if name == USUAL else {"range": name}), **wording(SORTED, order)})
    return f"/network/miners?{query}" if query else "/network/miners"


def _pool(slug: str) -> str:
    """Address of a pool's page."""
    return f"/network/miners/{quote(slug, safe='')}"


def _day(day: int, blocks: int | None) -> str:
    """One bar of the picture in words."""
    date = moments.date(day * DAY)
    return f"{date}: {gettext('not known') if blocks is None else formats.blocks(blocks)}"


def _told(days: tuple[tuple[int, int | None], ...]) -> str:
    """The picture in words."""
    known = [blocks for _, blocks in days if blocks is not None]
    return gettext("Over %(count)s days, at most %(most)s on one.") % {
        "count": len(days), "most": formats.number(max(known, default=0)),
    }  # fmt: skip

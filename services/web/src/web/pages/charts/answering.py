"""The pages of the charts: an index, and one page a metric; rendered once for each change of what they show."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web

from web.charts.chart import RANGE_LABELS, Chart
from web.charts.drawing import cells, panel
from web.charts.metric import STYLES, Metric
from web.charts.metrics import METRICS
from web.charts.span import BadSpan
from web.http.answers import Answer, Unavailable
from web.pages.charts.glance import Glance, glance
from web.pages.made import Made
from web.pages.page import Page
from web.words import moments
from web.words.currency import CURRENCIES, counted
from web.words.sentence import say

if TYPE_CHECKING:
    from web.pages.rendering import Pages

Ask = Callable[[str, Mapping[str, str]], Awaitable[Chart]]
"""The chart of a metric for `range` or `from` and `to`; raises Unavailable, and BadSpan in words for a reader."""

KEPT: Final = 64
"""Pages kept ready at most."""

FIRST_ROWS: Final = 20
"""Rows of a table that are visible at once."""

_MOMENTS: Final = re.compile(r"[0-9TZ:-]{0,60}")
"""What may stand in from and to, and so in the links of the page; whether it means anything, `Ask` tells."""

_SHORT_LABELS: Final = {
    "mempool": say("Mempool"), "1h": say("1h"), "1d": say("1d"), "1w": say("1w"), "1m": say("1m"), "1y": say("1y"),
    "5y": say("5y"), "10y": say("10y"), "halving": say("Halving"), "all": say("All"),
}  # fmt: skip
"""Ranges on a narrow screen."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for: a range, or a span of one's own, which leads back to a range."""

    metric: Metric
    range: str
    span: tuple[str, str] | None
    log: bool
    currency: str  # empty: it is the same in each
    style: str = "line"  # one of the metric's

    @property
    def domains(self) -> tuple[str, ...]:
        """Whose figures the chart shows."""
        return self.metric.domains("" if self.span else self.range)

    @property
    def query(self) -> dict[str, str]:
        """As the API takes it."""
        if self.span is None:
            return {"range": self.range, **self.always}
        return {name: moment for name, moment in zip(("from", "to"), self.span, strict=True) if moment} | self.always

    @property
    def always(self) -> dict[str, str]:
        """What another range leaves as it is: the currency and the style, where they make a difference."""
        money = {"currency": self.currency} if self.currency else {}
        return money | ({"style": self.style} if self.style != self.metric.styles[0] else {})


class ChartPages:
    """Answers `/charts` and `/charts/{metric}`."""

    def __init__(self, page: Page, pages: Pages, ask: Ask) -> None:
        self._page = page
        self._pages = pages
        self._ask = ask
        self._index: Made[Chart | str] = Made(self._render_index, lambda: pages.age(("history", "mempool")))
        self._kept: OrderedDict[Asked, Made[Chart | str]] = OrderedDict()
        self._reasons: dict[str, str] = {}

    # --- requests ------------------------------------------------------------------------------------

    async def index(self, request: web.Request) -> web.StreamResponse:
        """`/charts`: every metric over its usual range."""
        found = [await self._chart(metric.name, {"range": metric.default}) for metric in METRICS.values()]
        return await self._index.show(*found).handle(request)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """`/charts/{metric}`: raises 404 for a metric that is not there; a wrong span is told in words, with 400."""
        metric = METRICS.get(request.match_info["metric"])
        if metric is None:
            raise web.HTTPNotFound
        try:
            asked = _asked(metric, request.query)
            chart = await self._chart(metric.name, asked.query)
        except BadSpan as error:
            return self._pages.error(400, str(error.title), str(error)).response(request)
        page = self._kept.get(asked)
        if page is None:
            page = self._kept[asked] = Made(partial(self._render, asked), partial(self._pages.age, asked.domains))
        self._kept.move_to_end(asked)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return await page.show(chart).handle(request)

    async def _chart(self, metric: str, query: Mapping[str, str]) -> Chart | str:
        """The chart, or why there is none (always the same object for the same words)."""
        try:
            return await self._ask(metric, query)
        except Unavailable as error:
            if len(self._reasons) > KEPT:
                self._reasons.clear()
            reason: str = error.args[0]
            return self._reasons.setdefault(reason, reason)

    # --- rendering -----------------------------------------------------------------------------------

    def _render_index(self, charts: tuple[Chart | str, ...]) -> Answer:
        glances = [
            Glance(metric, why=chart) if isinstance(chart, str) else glance(chart)
            for metric, chart in zip(METRICS.values(), charts, strict=True)
        ]
        return self._pages.render("charts/page.html", self._page, glances=glances)

    def _render(self, asked: Asked, shown: tuple[Chart | str]) -> Answer:
        found = shown[0]
        chart = None if isinstance(found, str) else found
        panels = [panel.panel(figure, chart, log=asked.log) for figure in chart.figures] if chart else []
        query = _query(asked.query)
        description = panel.description(chart, panels, query, asked.range, log=asked.log) if chart else {}
        return self._pages.render(
            "charts/chart.html",
            self._page,
            metric=asked.metric,
            chart=chart,
            why=found if isinstance(found, str) else "",
            panels=panels,
            log=asked.log,
            scalable=any(shown.picture and shown.figure.log for shown in panels),
            shown="" if asked.span else asked.range,
            back=asked.range,
            zoomed=asked.span is not None,
            chart_start=moments.moment(chart.start) if chart else "",
            chart_end=moments.moment(chart.end) if chart else "",
            labels=RANGE_LABELS,
            shorts=_SHORT_LABELS,
            address=partial(_address, asked),
            csv=partial(_csv, asked),
            styles={
                name: (STYLES[name], _address(replace(asked, style=name), "" if asked.span else asked.range, asked.log))
                for name in asked.metric.styles
            },
            style=asked.style,
            body=cells.rows,
            word_kinds=cells.WORDS,
            first_rows=FIRST_ROWS,
            in_currencies=CURRENCIES if asked.currency else (),
            in_currency=lambda code: _address(
                replace(asked, currency=code), "" if asked.span else asked.range, asked.log
            ),
            here=_address(asked, "" if asked.span else asked.range, asked.log),
            description=description,
        )


def _asked(metric: Metric, query: Mapping[str, str]) -> Asked:
    """Raises BadSpan, saying what would be right."""
    name = query.get("range", metric.default)
    if name not in metric.ranges:
        known = ", ".join(metric.ranges)
        raise BadSpan(
            say("%(metric)s has no range %(name)s; there are %(known)s.",
                metric=metric.title, name=repr(name[:20]), known=known)
        )  # fmt: skip
    start, end = query.get("from", ""), query.get("to", "")
    span = (start, end) if start or end else None
    if not _MOMENTS.fullmatch(start + end):
        raise BadSpan(say("The ends of a span are Unix seconds or dates such as 2024-04-20."))
    currency = counted() if metric.in_currency else ""
    return Asked(metric, name, span, query.get("scale") == "log", currency, metric.style(query.get("style", "")))


def _query(parts: Mapping[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in parts.items())


def _address(asked: Asked, name: str, log: bool) -> str:
    """Of the page with another range or scale; without a name the span stays."""
    parts = {"range": name, **asked.always} if name else asked.query | {"range": asked.range}
    return f"/charts/{asked.metric.name}?{_query(parts | ({'scale': 'log'} if log else {}))}"


def _csv(asked: Asked, figure: str) -> str:
    return f"/api/v1/charts/{asked.metric.name}?{_query(asked.query | {'format': 'csv', 'figure': figure})}"

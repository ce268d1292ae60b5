"""Rows of long tables that are kept: fewer are rendered, and pages are as if all of them were."""

from __future__ import annotations

import aiohttp
import msgspec
import pytest
from markupsafe import Markup

from shared.asset_views import RANKINGS
from shared.domains import MARKETCAP
from shared.price_views import PricesView
from support.ranking_samples import Rankings, rates
from support.web_harness import Running, until
from support.web_samples import Writer
from web.pages import kept, rendering
from web.pages.kept import Rows
from web.words.currency import counting
from web.words.language import LANGUAGES, speaking

PATHS = ("/market-cap", "/market-cap/coins", "/market-cap?sort=name", "/market-cap/coins?currency=EUR")


def row(one: str, other: str) -> Markup:
    return Markup("<b>{}</b>{}").format(one, other)


def test_a_row_is_rendered_once_for_what_it_shows() -> None:
    rows = Rows()
    assert rows.shown("a", row, "<1>", "2") == rows.shown("a", row, "<1>", "2") == "<b>&lt;1&gt;</b>2"
    assert rows.rendered == 1
    rows.shown("b", row, "<1>", "2")
    rows.shown("a", row, "<1>", "3")
    assert rows.rendered == 3, "another table, another text"
    with speaking(LANGUAGES["de"]):
        rows.shown("a", row, "<1>", "2")
    with counting("EUR"):
        rows.shown("a", row, "<1>", "2")
    assert rows.rendered == 5, "another language, another currency"


def test_rows_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT", 2)
    rows = Rows()
    for one in ("1", "2", "1", "3", "1"):
        rows.shown("a", row, one, "")
    assert rows.rendered == 3
    rows.shown("a", row, "2", "")
    assert rows.rendered == 4, "the one that was asked for longest ago went"


async def pages(site: Running) -> dict[str, str]:
    found = {}
    async with aiohttp.ClientSession(site.url) as http:
        for language in ("en", "de"):
            for path in PATHS:
                async with http.get(path, headers={"Accept-Language": language}) as response:
                    found[f"{language} {path}"] = await response.text()
                    assert response.status == 200
    return found


async def test_pages_are_as_if_every_row_were_rendered(still: None, site: Running, writer: Writer) -> None:
    rankings, state = Rankings(writer), site.site.state
    await rates(writer)
    for price in (100_000, 87_000, 87_000.5):
        await rankings.at(price)

        def known(wanted: float = price) -> bool:
            view = state.snapshot[RANKINGS["coins"]]
            own = [row for row in view.rows if row.kind == "bitcoin"] if view is not None else []
            return bool(own and own[0].price_usd == wanted and state.snapshot[PricesView])

        await until(known)
        before = site.site._pages.rows.rendered
        shown = await pages(site)
        rendered = site.site._pages.rows.rendered - before
        site.site._pages.rows._kept.clear()
        views = {kind: view for kind in RANKINGS.values() if (view := state.snapshot[kind]) is not None}
        state._show({kind: msgspec.structs.replace(view) for kind, view in views.items()})
        state._announce({MARKETCAP.name})
        assert await pages(site) == shown
        assert site.site._pages.rows.rendered > before + rendered, "all of them were"
        assert "<tr data-key=" in shown["en /market-cap"]
    assert 0 < rendered < sum(page.count("<tr data-key=") for page in shown.values()) / 2, rendered


def test_a_card_without_its_ages_is_the_same() -> None:
    said = '<p data-truth="x" data-now="5">as of <time datetime="a" title="b" data-ago>5 s ago</time> and <b>6</b></p>'
    later = said.replace("5 s ago", "1 min ago").replace('data-now="5"', 'data-now="9"')
    assert rendering._still(said) == rendering._still(later)
    assert rendering._still(said) != rendering._still(said.replace(">6<", ">7<"))
    plain = '<td><time datetime="a">5 s ago</time></td>'
    assert rendering._still(plain) == '<td><time datetime="a"></time></td>'

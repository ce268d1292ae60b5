"""Pages in the language of their reader: every sentence from a catalogue, each language kept apart, JSON in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from babel.messages.pofile import read_po

from docs.catalogues import gathered, missing, updated
from shared.domains import SERVICES, SLOTS, STREAMS
from shared.views import BlocksView
from support import pseudo
from support.markup import Balanced, text, words
from support.web_harness import Events, Running, serving, until
from support.web_samples import POOLS, Writer, chain, health
from support.web_states import NOW, STATES
from web.charts.metrics import METRICS
from web.miners.figures import SORTS
from web.miners.reading import RANGES
from web.pages.found import PAGES
from web.words import formats, language, moments
from web.words.currency import CURRENCIES
from web.words.language import ENGLISH, FOLDER, LANGUAGES, accepted, speaking
from web.words.sentence import altered, count, joined, say

GERMAN: Final = LANGUAGES["de"]
IN_GERMAN: Final = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
CATALOGUES: Final = sorted(FOLDER.glob("*.po"))


# --- catalogues -------------------------------------------------------------------------------------------


def test_there_is_a_catalogue_beside_english() -> None:
    assert set(LANGUAGES) == {"en", *(path.stem for path in CATALOGUES)}
    assert "de" in LANGUAGES


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_catalogue_says_all_that_the_sources_say_and_nothing_else(path: Path) -> None:
    with path.open("rb") as file:
        held = read_po(file)
    ours = {(message.context, message.id) for message in held if message.id}
    wanted = {(message.context, message.id) for message in gathered() if message.id}
    assert ours == wanted, "make words brings the catalogue up to the sources"
    assert missing(held) == []
    assert not held.obsolete
    assert [message.id for message in held if message.id and message.fuzzy] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_translation_has_the_places_and_the_markup_of_its_message(path: Path) -> None:
    with path.open("rb") as file:
        held = read_po(file, locale=path.stem)
    wrong = [(message.id, errors) for message, errors in held.check() if message.id and errors]
    assert wrong == []
    for message in held:
        if not message.id:
            continue
        ids, strings = _tuple(message.id), _tuple(message.string)
        for string in strings:
            one = ids[-1]
            assert sorted(re.findall(r"%\(\w+\)s|%%", string)) == sorted(re.findall(r"%\(\w+\)s|%%", one)), string
            assert sorted(re.findall(r"<[^>]*>", string)) == sorted(re.findall(r"<[^>]*>", one)), string
            assert '"' not in re.sub(r"<[^>]*>", "", string), f"would end an attribute: {string}"


def _tuple(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def test_a_message_that_is_new_is_seen(tmp_path: Path) -> None:
    catalogue = gathered()
    catalogue.add("A sentence that nobody translated")
    path = tmp_path / "de.po"
    path.write_bytes((FOLDER / "de.po").read_bytes())
    assert missing(updated(path, catalogue)) == ["A sentence that nobody translated"]


# --- nothing beside the catalogue -------------------------------------------------------------------------

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_CLDR: Final = {*_MONTHS, *(month[:3] for month in _MONTHS), "Sept"}
"""What CLDR writes, and not the catalogue."""

_UNITS: Final = {
    *(f"{prefix}{unit}" for prefix in ("", "k", "M", "G", "T", "P", "E") for unit in ("H/s", "vB", "vB/s", "B")),
    "sat/vB", "BTC", "sat", "K", "M", "G", "T", "P", "k", "UTC", *CURRENCIES,
}  # fmt: skip

_NAMES: Final = (
    *(service.name for service in SERVICES), *SLOTS, *(stream.called for stream in STREAMS if stream.called),
    *(name for metric in METRICS.values() for name in metric.ranges),
    *(name for name in (*POOLS, *RANGES, *SORTS) if name),
    "Bitcoin Dashboard", "main", "regtest", "Valkey", "standalone", "noeviction", "JSON", "/nowhere", "'2d'",
    "/network/miners", "'nobody'", "sort", "bitstamp",
)  # fmt: skip
"""Proper names, names that machines go by, and what the test itself asks for."""

_EVENT: Final = re.compile(r"\b[a-z]+\.[a-z_]+\b")
_HASH: Final = re.compile(r"\b[0-9a-f]{4,}\b")


def strange(html: str, known: set[str]) -> list[str]:
    """Words that people are told and that are neither in the catalogue nor names."""
    whole = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True) if " " in name) or "$"
    names = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(known, key=len, reverse=True))
    found = []
    for run in pseudo.outside(html):
        bare = re.sub(names, "", _HASH.sub("", _EVENT.sub("", re.sub(whole, "", run))))
        if not set(re.findall(r"[A-Za-z]+(?:/[A-Za-z]+)?", bare)) <= _CLDR | _UNITS:
            found.append(run)
    return found


def told_by_others(site: Running) -> set[str]:
    """What services, miners and Redis call themselves or say, which no catalogue knows."""
    snapshot = site.site.state.snapshot
    blocks = snapshot[BlocksView]
    found = {name for name in _NAMES if name}
    for block in blocks.blocks if blocks else ():
        tag = block.coinbase_tag
        found |= {name for name in (block.pool, tag, f"{tag[:15]}...", f"{tag[:21]}...") if name}
    for state in (snapshot, site.site.visitor.snapshot):
        for service in state.services:
            found |= {service.instance, service.reason, f"{service.reason}."}
            found |= {str(value) for value in service.details.values() if isinstance(value, str)}
        found |= {truth.incomplete for truth in state.truth.values()}
    return {name for name in found if name.strip(". ")}


def pages() -> Iterator[str]:
    yield from (page.path for page in PAGES.values())
    for metric in METRICS.values():
        yield from (f"/charts/{metric.name}?range={name}" for name in metric.ranges)
    yield "/charts/price?range=1m&style=candles"
    yield "/charts/difficulty?range=all&scale=log"
    yield "/charts/difficulty?from=2026-05-01&to=2026-05-20"
    yield "/charts/difficulty?range=2d"
    yield "/network/miners?range=all&sort=name"
    yield "/network/miners?sort=nobody"
    yield "/network/miners/nobody"
    yield "/network/miners/unknown"
    yield "/nowhere"


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("name", STATES)
async def test_no_sentence_stands_outside_the_catalogue(
    name: str, valkey: str, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "LANGUAGES", {**LANGUAGES, "xx": pseudo.language()})
    network, build = STATES[name]
    await build(Writer(writer.redis, network, NOW))
    async with serving(valkey, network=network, demo=name == "young") as site:
        await until(lambda: site.site.state.snapshot.read_at and site.site.state.snapshot.services)
        await site.site.state.refresh()
        known = told_by_others(site)
        found: dict[str, list[str]] = {}
        async with aiohttp.ClientSession(cookies={"language": "xx"}) as http:
            for base in (site.url, site.admin):
                for path in pages():
                    async with http.get(base + path) as response:
                        html = await response.text()
                    assert f"{pseudo.OPEN}Menu{pseudo.CLOSE}" in html, path
                    if wrong := strange(html, known):
                        found[path] = wrong
    assert found == {}


def test_what_is_in_no_catalogue_is_seen() -> None:
    assert strange("<p>Some words</p>", {"x y z"}) == ["Some words"]
    assert strange('<p title="Some words">⟦In⟧</p>', {"x y z"}) == ["Some words"]
    assert strange("<p>⟦At ⟧some words⟦.⟧</p>", {"x y z"}) == ["some words"]
    assert strange("<p>⟦At ⟧1,234.5 sat/vB⟦.⟧ 3 June 2026</p><code>Some words</code>", {"x y z"}) == []


# --- whose language ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("de", "de"), ("de-AT", "de"), ("DE-ch;q=0.3", "de"), ("fr, de;q=0.8, en;q=0.7", "de"), ("en-US,de", "en"),
        ("en;q=0.1,de;q=0.2", "de"), ("de;q=0, en", "en"), ("de;q=0", "en"), ("fr", "en"), ("*", "en"), ("", "en"),
        ("de;q=x", "en"), (";;;,,=", "en"), ("de" * 5_000, "en"),
    ],
)  # fmt: skip
def test_the_browser_says_what_its_reader_speaks(header: str, tag: str) -> None:
    assert accepted(header).tag == tag


async def test_a_page_is_in_its_readers_language(http: aiohttp.ClientSession) -> None:
    async with http.get("/", headers=IN_GERMAN) as response:
        html = await response.text()
        assert response.headers["Content-Language"] == "de"
        assert response.headers["Vary"] == "Accept-Encoding, Accept-Language, Cookie"
    Balanced(html)
    assert '<html lang="de"' in html
    assert "Nächstes Halving" in html
    assert "954.210" in html
    assert '<script type="application/json" id="words">' in html
    plain = await text(http, "/")
    assert '<html lang="en-GB"' in plain
    assert "Next halving" in plain
    assert 'id="words"' not in plain  # English stands in the script


async def test_a_choice_goes_before_what_the_browser_says(http: aiohttp.ClientSession) -> None:
    async with http.get("/language?to=en&from=/mempool", headers=IN_GERMAN, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/mempool")
        cookie = response.cookies["language"]
    assert (cookie.value, cookie["samesite"], cookie["path"], cookie["max-age"]) == ("en", "Lax", "/", "31536000")
    async with http.get("/mempool", headers=IN_GERMAN | {"Cookie": "language=en"}) as response:
        assert "as your node sees them" in await response.text()
    async with http.get("/mempool", headers={"Cookie": "a=b; language=de"}) as response:
        assert "wie der eigene Node sie sieht" in await response.text()
    async with http.get("/mempool", headers=IN_GERMAN | {"Cookie": "language=tlh"}) as response:
        assert "wie der eigene Node sie sieht" in await response.text()  # a choice that we do not know is none


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/charts/difficulty?range=all&scale=log", "/charts/difficulty?range=all&scale=log"),
        ("https://example.org/", "/"), ("//example.org/", "/"), ("/\\example.org", "/"), ("\\\\example.org", "/"),
        ("/%0d%0aSet-Cookie: a=b", "/%0d%0aSet-Cookie: a=b"), ("/\r\nSet-Cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
        ("/" + "x" * 5_000, "/"), ("/ü", "/"), ("", "/"), ("///example.org", "/"), ("/\t/example.org", "/"),
    ],
)  # fmt: skip
async def test_a_choice_leads_back_to_this_site_alone(http: aiohttp.ClientSession, asked: str, led: str) -> None:
    query = {"to": "de", "from": asked}
    async with http.get("/language", params=query, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, led)


async def test_a_language_that_is_not_there_is_refused(http: aiohttp.ClientSession) -> None:
    for query in ("", "?to=tlh"):
        async with http.get(f"/language{query}", allow_redirects=False) as response:
            assert response.status == 400
            assert "de" in (await response.json())["error"]["message"]
            assert not response.cookies


async def test_each_page_offers_every_language_under_its_own_name(history: tuple[Running, Any]) -> None:
    async with aiohttp.ClientSession(history[0].url, cookies={"language": "de"}) as http:
        for path in ("/", "/charts/hashrate?range=5y"):
            html = await text(http, path)
            links = re.findall(r'<a href="(/language[^"]*)" lang="([^"]*)" hreflang="([^"]*)"[^>]*>(.*?)</a>', html)
            assert [(lang, name) for _, lang, _, name in links] == [("en-GB", "English"), ("de", "Deutsch")]
            for href, *_ in links:
                async with http.get(href.replace("&amp;", "&"), allow_redirects=False) as response:
                    assert response.headers["Location"] == path


# --- what is kept -----------------------------------------------------------------------------------------


async def test_each_language_has_a_validator_of_its_own(site: Running, http: aiohttp.ClientSession) -> None:
    tags: dict[str, str] = {}
    for name, headers in (("en", {}), ("de", IN_GERMAN)):
        async with http.get("/api", headers=headers) as response:
            tags[name] = response.headers["ETag"]
    assert tags["en"] != tags["de"]
    for name, headers in (("en", {}), ("de", IN_GERMAN)):
        for etag, status in ((tags[name], 304), (tags["de" if name == "en" else "en"], 200)):
            async with http.get("/api", headers={**headers, "If-None-Match": etag}) as response:
                assert response.status == status
                assert "Accept-Language" in response.headers["Vary"]
    renders = site.site.documents["/api"].renders
    for _ in range(3):
        await text(http, "/api")
        async with http.get("/api", headers=IN_GERMAN) as response:
            await response.read()
    assert site.site.documents["/api"].renders <= renders + 2  # once a language where ten seconds have passed


async def test_nothing_is_rendered_in_a_language_that_nobody_reads(site: Running, http: aiohttp.ClientSession) -> None:
    await text(http, "/")
    assert set(site.site._pages._cards) == {"en USD"}
    async with http.get("/blocks", headers=IN_GERMAN) as response:
        await response.read()
    german = site.site._pages._cards["de USD"]
    made = {name for name, card in german.items() if card.rendered_at}
    assert made == set(PAGES["blocks"].cards)
    async with http.get("/", headers={"Accept-Language": "fr,tlh"}) as response:
        await response.read()
    assert set(site.site._pages._cards) == {"en USD", "de USD"}


async def test_what_programs_read_is_english(history: tuple[Running, Any]) -> None:
    site = history[0]
    paths = (
        "/api/v1/status", "/readyz", "/api/v1/overview", "/api/v1/charts/tx-fees?range=1m", "/api/nowhere",
        "/api/v1/charts/difficulty?range=2d", "/api/v1/charts/hashrate?from=x",
    )  # fmt: skip
    async with aiohttp.ClientSession(site.url) as http:
        for page in ("/charts/tx-fees?range=1m", "/status"):  # a German one is made first
            async with http.get(page, headers=IN_GERMAN) as response:
                assert 'lang="de"' in await response.text()
        for path in paths:
            bodies = []
            for headers in (IN_GERMAN, {}):
                async with http.get(path, headers=headers) as response:
                    bodies.append(
                        re.sub(rb'"(time_ms|as_of|now_ms|true_ms|to|from)":[\d.]+', b"", await response.read())
                    )
                    assert "Accept-Language" not in response.headers.get("Vary", "")
            assert bodies[0] == bodies[1], path


# --- pages that are not one document ----------------------------------------------------------------------


async def test_a_page_that_is_not_there_says_so_in_german(http: aiohttp.ClientSession) -> None:
    async with http.get("/nirgends", headers=IN_GERMAN) as response:
        assert response.status == HTTPStatus.NOT_FOUND
        html = await response.text()
    assert "Unter /nirgends gibt es nichts." in html
    assert "Fehler 404. Weiter mit" in words(html)


async def test_a_chart_is_german_down_to_its_axis(history: tuple[Running, Any]) -> None:
    async with aiohttp.ClientSession(history[0].url, headers=IN_GERMAN) as http:
        html = await text(http, "/charts/tx-volume?range=1w")
        assert re.search(r'<text class="t"[^>]*>\d{1,2}\. \w+', html)
        assert "Bewegt je Block" in html
        assert re.search(r"\d,\d+</span>&nbsp;<span class=\"u\">.?H/s", await text(http, "/charts/hashrate?range=1w"))
        async with http.get("/charts/difficulty?range=2d") as response:
            assert response.status == HTTPStatus.BAD_REQUEST
            assert "Schwierigkeit hat keinen Zeitraum" in await response.text()


async def test_open_pages_are_pushed_cards_in_their_language(site: Running, writer: Writer) -> None:
    async def listen(http: aiohttp.ClientSession, query: str, **headers: str) -> tuple[Events, dict[str, str]]:
        response = await http.get(f"/live?pages=blocks{query}", headers=headers)
        events = Events(response)
        return events, (await events.next()).data

    async with aiohttp.ClientSession(site.url, read_bufsize=2**20) as http:
        english, first = await listen(http, "&language=en-GB", **IN_GERMAN)  # as the page says, not the browser
        german, erste = await listen(http, "&language=de")
        heard, also = await listen(http, "", **IN_GERMAN)
        assert "Tip of the best chain" in first["blocks_summary"]
        assert "Spitze der besten Kette" in erste["blocks_summary"]
        assert also == erste
        assert len(list(site.site._live.audiences())) == 2
        await writer.chain(chain(height=954_211))
        await writer.health(health("chain-ingest", "starting"))
        for domain in ("chain", "mempool"):
            await writer.confirm(domain, age=60)
        for events, number, trouble in (
            (english, "954,211", "chain-ingest is starting"), (german, "954.211", "chain-ingest startet"),
            (heard, "954.211", "chain-ingest startet"),
        ):  # fmt: skip
            told: dict[str, str] = {}
            node = ""
            while number not in told.get("blocks_summary", "") or not node:
                message = await events.next()
                if message.event == "cards":
                    told |= message.data
                else:
                    node = message.data["node"]
            assert node == trouble


# --- sentences --------------------------------------------------------------------------------------------


def test_a_sentence_is_english_until_it_is_shown() -> None:
    inner = say("the mempool")
    outer = altered(say("%(domain)s is not known", domain=inner), str.upper)
    both = joined(outer, count("%(number)s day", "%(number)s days", 1_234))
    assert both == "THE MEMPOOL IS NOT KNOWN 1,234 days"
    with speaking(GERMAN):
        assert both == "THE MEMPOOL IS NOT KNOWN 1,234 days"  # compared, kept and written to JSON as it is
        assert f"{both}" == str(both) == str(both.__html__()) == "DER MEMPOOL IST NICHT BEKANNT 1.234 Tage"
        assert say("the mempool") == inner


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (formats.whole, 953_568, "953.568"), (formats.hashrate, 7.1e6, "7,10 MH/s"),
        (formats.difficulty, 138_955_357_012_247.3, "138,96 T"),
        (formats.btc, 2_004_440_937_500_000, "20.044.409,375 BTC"), (formats.btc, 100_000_000_000, "1.000 BTC"),
        (formats.amount, 999_999, "999.999 sat"), (formats.feerate, 1_000.0, "1.000 sat/vB"),
        (formats.feerate, 1.5, "1,5 sat/vB"), (formats.feerate, 0.05, "0,05 sat/vB"),
        (formats.percent, 43.14, "43,1 %"), (formats.blocks, 1, "1 Block"), (formats.blocks, 2_016, "2.016 Blöcke"),
        (moments.duration, 86_400 * 400, "1 J 34 T"), (moments.age, 3_599, "vor 59 min"),
        (moments.age, 0, "gerade eben"),
        (moments.long_duration, 31_556_952 + 2 * 86_400 + 7_200, "1 Jahr 2 Tage 2 h"), (formats.ordinal, 3, "3."),
        (moments.date, 1_780_500_000, "3. Juni 2026"), (moments.minute, 1_780_500_000, "3. Juni 2026, 15:20 UTC"),
        (formats.label, "node_version", "Version des Nodes"), (formats.label, "never_heard_of", "Never heard of"),
        (formats.detail, 954_210, "954.210"), (formats.whole, float("nan"), "außerhalb des Bereichs"),
    ],
)  # fmt: skip
def test_a_value_reads_as_germans_write_it(form: Any, value: Any, text: str) -> None:
    with speaking(GERMAN):
        assert str(form(value)) == text
    assert language.spoken() is ENGLISH

"""Whatever a view, a heartbeat or a stream holds: one card says that it cannot be shown, and the rest stands."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from dataclasses import replace
from typing import Any

import aiohttp
import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import domains, redis
from shared.events.derived import MetricsUpdated, SeriesUpdated
from shared.keys import Keys
from shared.networks import NETWORKS
from shared.views import (
    LARGEST_RANGES,
    BlocksView,
    ConfirmedLargestView,
    ConfirmedTx,
    HistoryView,
    MempoolView,
    TipView,
    View,
)
from support.markup import Balanced, text, words
from support.series_samples import fill
from support.web_harness import until
from support.web_samples import block_connected, chain, health, known, mempool, tx_added
from web.api.largest import largest_answer
from web.api.status import readiness
from web.charts.data.reading import SeriesReader
from web.charts.metrics import METRICS
from web.charts.serving.store import Charts
from web.charts.serving.written import as_json
from web.compat import past
from web.http.answers import Unavailable
from web.http.assets import Assets
from web.pages.charts.answering import Asked, ChartPages
from web.pages.found import CARDS, PAGES
from web.pages.rendering import Pages
from web.state.held import Held
from web.state.reading import State
from web.state.snapshot import Group, RedisReport, Snapshot, StreamReport
from web.state.truth import CONFIRMED_BY, Truth
from web.website import endpoints
from web.words import formats, moments
from web.words.quantity import ABSURD, Quantity

FILTERS = {**formats.FILTERS, **moments.FILTERS}

LARGE = st.integers(-(2**63), 2**64 - 1)
NUMBERS = st.one_of(st.integers(-5, 5), LARGE, st.sampled_from([10**15, 10**18, -(10**15), 2**63 - 1]))
NOW = time.time()
FLOATS = st.floats(allow_nan=True, allow_infinity=True)


def with_numbers(view: Any, draw: st.DrawFn) -> Any:
    """The view with other numbers of the same types in some of its places."""
    if isinstance(view, msgspec.Struct):
        fields = {name: with_numbers(getattr(view, name), draw) for name in view.__struct_fields__}
        return type(view)(**fields)
    if isinstance(view, list):
        return [with_numbers(one, draw) for one in view[: draw(st.integers(0, 3))]]
    if isinstance(view, tuple):
        return tuple(with_numbers(one, draw) for one in view)
    if isinstance(view, bool) or not isinstance(view, int | float) or draw(st.booleans()):
        return view
    return draw(NUMBERS) if isinstance(view, int) else draw(FLOATS)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    now = time.time()
    views = {**chain(now=now), **mempool(now=now)}
    changed = {name: with_numbers(view, draw) for name, view in views.items()}
    services = tuple(with_numbers(health(name, lag=3, rate=1.5), draw) for name in ("chain-ingest", "mempool", "web"))
    groups = (Group("g", draw(NUMBERS), 0, 0),)
    stream = StreamReport("txs", "key", draw(NUMBERS), draw(NUMBERS), "1-1", draw(NUMBERS), groups)
    return Snapshot(
        NETWORKS[draw(st.sampled_from(["main", "testnet4", "regtest"]))],
        views=known(changed),
        services=services,
        streams=(stream,),
        dead={"chain": draw(NUMBERS), "mempool": None},
        redis=RedisReport("Valkey", "9", "", draw(NUMBERS), draw(NUMBERS), draw(NUMBERS), "noeviction"),
        truth=dict.fromkeys(CONFIRMED_BY, Truth(None))
        | {"chain": Truth(draw(NUMBERS), "main"), "history": Truth(draw(NUMBERS))},
        read_at=now,
        redis_lost_at=draw(FLOATS),
    )


@functools.cache
def rendering() -> Pages:
    """Pages over a state that no Redis fills: the templates are compiled once."""
    log = structlog.get_logger()
    state = State(Snapshot(NETWORKS["main"]), Keys("main"), None, log)
    return Pages(state, Assets(log).urls, "0.1.0", ("txs",), log)


@given(snapshots())
def test_every_page_card_and_document_is_made_of_any_numbers(snapshot: Snapshot) -> None:
    pages = rendering()
    state = pages._state
    state.snapshot = snapshot
    state._judge(set())
    for card in pages._read().values():
        card.stale = True
    for page in PAGES.values():
        if page.routes is None:
            Balanced(pages.page(page).body.decode())
    assert set(pages._read()) == set(CARDS)
    declared = endpoints()
    assert len(declared) >= 19
    for endpoint in declared:
        answer = endpoint.build(state)
        assert answer.status in (200, 503)
        if answer.content_type == "application/json":
            json.loads(answer.body)
    assert readiness(snapshot, state.now, pages.broken()).status in (200, 503)
    json.dumps(state.pulse())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FILTERS)), st.one_of(NUMBERS, FLOATS, st.just(10**400), st.just(-(10**5000))))
def test_every_format_is_total(name: str, value: float) -> None:
    if name in ("short", "label", "country"):  # of words
        return
    arguments = ("block",) if name == "counted" else ()
    made = FILTERS[name]
    shown = made({"now": NOW}, value) if hasattr(made, "jinja_pass_arg") else made(value, *arguments)
    assert str(shown).strip()
    assert isinstance(shown, Quantity | str)
    assert "inf" not in str(shown).replace("info", "")
    assert "nan" not in str(shown)


HEIGHTS = st.sampled_from([0, 1, 2_015, 2_016, 954_210, 499_999_999] * 3 + [-1, 10**9, 10**18])
TIMES = st.sampled_from([0, int(NOW) - 10**8, int(NOW), 2**32 - 1] * 3 + [-1, 2**32, 10**18])


@st.composite
def histories(draw: st.DrawFn) -> dict[str, View]:
    """The views of chain-history, with any numbers."""
    confirmed = [
        ConfirmedTx(txid=f"{n:064}", value=draw(NUMBERS), height=draw(HEIGHTS), time=draw(TIMES)) for n in (1, 2)
    ]
    largest = ConfirmedLargestView(since=draw(TIMES), complete=True, transactions=confirmed)
    history = HistoryView(
        network="main",
        height=draw(HEIGHTS),
        hash="00" * 32,
        time=draw(TIMES),
        first_header=draw(HEIGHTS),
        floor_hash="",
        measured=draw(NUMBERS),
        unavailable=draw(NUMBERS),
        missing=[(draw(HEIGHTS), draw(HEIGHTS))],
        measured_from=draw(st.one_of(st.none(), HEIGHTS)),
        measured_from_time=draw(st.one_of(st.none(), TIMES)),
        complete=draw(st.booleans()),
    )
    return {"history": history, **{f"largest_{name}": largest for name in LARGEST_RANGES}}


def read(views: dict[str, View]) -> dict[type[View], View]:
    """Those that web takes for views when it reads them."""
    raw = {name.encode(): msgspec.json.encode(view) for name, view in views.items()}
    found = Held(structlog.get_logger()).views("history", raw)
    return {kind: view for kind, view in found.items() if view is not None}


async def drawn(url: str, snapshot: Snapshot) -> None:
    """Every chart, page and document of the series, of a Redis that holds none."""
    log, keys, client = structlog.get_logger(), Keys("main"), redis.connect(url)
    state = State(snapshot, keys, client, log)
    reader = SeriesReader(client, keys, snapshot.network)
    charts = Charts(state, reader)
    pages = ChartPages(PAGES["charts"], rendering(), charts.asked)
    try:
        for metric in METRICS.values():
            for name in metric.ranges:
                try:
                    chart = await charts.chart(metric.name, charts.span(metric, {"range": name}))
                except Unavailable:
                    continue  # in words; what else it raises fails
                else:
                    json.loads(as_json(chart).body)
                    asked = Asked(metric, name, None, log=False, currency="")
                    Balanced(pages._render(asked, (chart,)).body.decode())
        for name in ("mempool", *LARGEST_RANGES):
            answer = largest_answer(snapshot, name, state.now)
            assert answer.status in (200, 503)
            json.loads(answer.body)
        history = snapshot[HistoryView]
        if history is not None:
            of_chain = [one for one in past.every() if one.domain == "history"]
            of_chain = [one for one in of_chain if "blocks" not in one.paths[0] or "/fees/" in one.paths[0]]
            assert len(of_chain) == 4  # the other means of blocks read the same
            for interval in ("24h", "1m", "3y", "all"):
                asked_for = past.Asked(reader, interval, int(state.now), history, snapshot[TipView])
                for one in of_chain:
                    try:
                        json.dumps(await one.build(asked_for))
                    except Unavailable:
                        continue
    finally:
        await charts.close()
        await client.aclose()


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(snapshots(), histories())
def test_every_chart_is_made_of_any_history(valkey: str, snapshot: Snapshot, views: dict[str, View]) -> None:
    rendering()._state.snapshot = snapshot
    asyncio.run(asyncio.wait_for(drawn(valkey, replace(snapshot, views={**snapshot.views, **read(views)})), 8))


async def test_a_history_of_absurd_height_stalls_nobody(site: Any, writer: Any, http: aiohttp.ClientSession) -> None:
    state = site.site.state
    for height, told in ((10**18, "history: Expected `int` <= 499999999"), (499_999_999, "")):
        await fill(writer.redis, writer.keys, blocks=50, announce=False)
        raw = json.loads(await writer.redis.hget(writer.keys.views(domains.HISTORY), "history"))
        raw["height"] = height
        await writer.redis.hset(writer.keys.views(domains.HISTORY), "history", json.dumps(raw))
        announcement = SeriesUpdated(series=["headers"], height=1, hash="00", measured=1, since=0)
        await writer.add(writer.keys.stream(domains.SERIES), announcement)
        if told:
            await until(lambda: any(told in words for words in state.snapshot.unreadable))  # noqa: B023 - awaited at once
        else:
            await until(lambda: state.snapshot[HistoryView] and not state.snapshot.unreadable)
        began = time.monotonic()
        for path in ("/charts", *(f"/charts/{metric}" for metric in METRICS), "/"):
            html = await text(http, path)
            Balanced(html)
        async with http.get("/api/v1/mining/blocks/fees/1w") as response:
            assert response.status == 503
        assert time.monotonic() - began < 10


def test_a_moment_that_cannot_be_is_said_in_words() -> None:
    year = 31_556_952
    for seconds in (year * 10**15, -year * 10**6, float("nan"), float("inf"), 10**400):
        assert moments.ago(seconds, NOW) == ABSURD
        assert moments.day(seconds) == ABSURD
        assert moments.utc(seconds) == ABSURD


async def test_absurd_blocks_leave_the_rest_of_the_overview(
    site: Any, writer: Any, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = chain()
    rows = [msgspec.structs.replace(views["blocks"].blocks[0], time=10**17, size=-1, weight=2**62)]
    await writer.chain({**views, "blocks": msgspec.structs.replace(views["blocks"], blocks=rows)})
    await until(lambda: len(site.site.state.snapshot[BlocksView].blocks) == 1)
    for path in ("/", "/blocks"):
        html = await text(http, path)
        Balanced(html)
        assert ABSURD in words(html)
    async with http.get("/readyz") as response:
        assert response.status == 200, await response.text()
    # A card that cannot be rendered at all, whatever the reason: it says so, the others stand, and readiness tells.
    broken = site.site._pages._read()["blocks_short"]

    def fails() -> str:
        raise ZeroDivisionError("no such figure")

    monkeypatch.setattr(broken, "_render", fails)
    broken.stale = True
    site.site.documents["/"].invalidate()
    html = await text(http, "/")
    Balanced(html)
    card = html.partition('id="card-blocks_short"')[2].split("</section>")[0]
    assert "Cannot be shown" in card
    assert "954,210" in words(html)
    assert "21.9 MvB" in words(html)
    async with http.get("/readyz") as response:
        assert response.status == 503
        assert "card blocks_short cannot be shown: ZeroDivisionError" in await response.text()
    monkeypatch.undo()
    broken.stale = True
    async with http.get("/readyz") as response:
        assert response.status == 200


async def test_numbers_beyond_64_bits_are_a_view_that_cannot_be_read(
    site: Any, writer: Any, http: aiohttp.ClientSession
) -> None:
    raw = json.loads(msgspec.json.encode(chain()["retarget"]))
    raw["start_time"] = 10**30
    await writer.redis.hset(writer.keys.views(domains.CHAIN), "retarget", json.dumps(raw))
    await writer.add(writer.keys.stream(domains.METRICS), MetricsUpdated(views=["retarget"], height=1, hash="00"))
    await until(lambda: site.site.state.snapshot.unreadable)
    shown = words(await text(http, "/"))
    assert "retarget: Integer exceeds 64-bit range" in shown
    assert "954,210" in shown
    async with http.get("/api/v1/difficulty-adjustment") as response:
        assert response.status == 503


async def test_an_absurd_heartbeat_ends_neither_the_page_nor_the_process(
    site: Any, writer: Any, http: aiohttp.ClientSession
) -> None:
    async with http.get("/live?pages=status") as live:
        await live.content.readuntil(b"\n\n")
        good = health("mempool")
        for instance, changes in (
            ("far", {"time_ms": 10**18}),
            ("old", {"time_ms": -(10**18)}),
            ("began", {"started_ms": 10**18}),
            ("fat", {"rss": 10**30, "details": {"lag": 10**400, "share": 1e308}}),
        ):
            report = msgspec.structs.replace(good, instance=instance, **changes)
            await writer.redis.hset(writer.keys.health, instance, msgspec.json.encode(report))
        await writer.redis.hset(writer.keys.health, b"\xff\xfe", b"\x00 no JSON")
        await until(lambda: len(site.site.state.snapshot.services) >= 7)
        html = await text(http, "/status")
        Balanced(html)
        shown = words(html)
        assert "is ahead of Redis" in shown
        assert ABSURD in shown
        async with http.get(f"{site.admin}/api/v1/status") as response:
            assert response.status == 200
            states = {one["instance"]: one["state"] for one in (await response.json())["services"]}
        assert states["old"] == "down"
        assert "far" not in states
        await until(lambda: site.site.state.snapshot.active("mempool").instance != "far")
        await writer.mempool(mempool(50_001))
        await until(lambda: site.site.state.snapshot[MempoolView].count == 50_001)
        assert await asyncio.wait_for(live.content.readuntil(b"\n\n"), 5)
    assert not site.site.failed.done()


async def test_absurd_entries_reach_the_clients_and_end_nothing(site: Any, writer: Any) -> None:
    """Each stream gets entries that are well-formed for Redis and for nobody else."""
    entries = (
        {"type": "x\nid: 5\ndata: {}", "seq": "9" * 6_000, "data": "{}\n\nevent: reset"},
        {"type": "", "seq": "-1", "data": ""},
        {"nothing": "of ours"},
    )
    async with (
        aiohttp.ClientSession(site.admin) as http,
        http.get("/api/v1/events", params={"streams": ",".join(domains.streams_of(writer.keys))}) as response,
    ):
        raw = await response.content.readuntil(b"\n\n")
        for stream in domains.streams_of(writer.keys).values():
            for fields in entries:
                await writer.redis.xadd(stream, fields)
        await writer.add(writer.keys.stream(domains.BLOCKS), block_connected(7))
        await writer.add(writer.keys.stream(domains.TXS), tx_added(9))
        while b"event: block.connected\n" not in raw or b"event: tx.added\n" not in raw:
            raw += await asyncio.wait_for(response.content.readany(), 5)
    assert raw.count(b"event: message\n") == 3 * len(domains.streams_of(writer.keys))
    assert b"\nid: 5\n" not in raw
    assert b"\nevent: reset" not in raw
    assert not site.site.failed.done()
    await until(lambda: site.site.state.snapshot[TipView] is not None)


async def test_a_failing_subscriber_harms_nobody_else(
    site: Any, writer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    state, told = site.site.state, []

    def fails() -> None:
        raise RuntimeError("a page of ours is broken")

    state._subscribers["mempool"].insert(0, fails)
    state.subscribe(("mempool",), lambda: told.append(1))
    state._after.insert(0, fails)
    for count in (1_000, 2_000, 3_000):
        await writer.mempool(mempool(count))
        await until(lambda: state.snapshot[MempoolView].count == count)  # noqa: B023 - awaited at once
    assert len(told) >= 3
    assert not site.site.failed.done()
    logged = capsys.readouterr().out
    assert logged.count("a page of ours is broken") == 1  # once a minute


async def test_redis_that_answers_nonsense_is_read_again(
    site: Any, writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nonsense(*_: Any) -> Any:
        raise KeyError("last-generated-id")

    monkeypatch.setattr("web.state.survey.take", nonsense)
    faults = site.site.state._faults
    await until(lambda: site.site.state._faults >= faults + 2, 10)
    monkeypatch.undo()
    before = len(site.site.state.snapshot.services)
    await writer.health(health("late"))
    await until(lambda: len(site.site.state.snapshot.services) == before + 1)

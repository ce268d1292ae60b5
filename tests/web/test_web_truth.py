"""How old the figures are: what the node confirmed, told in every answer, on every card, and by /readyz."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import msgspec
import pytest

from shared import domains, redis
from shared.clock import RedisClock
from shared.domains import SLOTS
from shared.keys import FOLDED_SEQ
from shared.views import MempoolView, PreciseFees, RetargetView, TipView
from support.each import each
from support.fee_samples import FEES, precise
from support.markup import Balanced, text, words
from support.web_harness import serving, until
from support.web_samples import chain, health, mempool
from web.state.truth import Witness
from web.words import moments

# --- told ----------------------------------------------------------------------------------------------


async def test_age_moves_on_with_the_bytes_that_stand_ready(
    site: Any, writer: Any, http: aiohttp.ClientSession
) -> None:
    paths = ("/", "/mempool", "/blocks", "/api/v1/overview", "/api/v1/fees/recommended", "/api/blocks/tip/height")
    for domain in ("chain", "mempool"):
        await writer.redis.delete(writer.keys.confirmed(domain))
        await writer.confirm(domain, age=3)
        site.site.state._witnesses[domain] = Witness()
    state = site.site.state
    said = {
        domain: int(await writer.redis.hget(writer.keys.confirmed(domain), "time_ms"))
        for domain in ("chain", "mempool")
    }
    await until(lambda: {domain: state.snapshot.truth[domain].true_ms for domain in said} == said)
    await until(lambda: all(3 <= (state.age((domain,)) or 0) < 8 for domain in ("chain", "mempool")))

    async def ages() -> list[int]:
        """What each answer says, held against the state's own age; the bytes that stand ready are of this second."""
        found = []
        for path in paths:
            for method, headers in (("GET", {}), ("HEAD", {}), ("GET", {"If-None-Match": "*"})):
                least = min(state.age((domain,)) or 0 for domain in ("chain", "mempool"))
                async with http.request(method, path, headers=headers) as response:
                    assert response.status in (200, 304), path
                    told = int(response.headers["Age"])
                most = max(state.age((domain,)) or 0 for domain in ("chain", "mempool"))
                # of this second; one more where a late answer moved what we take for Redis' clock meanwhile
                assert int(least) - 2 <= told <= most + 1, (path, method)
                found.append(told)
        return found

    first = await ages()
    assert min(first) >= 2
    renders = site.site.documents["/api/blocks/tip/height"].renders
    await until(lambda: (state.age(("chain",)) or 0) >= max(first) + 2, 10)
    later = await ages()
    assert min(later) > max(first)
    assert site.site.documents["/api/blocks/tip/height"].renders == renders  # only its head is another
    async with http.get("/api/v1/overview") as response:
        found = await response.json()
    assert found["as_of"] == min(truth.true_ms for truth in state.snapshot.truth.values() if truth.true_ms) // 1000


async def test_a_fold_that_stops_or_a_node_that_is_silent_ages_everything(
    site: Any, writer: Any, http: aiohttp.ClientSession
) -> None:
    async with http.get("/readyz") as response:
        assert response.status == 200, await response.text()
    html = await text(http, "/")
    assert "data-aged" not in html
    state = site.site.state
    # The fold stands still: chain-ingest goes on to confirm, further than the views have come.
    await writer.confirm("mempool", age=25)
    state._witnesses["mempool"] = Witness()
    await until(lambda: state.snapshot.truth["mempool"].stale(state.now))
    await writer.confirm("mempool", seq=10**6)
    reason = "the node at http://127.0.0.1:8332 does not answer"
    await writer.health(health("chain-ingest", "degraded", reason=reason, height=954_300))
    await until(lambda: any(reason in notice.text for notice in state.notices if notice.kind == "failed"))
    async with http.get(f"{site.admin}/readyz") as response:
        assert response.status == 503
        message = (await response.json())["error"]["message"]
    assert "mempool: last known to be true 2" in message
    assert reason in message
    assert "chain:" not in message
    assert state.pulse()["node"] == reason
    for path in ("/", "/mempool"):
        html = await text(http, path)
        Balanced(html)
        for card in html.split('<section class="card')[1:]:
            body = card.split("</section>")[0]
            aged = 'data-domain="mempool"' in body or 'data-domain="chain mempool"' in body
            assert aged == ("data-aged" in body), body[:300]
        shown = words(html)
        assert "The mempool may be out of date" in shown
        assert "as of 2" in shown
        assert "Mempool as of just now" not in shown
        assert "Mempool as of 2" in shown
        assert 'data-server="stale"' in html
    blocks = await text(http, "/blocks")
    assert "data-aged" not in blocks
    # It comes again.
    await writer.mempool()
    await writer.health(health("chain-ingest"))
    await until(lambda: not state.notices)
    assert "data-aged" not in await text(http, "/")
    async with http.get("/readyz") as response:
        assert response.status == 200, await response.text()


async def test_views_that_changed_without_an_event_are_read(site: Any, writer: Any) -> None:
    view = chain(height=954_900)["tip"]
    raw = {"tip": msgspec.json.encode(view), FOLDED_SEQ: 77}
    await writer.redis.hset(writer.keys.views(domains.CHAIN), mapping=raw)
    await until(lambda: site.site.state.snapshot[TipView].height == 954_900)


async def test_the_pulse_and_the_page_tell_the_same_moments(
    site: Any, writer: Any, http: aiohttp.ClientSession
) -> None:
    html = await text(http, "/")
    pulse = site.site.state.pulse()
    assert set(pulse) == {"now_ms", *(f"{slot}_ms" for slot in SLOTS), "node"}
    assert pulse["node"] == ""
    assert f'data-truth-chain="{pulse["chain_ms"]}"' in html
    assert f'data-truth-mempool="{pulse["mempool_ms"]}"' in html
    assert 'data-now="' in html
    assert abs(pulse["now_ms"] - pulse["chain_ms"]) < 5_000
    assert '<div class="foot" id="card-foot" data-card="foot" data-domain="chain mempool">' in html


async def test_heartbeats_count_by_redis_clock(site: Any, writer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock of the machine that web runs on is a day ahead: nobody is down for that, and nothing is stale."""
    wall = time.time
    monkeypatch.setattr("time.time", lambda: wall() + 86_400)
    state = site.site.state
    read = state.snapshot.read_at
    await until(lambda: state.snapshot.read_at > read + 2)  # another reading of the heartbeats
    assert state.notices == ()
    async with aiohttp.ClientSession(site.url) as http, http.get("/readyz") as response:
        assert response.status == 200


async def test_every_age_and_estimate_counts_by_the_clock_that_the_page_names(
    site: Any, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's wall clock is a day ahead, and nobody can see that."""
    wall = time.time
    monkeypatch.setattr("time.time", lambda: wall() + 86_400)
    for path in ("/", "/mempool", "/blocks"):
        site.site.documents[path].invalidate()
    for card in site.site._pages._read().values():
        card.stale = True
    assert "data-ago>4 min ago</time>" in await text(http, "/")
    assert "Found4 min ago" in words(await text(http, "/blocks"))
    assert "25 min ago" in words(await text(http, "/mempool"))
    left, shown = site.site.state.snapshot[RetargetView].estimated_time - wall(), words(await text(http, "/"))
    assert any(f"in {moments.duration(left + passed)}" in shown for passed in (0, 10))
    site.site.documents["/api/v1/difficulty-adjustment"].invalidate()
    async with http.get("/api/v1/difficulty-adjustment") as response:
        found = await response.json()
    assert found["estimatedRetargetDate"] - found["remainingTime"] == pytest.approx(wall() * 1000, abs=5_000)
    status = words(await text(http, "/status"))
    assert "Last heartbeat1 d" not in status
    assert "1 d ago" in status  # when they were started


async def test_a_clock_of_redis_that_went_back_confirms_nothing(
    site: Any, writer: Any, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour back, and the node is silent: the figures are not an hour younger, their age is not known."""
    state, told = site.site.state, RedisClock.told
    monkeypatch.setattr(RedisClock, "told", lambda self, ms, steady: told(self, ms - 3_600_000, steady))
    await until(lambda: all(truth.true_ms is None for truth in state.snapshot.truth.values()))
    await until(lambda: any("ahead of Redis' clock" in notice.text for notice in state.notices))
    for path in FEES:
        async with http.get(path) as response:
            assert (response.status, "Age" in response.headers) == (503, False), path
    async with http.get("/api/v1/overview") as response:
        assert "Age" not in response.headers
        assert (await response.json())["as_of"] is None
    async with http.get("/readyz") as response:
        assert response.status == 503
        assert "not known when it was true" in await response.text()
    assert (state.pulse()["chain_ms"], state.pulse()["mempool_ms"]) == (None, None)
    for domain in ("chain", "mempool"):  # the node is heard again, by the clock as it is now
        await writer.confirm(domain, age=3_600)
    await until(lambda: not any(state.snapshot.truth[domain].stale(state.now) for domain in ("chain", "mempool")))


# --- what is wrong is told, once, by its name ------------------------------------------------------------


async def test_redis_that_is_held_up_is_said_to_be(valkey: str, writer: Any) -> None:
    """It answers, if only with BUSY, even to TIME: nobody is told that it does not answer."""
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    await writer.redis.config_set("busy-reply-threshold", 50)
    other = redis.connect(valkey)
    async with serving(valkey) as running, aiohttp.ClientSession(running.url) as http:
        await running.ready()
        state = running.site.state
        script = asyncio.create_task(other.eval("while true do end", 0))
        try:
            await until(lambda: state.snapshot.redis_error)
            sentence = "Redis is held up by a script that does not end"
            assert state.snapshot.redis_error.startswith(sentence)
            [notice] = state.notices
            assert (notice.title, notice.text.startswith(sentence)) == ("Trouble with Redis", True)
            for path in ("/", "/status", "/readyz", "/api/v1/status", "/charts/hashrate", "/api/v1/charts/hashrate"):
                async with http.get(path) as response:
                    told = await response.text()
                assert sentence in told, path
                assert "does not answer" not in told, path
        finally:
            await writer.redis.script_kill()
            await asyncio.wait([script])
            assert script.exception() is not None  # killed, or the client waited no longer
            await other.aclose()
            await writer.redis.config_set("busy-reply-threshold", 5_000)
        await until(lambda: not state.snapshot.redis_error and not state.notices)


async def test_a_confirmation_that_says_nonsense_is_logged_once(
    site: Any, writer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    state = site.site.state
    ahead = int((state.now + 3_600) * 1000)
    await writer.redis.hset(writer.keys.confirmed("chain"), mapping={"seq": "x"})
    await writer.redis.hset(writer.keys.confirmed("mempool"), mapping={"time_ms": ahead})
    await until(lambda: len(state.snapshot.unreadable) == 2)
    unreadable, readings = state.snapshot.unreadable, state.changes["status"]
    await until(lambda: state.changes["status"] >= readings + 2)
    assert state.snapshot.unreadable == unreadable  # and so neither is the notice another each time
    logged = capsys.readouterr().out
    for domain in ("chain", "mempool"):
        assert logged.count(f"what {writer.keys.confirmed(domain)} says") == 1, logged
        await writer.confirm(domain)
    await until(lambda: not state.snapshot.unreadable)


async def test_a_surprise_after_an_outage_is_not_told_as_the_outage(
    site: Any, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any) -> Any:
        raise ConnectionError("Error 111 connecting")

    async def surprise(*_: Any) -> Any:
        raise KeyError("last-generated-id")

    state = site.site.state
    monkeypatch.setattr("web.state.survey.take", lost)
    await until(lambda: state.snapshot.redis_error)
    assert "Trouble with Redis" in words(await text(http, "/"))
    monkeypatch.setattr("web.state.survey.take", surprise)
    await until(lambda: not state.snapshot.redis_error)
    await until(lambda: any("reading: KeyError" in notice.text for notice in state.notices))
    assert "Trouble with Redis" not in words(await text(http, "/"))
    monkeypatch.undo()
    await until(lambda: not state.notices)


# --- decimals ------------------------------------------------------------------------------------------


async def test_decimals_where_a_person_sees_them_and_integers_where_the_original_has_them(
    site: Any, writer: Any, http: aiohttp.ClientSession
) -> None:
    before = mempool(17, 5_000)
    await writer.mempool({**before, "fees": msgspec.structs.replace(before["fees"], precise=None)})
    await until(lambda: site.site.state.snapshot[MempoolView].count == 17)
    async with http.get("/api/v1/fees/precise") as response:
        assert response.status == 503  # a fold of before does not tell them
    await writer.mempool(precise())
    await until(lambda: site.site.state.snapshot[MempoolView].count == 3)
    async with http.get("/api/v1/fees/precise") as response:
        assert await response.json() == dict.fromkeys(PreciseFees.__struct_fields__, 0.1)
    async with http.get("/api/v1/fees/recommended") as response:
        assert each(isinstance(fee, int) for fee in (await response.json()).values())
    for path, card in (("/", "next_fee"), ("/", "fees"), ("/mempool", "fees")):
        shown = words((await text(http, path)).partition(f'id="card-{card}"')[2].split("</section>")[0])
        assert "0.1 sat/vB" in shown
        assert "1 sat/vB" not in shown.replace("0.1 sat/vB", "")
        assert "The next block will not be full: the minimum is enough" in shown


async def test_repairs_and_resyncs_are_counted_on_the_status_page(
    site: Any, writer: Any, http: aiohttp.ClientSession
) -> None:
    """Whatever a heartbeat counts stands there, with its name as a label."""
    await writer.health(health("chain-ingest", repairs=3, resyncs_served=1_204), health("mempool", resyncs=17))
    await until(lambda: site.site.state.snapshot.active("mempool").details.get("resyncs") == 17)
    shown = words(await text(http, "/status"))
    for expected in ("Repairs 3", "Resyncs served 1,204", "Resyncs 17"):
        assert expected in shown
    async with http.get("/api/v1/status") as response:
        details = {one["service"]: one["details"] for one in (await response.json())["services"]}
    assert details["mempool"]["resyncs"] == 17


async def test_eviction_and_one_key_of_another_type(valkey: str, writer: Any) -> None:
    """What Redis refuses at one key is that key's trouble: each part says its own, the rest goes on."""
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    before = await writer.redis.config_get("maxmemory-policy")
    try:
        await writer.redis.config_set("maxmemory-policy", "allkeys-lru")
        for key in (
            writer.keys.views(domains.HISTORY),
            writer.keys.stream(domains.TXS),
            writer.keys.dead("chain"),
            writer.keys.confirmed("chain"),
        ):
            await writer.redis.delete(key)
            await writer.redis.set(key, "not this")
        async with serving(valkey) as running, aiohttp.ClientSession(running.url) as http:
            await running.ready()
            state = running.site.state
            await until(lambda: state.snapshot.redis and state.snapshot.services and len(state.notices) >= 2)
            assert state.snapshot.redis_error == ""
            shown = words(await text(http, "/status"))
            assert "allkeys-lru" in shown
            assert "Redis may lose what it holds" in shown
            assert "Cannot be read: WRONGTYPE" in shown
            assert "Dead letters of chainnot known" in shown
            shown = words(await text(http, f"{running.admin}/status"))
            assert f"{writer.keys.views(domains.HISTORY)}: WRONGTYPE" in shown
            assert f"{writer.keys.confirmed('chain')}: WRONGTYPE" in shown
            async with http.get(f"{running.admin}/api/v1/status") as response:
                found = await response.json()
            assert found["redis"]["eviction"] == "allkeys-lru"
            assert found["dead_letters"]["chain"] is None
            assert set(found["dead_letters"]) == {"chain", "mempool", "market", "marketcap", "explorer", "treasuries"}
            assert {found["dead_letters"][name] for name in found["dead_letters"] if name != "chain"} == {0}
            assert found["truth"]["chain"]["as_of"] is None
            assert found["truth"]["mempool"]["as_of"]
            async with http.get("/api/v1/fees/recommended") as response:
                assert response.status == 200
            await writer.redis.delete(writer.keys.confirmed("chain"), writer.keys.views(domains.HISTORY))
            later = chain(height=954_211)
            await writer.chain(later)
            await until(lambda: state.snapshot[TipView] == later["tip"] and not state.snapshot.unreadable)
    finally:
        await writer.redis.config_set("maxmemory-policy", before["maxmemory-policy"])

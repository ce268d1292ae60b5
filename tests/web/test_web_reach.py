"""Who is told what: the operator's listener, the public one, names that web answers to, addresses it listens at."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from ipaddress import ip_network
from typing import Any, cast

import aiohttp
import pytest
from msgspec.structs import replace
from redis.exceptions import ResponseError

from local_run.ports import pick
from shared import domains
from shared.events.ops import GapDetected
from shared.views import TipView
from support.web_harness import Events, Running, serving, until
from support.web_samples import Writer, health
from web.http.reach import Reach
from web.pages.rendering import Pages
from web.state import disclosure

SECRETS = (
    "10.0.0.5", "/home/alice", "cellar", "4711", "0.1.9", "/Satoshi:29.0.0/", "{main:", "tcp://", "2001:db8::7", "7.2.",
    "Version", "attic", "lodger",
)  # fmt: skip
"""What the heartbeats of `troubled` and Redis tell, and what no visitor needs."""

PUBLIC = (
    "/", "/mempool", "/blocks", "/charts", "/charts/difficulty", "/status", "/api", "/readyz", "/nowhere", "/healthz",
    "/api/v1/status", "/api/v1/overview", "/api/v1/charts/difficulty", "/live?pages=status",
)  # fmt: skip

OUTSIDE = Reach(host="0.0.0.0")
BEHIND_A_PROXY = Reach(trusted_proxies=(ip_network("127.0.0.0/8"),), allowed_hosts=("dashboard.example",))


async def troubled(writer: Writer) -> None:
    """Every service tells of something that only the operator should read."""
    reports = [
        health(
            "chain-ingest", "degraded", node="main", node_version="/Satoshi:29.0.0/", zmq="tcp://10.0.0.5:28332",
            height=954_210,
            reason="main: no answer from the node at http://10.0.0.5:8332: Connection refused; "
            "spare: SPARE_RPC_COOKIE_FILE='/home/alice/.bitcoin/.cookie' cannot be read (No such file or directory)",
        ),
        health("chain-metrics", "degraded", reason="Redis does not answer: Error 111 connecting to cellar:6379."),
        health("mempool", "degraded", reason="no answer at [2001:db8::7]:8332"),
        health("web"),
    ]  # fmt: skip
    await writer.confirm("mempool", incomplete="the node at attic.example relays no transactions")
    for group in ("mempool", "lodger"):
        with suppress(ResponseError):  # it is there
            await writer.redis.xgroup_create(writer.keys.stream(domains.TXS), group, mkstream=True)
    await writer.health(*(replace(report, instance=f"{report.service}@cellar", version="0.1.9") for report in reports))


async def read(http: aiohttp.ClientSession, url: str) -> tuple[str, Any]:
    """What is sent, and the headers; of a stream the first message."""
    async with http.get(url, headers={"Accept": "text/html"}) as response:
        assert response.status in {200, 404, 503}, url
        if response.content_type == "text/event-stream":
            found = b""
            async with asyncio.timeout(5):
                while b"event: cards" not in found or not found.endswith(b"\n\n"):
                    found += await response.content.readany()
            return found.decode(), response.headers
        return await response.text(), response.headers


@pytest.mark.parametrize("reach", [OUTSIDE, BEHIND_A_PROXY, Reach()], ids=["outside", "proxy", "loopback"])
async def test_a_visitor_is_told_what_is_wrong_but_not_where(valkey: str, writer: Any, reach: Reach) -> None:
    await writer.chain()
    await writer.mempool()
    await troubled(writer)
    async with serving(valkey, reach=reach) as site, aiohttp.ClientSession() as http:
        await until(lambda: site.site.state.snapshot[TipView] and site.site.state.notices)
        for path in PUBLIC:
            text, headers = await read(http, f"{site.url}{path}")
            assert not [secret for secret in SECRETS if secret in text], path
            assert "Server" not in headers, path
            if path in ("/readyz", "/api/v1/status"):
                assert "Access-Control-Allow-Origin" not in headers, path
        shown = (await read(http, f"{site.url}/"))[0]
        assert "no answer from the node at [address]: Connection refused" in shown
        assert "the node at [address] relays no transactions" in shown
        assert "SPARE_RPC_COOKIE_FILE=… cannot be read (No such file or directory)" in shown
        async with http.get(f"{site.url}/api/v1/status") as response:
            found = await response.json()
        services = {service["instance"]: service for service in found["services"]}
        assert set(services) == {"chain-ingest", "chain-metrics", "mempool", "web"}
        assert services["chain-ingest"]["details"] == {"node": "main", "height": 954_210}
        assert not [field for field in ("pid", "version") if field in services["web"]]
        groups = {stream["name"]: [group["name"] for group in stream["groups"]] for stream in found["streams"]}
        assert groups["txs"] == ["mempool"]


async def test_a_card_that_cannot_be_shown_is_told_without_addresses(site: Running, http: Any) -> None:
    def broken() -> str:
        raise OSError("no answer at 10.0.0.5:8332")

    for path, words in ((f"{site.url}/readyz", "[address]"), (f"{site.admin}/readyz", "10.0.0.5:8332")):
        for pages in (site.site._pages, cast("Pages", site.site._lives[-1]._cards)):
            pages._read()["price"]._render = broken
            pages._read()["price"].stale = True
        text, _ = await read(http, path)
        assert f"card price cannot be shown: OSError: no answer at {words}" in text


async def test_that_redis_may_forget_is_told_to_everybody(valkey: str, writer: Any) -> None:
    """It is no secret, and who reads the figures should know."""
    await writer.redis.config_set("maxmemory-policy", "allkeys-random")
    try:
        async with serving(valkey) as site, aiohttp.ClientSession() as http:
            await until(lambda: site.site.state.notices)
            for url in (site.url, site.admin):
                assert "allkeys-random" in (await read(http, f"{url}/status"))[0]
    finally:
        await writer.redis.config_set("maxmemory-policy", "noeviction")


async def test_words_without_end_are_cut(valkey: str, writer: Any) -> None:
    """What nobody would read costs nobody's time."""
    endless = "a-" * 100_000
    await writer.chain()
    await writer.mempool()
    await writer.confirm("mempool", incomplete=endless)
    await writer.health(health("mempool", "degraded", reason=endless, progress=endless, zmq=endless))
    async with serving(valkey) as site, aiohttp.ClientSession() as http:
        await until(lambda: site.site.state.notices)
        for url in (site.url, site.admin):
            text, _ = await read(http, f"{url}/status")
            assert endless[:1_000] in text
            assert endless[:1_001] not in text


@pytest.mark.parametrize(
    "piece", ["a-", "a.", "a/", "'/", "{a", "a:", "[a", "1.", "::", "user ,", "A=", "@a", "~", "host ", "a.a:", "'"]
)
def test_masking_takes_time_that_grows_with_the_length_only(piece: str) -> None:
    """100,000 characters take some 50 ms; what looks at each of them from each of them, minutes."""
    began = time.process_time()
    disclosure.masked(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 1


async def test_a_redis_that_does_not_answer_is_told_without_its_address() -> None:
    """Also the page of a chart, which says why it is empty."""
    url = f"redis://cellar-user:secret@127.0.0.1:{pick()[0]}/0"
    address = url.partition("@")[2].partition("/")[0]
    async with serving(url) as site, aiohttp.ClientSession() as http:
        await until(lambda: site.site.state.snapshot.redis_error)
        for path in PUBLIC:
            text, _ = await read(http, f"{site.url}{path}")
            assert address not in text, path
            assert "cellar-user" not in text, path
        assert "connecting to [address]" in (await read(http, f"{site.url}/readyz"))[0]
        for path in ("/status", "/", "/api/v1/status"):
            assert f"connecting to {address}" in (await read(http, f"{site.admin}{path}"))[0]


@pytest.mark.parametrize("reach", [OUTSIDE, Reach()], ids=["outside", "loopback"])
async def test_the_operator_is_told_everything_and_no_website_is(valkey: str, writer: Any, reach: Reach) -> None:
    await writer.chain()
    await writer.mempool()
    await troubled(writer)
    async with serving(valkey, reach=reach) as site, aiohttp.ClientSession() as http:
        await until(lambda: site.site.state.snapshot[TipView] and site.site.state.notices)
        for path, words in (
            ("/status", ("chain-ingest@cellar", "http://10.0.0.5:8332", "/Satoshi:29.0.0/", "{main:mempool}:txs")),
            ("/status", ("lodger",)),
            ("/", ("http://10.0.0.5:8332", "954,210", "Version 0.1.0", "attic.example")),
            ("/charts", ("http://10.0.0.5:8332",)),
            ("/charts/difficulty", ("http://10.0.0.5:8332",)),
            ("/api/v1/status", ("chain-ingest@cellar", '"pid":4711', "/home/alice/.bitcoin/.cookie", "{main:chain}:")),
            ("/metrics", ("web_redis_up 1.0", "process_resident_memory_bytes")),
            ("/live?pages=status", ("chain-ingest@cellar",)),
            ("/api/v1/overview", ('"height":954210',)),
        ):  # fmt: skip
            text, headers = await read(http, f"{site.admin}{path}")
            assert not [word for word in words if word not in text.replace("\\/", "/")], path
            if path != "/api/v1/overview":
                assert "Access-Control-Allow-Origin" not in headers, path
        for path in ("/api/v1/status", "/metrics"):
            _, headers = await read(http, f"{site.admin}{path}")
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        async with http.get(f"{site.url}/metrics") as response:
            assert response.status == 404


async def test_operational_events_are_the_operators(valkey: str, writer: Any, bare: Running) -> None:
    async with aiohttp.ClientSession() as http:
        for streams in ("ops", "blocks,ops"):
            async with http.get(f"{bare.url}/api/v1/events?streams={streams}") as response:
                assert response.status == 400
                assert "'ops' is not known: expected blocks" in await response.text()
        async with http.get(f"{bare.admin}/api/v1/events?streams=ops") as response:
            assert "Access-Control-Allow-Origin" not in response.headers
        async with http.get(f"{bare.url}/api/v1/events?streams=blocks") as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*"
    async with Events.connect(bare.admin, "ops") as events:
        await writer.add(
            writer.keys.stream(domains.OPS), GapDetected(service="x", instance="x@cellar", detail="10.0.0.5", time_ms=1)
        )
        assert "cellar" in str((await events.next()).data)


async def test_replicas_are_told_apart_by_number(valkey: str, writer: Any) -> None:
    await writer.health(
        replace(health("mempool", "ok"), instance="mempool@attic"),
        replace(health("mempool", "standby"), instance="mempool@cellar"),
    )
    async with serving(valkey, reach=OUTSIDE) as site, aiohttp.ClientSession() as http:
        await until(lambda: site.site.state.snapshot.services)
        async with http.get(f"{site.url}/api/v1/status") as response:
            services = (await response.json())["services"]
    assert [(each["instance"], each["state"]) for each in services] == [("mempool", "ok"), ("mempool/2", "standby")]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (
            "Error 111 connecting to 127.0.0.1:6379. Connect call failed ('127.0.0.1', 6379).",
            "Error 111 connecting to [address]. Connect call failed ('[address]', 6379).",
        ),
        (
            "Error -2 connecting to redis.cellar.example:6379. Name or service not known.",
            "Error -2 connecting to [address]. Name or service not known.",
        ),
        ("Error 2 connecting to unix:/run/redis.sock. No such file.", "Error 2 connecting to [address]. No such file."),
        (
            "Cannot connect to host cellar:8332 ssl:default [Connect call failed ('::1', 8332, 0, 0)]",
            "Cannot connect to host [address] ssl:default [Connect call failed ('[address]', 8332, 0, 0)]",
        ),
        (
            "ZMQ does not answer at tcp://10.0.0.5:1, ipc:///run/zmq: the node is asked",
            "ZMQ does not answer at [address], [address]: the node is asked",
        ),
        ("no answer from http://[2001:db8::7]:8332: refused", "no answer from [address]: refused"),
        ("no answer at ::1: refused, nor at ::ffff:10.0.0.5", "no answer at [address]: refused, nor at [address]"),
        ("fe80::1%eth0 and 2001:db8:0:0:0:0:0:7 and [::1]:80", "[address] and [address] and [address]"),
        ("MAIN_RPC_COOKIE_FILE='/home/a b/.cookie' cannot be read", "MAIN_RPC_COOKIE_FILE=… cannot be read"),
        ('cannot open "/home/a b/x" nor /var/lib/x.', "cannot open [path] nor [path]."),
        ("is version 210200 /Satoshi:0.21.2/: expected 220000", "is version 210200 [path]: expected 220000"),
        ("{main:chain}:views: Expected int", "[key]: Expected int"),
        ("mempool@cellar.example is down", "mempool is down"),
        ("Getting nodename from db.alice.net failed", "Getting nodename from [address] failed"),
        ("Getting nodename from cellar failed", "Getting nodename from [address] failed"),
        ("no answer at node.alice.example. It is tried again", "no answer at [address]. It is tried again"),
        (".data/x/.cookie, ../secrets/cookie", "[path], [path]"),
        ("'.data/x/.cookie' nor ~/cookie nor secrets/cookie.", "'[path]' nor [path] nor [path]."),
        ("NOPERM User cellar-user has no permissions", "NOPERM User [name] has no permissions"),
        ("add it to rpcwhitelist of user alice.", "add it to rpcwhitelist of user [name]."),
        ("no answer at HTTP://cellar/wallet", "no answer at [address]"),
    ],
)
def test_addresses_paths_and_names_are_masked(words: str, left: str) -> None:
    assert disclosure.masked(words) == left


@pytest.mark.parametrize(
    "words",
    [
        "node main is downloading the chain: 101 of 101 blocks, 100.0% verified",
        "main refuses MAIN_RPC_USER and MAIN_RPC_PASSWORD (401)",
        "is on network 'regtest': BITCOIN_NETWORK expects 'signet'",
        "the mempool differs: (1, 2, 3) here, (4, 5, 6) at the node (transactions, vB, sat)",
        "1.5 sat/vB, and/or 3/4 at 12:30:05 on 2026-11-27 12:30",
        "this user has no permissions; the user is disabled",
        "the node loads mempool.dat (3.5 MB/s, 1/2)",
        "Expected `int`, got `str` - at `$.height`",
        "needs Bitcoin Core 0.21.0 or later; this one is 0.20.1",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist on disk",
        "another replica is active",
        "blocks: 12 entries cut that a group had not read",
    ],
)
def test_other_words_stay(words: str) -> None:
    assert disclosure.masked(words) == words

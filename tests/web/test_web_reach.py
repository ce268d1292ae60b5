"""Who is told what: the operator's listener, the public one, names that web answers to, addresses it listens at."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace
from redis.exceptions import ResponseError

from local_run import child
from local_run.ports import pick
from shared.events.ops import GapDetected
from support.ipv6 import needs_ipv6
from support.stack import until as eventually
from support.web_harness import Events, Running, serving, until
from support.web_samples import Writer, health
from web.http.reach import Reach
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
            await writer.redis.xgroup_create(writer.keys.txs, group, mkstream=True)
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
        await until(lambda: site.site.state.snapshot.tip and site.site.state.notices)
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
        for pages in (site.site._pages, site.site._lives[-1]._pages):
            pages._cards["price"]._render = broken
            pages._cards["price"].stale = True
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
        await until(lambda: site.site.state.snapshot.tip and site.site.state.notices)
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
        await writer.add(writer.keys.ops, GapDetected(service="x", instance="x@cellar", detail="10.0.0.5", time_ms=1))
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


# --- names -------------------------------------------------------------------------------------------------


async def status(url: str, **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        return response.status, await response.text(), response.headers.get("Access-Control-Allow-Origin", "")


@pytest.mark.parametrize("listener", ["url", "admin"])
async def test_another_websites_name_is_not_answered(bare: Running, listener: str) -> None:
    url = getattr(bare, listener)
    for path in (
        "/",
        "/api/v1/status",
        "/api/v1/events?streams=blocks",
        "/live?pages=status",
        "/healthz",
        "/static/x",
        "/no",
    ):
        for name in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "dashboard.example."):
            code, words, shared = await status(f"{url}{path}", Host=name)
            assert (code, shared) == (421, ""), (path, name)
            asked = name.partition(":")[0].removesuffix(".")
            assert words.endswith(f"If it should, set ALLOWED_HOSTS={asked} for it.\n")


@pytest.mark.parametrize(
    "name",
    ["localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:8080", "192.168.1.7:8080", "x", "cellar:8080", "cellar.local",
     "a.localhost.", "cellar.lan:80", socket.gethostname()],
)  # fmt: skip
async def test_names_that_no_stranger_can_have_are_answered(bare: Running, name: str) -> None:
    assert (await status(f"{bare.url}/healthz", Host=name))[0] == 200


async def test_names_that_are_allowed_are_answered(valkey: str) -> None:
    async with serving(valkey, reach=Reach(allowed_hosts=("dashboard.example", "*.corp.example"))) as site:
        for name, code in (
            ("dashboard.example", 200),
            ("Dashboard.Example:443", 200),
            ("www.dashboard.example", 421),
            ("a.corp.example", 200),
            ("corp.example", 421),
            ("evilcorp.example", 421),
        ):
            assert (await status(f"{site.url}/healthz", Host=name))[0] == code, name


async def test_the_name_that_web_listens_at_is_answered(valkey: str) -> None:
    async with serving(valkey, reach=Reach(host="Dashboard.example")) as site:
        assert (await status(f"{site.url}/healthz", Host="dashboard.example:8080"))[0] == 200
        assert (await status(f"{site.url}/healthz", Host="example"))[0] == 200
        assert (await status(f"{site.url}/healthz", Host="other.example"))[0] == 421


async def test_the_name_that_the_operators_listener_has_is_answered(valkey: str, tmp_path: Path) -> None:
    """`127.1` is 127.0.0.1, but only as a name."""
    log = tmp_path / "log"
    async with web(valkey, log, ADMIN_HOST="127.1", ADMIN_PORT="0"):
        [address] = await said(log, "web_listening_for_operators")
        assert (await status(f"{address}/status", Host="127.1"))[0] == 200
        assert (await status(f"{address}/status", Host="127.1.example"))[0] == 421


@pytest.mark.parametrize("listener", ["url", "admin"])
async def test_a_website_cannot_borrow_a_name_of_ours(valkey: str, listener: str) -> None:
    """The browser of a proxy's machine is as trusted as the proxy: what a page writes itself replaces no `Host`."""
    proxies = (ip_network("127.0.0.0/8"),)
    async with serving(valkey, reach=Reach(allowed_hosts=("dashboard.example",), trusted_proxies=proxies)) as site:
        url = f"{getattr(site, listener)}/api/v1/status"
        for written in (
            {"X-Forwarded-Host": "localhost"},
            {"Forwarded": "host=localhost"},
            {"X-Forwarded-Host": "dashboard.example", "Forwarded": "host=dashboard.example"},
        ):
            code, words, _ = await status(url, Host="evil.example", **written)
            assert (code, "ALLOWED_HOSTS=evil.example" in words) == (421, True), written


async def test_forwarded_names_count_only_from_proxies_that_are_trusted(valkey: str) -> None:
    allowed = ("dashboard.example",)
    forged = {"Host": "evil.example", "X-Forwarded-Host": "dashboard.example"}
    async with serving(valkey, reach=Reach(allowed_hosts=allowed)) as site:
        assert (await status(f"{site.url}/healthz", **forged))[0] == 421
        assert (await status(f"{site.url}/healthz", Host="x", **{"X-Forwarded-Host": "evil.example"}))[0] == 200
    proxies = (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"))
    async with serving(valkey, reach=Reach(allowed_hosts=allowed, trusted_proxies=proxies)) as site:
        url = f"{site.url}/healthz"
        assert (await status(url, **forged))[0] == 421
        assert (await status(url, Host="x", **{"X-Forwarded-Host": "dashboard.example"}))[0] == 200
        both = {"X-Forwarded-Host": "dashboard.example", "Forwarded": "host=evil.example"}
        assert (await status(url, Host="x", **both))[0] == 421
        assert (await status(url, Host="x", Forwarded="for=1.2.3.4;host=dashboard.example;proto=https"))[0] == 200
        assert (await status(url, Host="x", Forwarded="host=evil.example"))[0] == 421
        code, words, _ = await status(url, Host="x", **{"X-Forwarded-Host": "dashboard.example, evil.example"})
        assert (code, "ALLOWED_HOSTS=evil.example" in words) == (421, True)


async def test_the_log_names_who_asked_behind_proxies(valkey: str, capsys: pytest.CaptureFixture[str]) -> None:
    proxies = (ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"))
    chain = {"Host": "evil.example", "X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.0.0.2"}
    async with serving(valkey, reach=Reach(trusted_proxies=proxies)) as site:
        await status(f"{site.url}/", **chain)
    assert "203.0.113.9" in capsys.readouterr().out
    async with serving(valkey) as site:
        await status(f"{site.url}/", **chain)
    assert "203.0.113.9" not in (told := capsys.readouterr().out)
    assert "127.0.0.1" in told


# --- addresses to listen at --------------------------------------------------------------------------------


@asynccontextmanager
async def web(valkey: str, log: Path, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m web` over this Valkey; what it says goes to `log`."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    with log.open("wb") as output:
        process = await child.start(
            [sys.executable, "-m", "web"],
            env={**kept, "REDIS_URL": valkey, "ENV_DIR": "/nonexistent", "WEB_PORT": "0", **env},
            output=output,
        )
    try:
        yield process
    finally:
        await child.kill(process)


async def said(log: Path, event: str) -> list[str]:
    """The addresses that web says it listens at."""

    async def found() -> list[str]:
        lines = [line for line in log.read_text().splitlines() if f'"{event}"' in line]
        return re.findall(r'"(http://[^"]+)"', lines[0]) if lines else []

    return await eventually(found, 15, f"a line of {event}")


@pytest.mark.parametrize(
    ("host", "shown", "also"),
    [
        ("127.0.0.1", r"http://127\.0\.0\.1:\d+", ()),
        ("0.0.0.0", r"http://127\.0\.0\.1:\d+", ("127.0.0.2",)),
        ("localhost", r"http://(127\.0\.0\.1|\[::1\]):\d+", ()),
        pytest.param("::1", r"http://\[::1\]:\d+", (), marks=needs_ipv6),
        pytest.param("[::1]", r"http://\[::1\]:\d+", (), marks=needs_ipv6),
        pytest.param("::", r"http://\[::1\]:\d+", ("127.0.0.1", "[::1]"), marks=needs_ipv6),
    ],
)
async def test_what_web_prints_can_be_opened(
    valkey: str, tmp_path: Path, host: str, shown: str, also: tuple[str, ...]
) -> None:
    log = tmp_path / "log"
    async with web(valkey, log, WEB_HOST=host, ADMIN_HOST=host, ADMIN_PORT="0"):
        for event, path in (("web_listening", "/healthz"), ("web_listening_for_operators", "/metrics")):
            for address in await said(log, event):
                assert re.fullmatch(shown, address)
                for reachable in (address, *(re.sub(r"//.*:", f"//{other}:", address) for other in also)):
                    assert (await status(f"{reachable}{path}"))[0] == 200, reachable


async def test_without_admin_port_nobody_listens_for_operators(valkey: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with web(valkey, log):
        [address] = await said(log, "web_listening")
        assert (await status(f"{address}/metrics"))[0] == 404
        assert "web_listening_for_operators" not in log.read_text()


@pytest.mark.parametrize("name", ["WEB", "ADMIN"])
async def test_where_it_cannot_listen_is_named(valkey: str, tmp_path: Path, name: str) -> None:
    port = pick()[0]
    with socket.create_server(("127.0.0.1", port)):
        async with web(valkey, tmp_path / "log", **{f"{name}_PORT": str(port)}) as process:
            assert await asyncio.wait_for(process.wait(), 15) == 1
    words = f"{name}_HOST and {name}_PORT: cannot listen at 127.0.0.1:{port}: Address already in use"
    assert words in (tmp_path / "log").read_text()

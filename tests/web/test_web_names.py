"""Which names web answers to, whom it believes about them, and where it listens."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest

from local_run import child
from local_run.ports import pick
from support.ipv6 import needs_ipv6
from support.stack import until as eventually
from support.web_harness import Running, serving
from web.http.reach import Reach


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
